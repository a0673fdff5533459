package readapi_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// hostile is text that has broken parsers, SQL, paths and pages elsewhere.
func hostile() []string {
	return []string{
		`\' OR 1=1 --`, "{network:String}", "a\x00b", "\xff\xfe", "..", ".", "//", "\r\nSet-Cookie: a=b", "\u202e😀", "<script>alert(1)</script>",
		"9223372036854775808", "-1", "%", strings.Repeat("č", 128), "2026-03-12' OR ''='", "9999-12-31", "2149-06-06", "1970-01-01",
	}
}

// Every parameter of every route, with hostile text: an answer of the API's
// own, never a failure of storage, and never another tenant's rows.
func TestHostile_NoParameterReachesSQLAsText(t *testing.T) {
	s := serve(t, company(t).store())
	doc, err := s.api.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Paths map[string]map[string]struct {
			Parameters []struct{ Name, In string } `json:"parameters"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(doc, &d); err != nil {
		t.Fatal(err)
	}
	fill := map[string]string{"network": "acme", "user": "anna", "date": "2026-03-12"}
	paths := []string{
		"/n/acme?q=", "/n/acme/record?user=anna&from=", "/n/acme/record?user=", "/n/acme/record?user=anna&viewer_tz=", "/n/acme/day?user=anna&date=",
		"/n/acme?cursor=", "/n/", "/enter?token=",
	}
	for path, methods := range d.Paths {
		for _, p := range methods["get"].Parameters {
			at := path
			for name, value := range fill {
				if p.In != "path" || p.Name != name {
					at = strings.ReplaceAll(at, "{"+name+"}", value)
				}
			}
			switch p.In {
			case "path":
				paths = append(paths, strings.ReplaceAll(at, "{"+p.Name+"}", "\x00"))
			case "query":
				paths = append(paths, at+"?"+p.Name+"=")
			}
		}
	}
	if len(paths) < 40 {
		t.Fatalf("only %d parameters", len(paths))
	}
	for _, path := range paths {
		for _, text := range hostile() {
			at := path + url.QueryEscape(text)
			if strings.Contains(path, "\x00") {
				at = strings.ReplaceAll(path, "\x00", url.PathEscape(text))
			} else if !strings.Contains(path, "?") {
				at = path + url.PathEscape(text)
			}
			r := s.do(http.MethodGet, at, "")
			if r.status >= 500 || strings.Contains(r.body, "olga") || strings.Contains(r.body, "DB::Exception") || strings.Contains(r.body, "<script>alert") && strings.HasPrefix(r.header.Get("Content-Type"), "text/html") {
				t.Errorf("GET %s: %d %.300s", at, r.status, r.body)
			}
			if r.header.Get("Set-Cookie") != "" {
				t.Errorf("GET %s sets a cookie", at)
			}
		}
	}
}
