package readapi_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/legacy"
)

func loadDocument(t *testing.T, s *server) *openapi3.T {
	t.Helper()
	r := s.do(http.MethodGet, "/openapi.json", "", "Authorization", "")
	doc, err := openapi3.NewLoader().LoadFromData([]byte(r.body))
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("openapi %q, want 3.1", doc.OpenAPI)
	}
	return doc
}

func TestOpenAPI_DocumentIsValid(t *testing.T) {
	t.Parallel()
	doc := loadDocument(t, serve(t, newFake()))
	if err := doc.Validate(context.Background()); err != nil {
		t.Errorf("validate: %v", err)
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.OperationID == "" || op.Summary == "" {
				t.Errorf("%s %s has no id or summary", method, path)
			}
			for _, status := range []string{"200", "401", "404", "422", "default"} {
				if op.Responses.Value(status) == nil {
					t.Errorf("%s %s does not say what %s is", method, path, status)
				}
			}
			for _, p := range op.Parameters {
				if p.Value.Description == "" && p.Value.In != "header" {
					t.Errorf("%s %s: parameter %s has no description", method, path, p.Value.Name)
				}
			}
		}
	}
}

// Every answer over real rows is what the document says it is.
func TestOpenAPI_AnswersMatchDocument(t *testing.T) {
	s := serve(t, company(t).store())
	doc := loadDocument(t, s)
	doc.Servers = openapi3.Servers{{URL: s.url}}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		"/v1/networks": 200, "/v1/networks?limit=1": 200, "/v1/networks/acme": 200, "/v1/networks/nosuch": 404,
		"/v1/networks/acme/users": 200, "/v1/networks/acme/users?q=nov&active_from=2026-01-01": 200,
		annaRecord: 200, annaRecord + "?limit=2": 200, annaRecord + "?from=x": 422, annaRecord + "?bogus=1": 422,
		annaRecord + "/2026-03-12?viewer_tz=Asia/Tokyo": 200, annaRecord + "/2026-03-09": 200,
		"/v1/networks/acme/sessions?from=2025-01-01&to=2026-12-31": 200, "/v1/networks/acme/sessions?device_class=mobile&limit=1": 200,
		"/v1/networks/acme/rollups/daily": 200, "/v1/networks/acme/rollups/daily?user=anna": 200,
		"/v1/networks/dark/users/dora/activity-record": 403,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		route, params, err := router.FindRoute(request)
		if err != nil {
			t.Errorf("%s is not in the document: %v", path, err)
			continue
		}
		got := s.do(http.MethodGet, path, "")
		if got.status != want {
			t.Errorf("GET %s: %d, want %d: %s", path, got.status, want, got.body)
		}
		input := &openapi3filter.ResponseValidationInput{
			RequestValidationInput: &openapi3filter.RequestValidationInput{Request: request, PathParams: params, Route: route},
			Status:                 got.status, Header: got.header, Body: io.NopCloser(bytes.NewReader([]byte(got.body))),
			Options: &openapi3filter.Options{IncludeResponseStatus: true},
		}
		openapi3filter.RegisterBodyDecoder("application/problem+json", openapi3filter.JSONBodyDecoder)
		if err := openapi3filter.ValidateResponse(t.Context(), input); err != nil {
			t.Errorf("GET %s: %v\n%s", path, err, got.body)
		}
	}
}
