package readapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"daybook/clickhouse/readapi"
)

type problemBody struct {
	Type, Title, Code, Detail, Field, Remedy string
	Status                                   int
}

// Every mistake has a stable code, names the field, and says what to do; it
// does not repeat what was sent.
func TestProblem_NamesCodeFieldAndRemedy(t *testing.T) {
	t.Parallel()
	s := serve(t, newFake())
	const secret = "zzsecretzz"
	for path, want := range map[string]string{
		annaRecord + "?from=" + secret:                                             "422 invalid_parameter query.from",
		annaRecord + "?from=2026-13-01":                                            "422 invalid_parameter query.from",
		annaRecord + "?from=2026-03-02&to=2026-03-01":                              "422 invalid_parameter query.from",
		annaRecord + "?from=1990-01-01&to=2026-03-01":                              "422 range_too_long query.from",
		annaRecord + "?viewer_tz=" + secret:                                        "422 invalid_parameter query.viewer_tz",
		annaRecord + "?viewer_tz=Local":                                            "422 invalid_parameter query.viewer_tz",
		annaRecord + "?viewer_tz=../../etc/passwd":                                 "422 invalid_parameter query.viewer_tz",
		annaRecord + "?" + secret + "=1":                                           "422 unknown_parameter query." + secret,
		annaRecord + "?limit=1001":                                                 "422 invalid_parameter query.limit",
		annaRecord + "?limit=0":                                                    "422 invalid_parameter query.limit",
		annaRecord + "?limit=x":                                                    "422 invalid_parameter query.limit",
		annaRecord + "?cursor=" + secret:                                           "422 invalid_cursor query.cursor",
		annaRecord + "?format=xml":                                                 "422 invalid_parameter query.format",
		annaRecord + "/yesterday":                                                  "422 invalid_parameter path.date",
		"/v1/networks/acme/users?active_from=now":                                  "422 invalid_parameter query.active_from",
		"/v1/networks/acme/sessions?device_class=fridge":                           "422 invalid_parameter query.device_class",
		"/v1/networks/acme/users/" + strings.Repeat("x", 257) + "/activity-record": "422 invalid_parameter path.user",
		"/v1/nothing": "404 unknown_route ",
	} {
		r := s.do(http.MethodGet, path, "")
		var p problemBody
		if err := json.Unmarshal([]byte(r.body), &p); err != nil {
			t.Errorf("GET %s: %v in %s", path, err, r.body)
			continue
		}
		if got := strconv.Itoa(p.Status) + " " + p.Code + " " + p.Field; got != want || r.status != p.Status {
			t.Errorf("GET %s: %s, want %s", path, got, want)
		}
		if p.Remedy == "" || p.Detail == "" || r.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("GET %s: no remedy, detail or type: %s", path, r.body)
		}
		if strings.Contains(strings.ReplaceAll(r.body, "query."+secret, ""), secret) {
			t.Errorf("GET %s: the answer repeats what was sent: %s", path, r.body)
		}
	}
}

func TestProblem_StorageFailureHasRetryAfterAndSaysNothingOfIt(t *testing.T) {
	t.Parallel()
	db := newFake()
	s := serve(t, db)
	db.fail = errFake
	for _, path := range []string{"/v1/networks", annaRecord, annaRecord + "?format=csv", "/v1/networks/acme/sessions", "/v1/networks?format=csv"} {
		r := s.do(http.MethodGet, path, "")
		if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" || strings.Contains(r.body, "fake") || !strings.Contains(r.body, `"storage_unavailable"`) {
			t.Errorf("GET %s: %d %s", path, r.status, r.body)
		}
	}
	db.fail = context.DeadlineExceeded
	if r := s.do(http.MethodGet, "/v1/networks", ""); !strings.Contains(r.body, `"query_timeout"`) {
		t.Errorf("timeout: %s", r.body)
	}
	if r := s.do(http.MethodGet, "/", "", "Accept", "text/html"); r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, "Try again in a few seconds") {
		t.Errorf("page: %d %s", r.status, r.body)
	}
}

// INTERFACES.md section 2: every answer carries as_of and complete_through, the
// list of networks and the answer to a change too.
func TestAnswer_EveryOneIsStamped(t *testing.T) {
	t.Parallel()
	s := serve(t, newFake())
	for _, path := range []string{"/v1/networks", "/v1/networks/acme", annaRecord, annaRecord + "/2026-03-12", "/v1/networks/acme/users", "/v1/networks/acme/sessions", "/v1/networks/acme/rollups/daily"} {
		r := s.do(http.MethodGet, path, "")
		var stamp struct {
			AsOf            *time.Time `json:"as_of"`
			CompleteThrough *time.Time `json:"complete_through"`
		}
		if err := json.Unmarshal([]byte(r.body), &stamp); err != nil || r.status != http.StatusOK {
			t.Errorf("GET %s: %d %v", path, r.status, err)
			continue
		}
		if stamp.AsOf == nil || stamp.CompleteThrough == nil || !stamp.CompleteThrough.Equal(now.Add(-time.Minute)) {
			t.Errorf("GET %s: stamped %v, %v", path, stamp.AsOf, stamp.CompleteThrough)
		}
	}
	for _, path := range []string{"/v1/networks?format=csv", annaRecord + "?format=csv"} {
		if r := s.do(http.MethodGet, path, ""); r.header.Get("Daybook-Complete-Through") == "null" || r.header.Get("Daybook-Complete-Through") == "" {
			t.Errorf("GET %s: complete through %q", path, r.header.Get("Daybook-Complete-Through"))
		}
	}
}

func TestAnswer_MethodAndBodyLimits(t *testing.T) {
	t.Parallel()
	s := serve(t, newFake())
	if r := s.do(http.MethodDelete, "/v1/networks/acme", ""); r.status != http.StatusMethodNotAllowed || !slices.Contains(r.header.Values("Allow"), "PUT") {
		t.Errorf("DELETE: %d %v", r.status, r.header)
	}
	if r := s.do(http.MethodPut, "/v1/networks/acme", `{"title":"`+strings.Repeat("x", 70<<10)+`"}`); r.status != http.StatusRequestEntityTooLarge && r.status != http.StatusBadRequest {
		t.Errorf("large body: %d %s", r.status, r.body)
	}
	if r := s.do(http.MethodGet, "/v1/networks", "", "X-Large", strings.Repeat("x", 64<<10)); r.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("large header: %d", r.status)
	}
	if r := s.do(http.MethodHead, "/v1/networks/acme/sessions?format=csv", ""); r.status != http.StatusOK || r.body != "" || !strings.HasPrefix(r.header.Get("Content-Type"), "text/csv") {
		t.Errorf("HEAD: %d %v", r.status, r.header)
	}
}

// Dashboards: an unchanged answer is 304, with the new stamp in its headers.
func TestAnswer_ETagLeavesTheStampOut(t *testing.T) {
	t.Parallel()
	at := now
	s := serve(t, newFake(), func(c *readapi.Config) { c.Clock = func() time.Time { return at } })
	first := s.do(http.MethodGet, "/v1/networks/acme", "")
	tag := first.header.Get("ETag")
	at = at.Add(time.Minute)
	again := s.do(http.MethodGet, "/v1/networks/acme", "", "If-None-Match", `"x", `+tag)
	if again.status != http.StatusNotModified || again.body != "" || again.header.Get("Daybook-As-Of") != "2026-03-14T13:01:00Z" {
		t.Errorf("unchanged: %d %v", again.status, again.header)
	}
	if r := s.do(http.MethodGet, "/v1/networks/acme", "", "If-None-Match", `W/"other"`); r.status != http.StatusOK {
		t.Errorf("other tag: %d", r.status)
	}
	if first.header.Get("Cache-Control") != "private, no-cache" || first.header.Get("Daybook-Complete-Through") != "2026-03-14T12:59:00Z" {
		t.Errorf("headers %v", first.header)
	}
}

func TestCORS_AllowsConfiguredOriginsOnly(t *testing.T) {
	t.Parallel()
	s := serve(t, newFake(), func(c *readapi.Config) { c.Origins = []string{"https://dash.example"} })
	pre := s.do(http.MethodOptions, "/v1/networks", "", "Authorization", "", "Origin", "https://dash.example", "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization")
	if pre.status != http.StatusNoContent || pre.header.Get("Access-Control-Allow-Origin") != "https://dash.example" || !strings.Contains(pre.header.Get("Access-Control-Allow-Headers"), "Authorization") {
		t.Errorf("preflight: %d %v", pre.status, pre.header)
	}
	if r := s.do(http.MethodGet, "/v1/networks", "", "Origin", "https://dash.example"); r.header.Get("Access-Control-Allow-Origin") == "" || !strings.Contains(r.header.Get("Access-Control-Expose-Headers"), "ETag") || r.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("allowed origin: %v", r.header)
	}
	for _, origin := range []string{"https://evil.example", "https://dash.example.evil", "http://dash.example", "null"} {
		r := s.do(http.MethodGet, "/v1/networks", "", "Origin", origin)
		if r.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("origin %s was allowed", origin)
		}
		if pre := s.do(http.MethodOptions, "/v1/networks", "", "Authorization", "", "Origin", origin, "Access-Control-Request-Method", "GET"); pre.status != http.StatusUnauthorized {
			t.Errorf("preflight of %s: %d", origin, pre.status)
		}
	}
}

type fakeSettings struct {
	network string
	change  readapi.NetworkChange
	err     error
}

func (f *fakeSettings) PutNetwork(_ context.Context, network string, c readapi.NetworkChange) (readapi.NetworkSettings, error) {
	f.network, f.change = network, c
	return readapi.NetworkSettings{Title: "T", Zone: "Europe/Prague", Gap: 45 * time.Minute, Recording: true, Created: network == "fresh"}, f.err
}

func TestNetworks_PutChecksAndPassesOn(t *testing.T) {
	t.Parallel()
	settings := &fakeSettings{}
	s := serve(t, newFake(), func(c *readapi.Config) { c.Settings = settings })
	r := s.do(http.MethodPut, "/v1/networks/fresh", `{"zone":"Europe/Prague","gap":"45m","title":"T","recording":true}`)
	if r.status != http.StatusCreated || !strings.Contains(r.body, `"gap":"45m","gap_s":2700`) {
		t.Errorf("%d %s", r.status, r.body)
	}
	gap, zone, title, on := 45*time.Minute, "Europe/Prague", "T", true
	if diff := cmp.Diff(readapi.NetworkChange{Title: &title, Zone: &zone, Gap: &gap, Recording: &on}, settings.change); diff != "" || settings.network != "fresh" {
		t.Errorf("passed on (-want +got):\n%s", diff)
	}
	for body, want := range map[string]string{
		`{"zone":"Mars/Olympus"}`: "body.zone", `{"zone":""}`: "body.zone", `{"gap":"0s"}`: "body.gap", `{"gap":"241m"}`: "body.gap", `{"gap":"1h0.0001s"}`: "body.gap",
		`{"title":"a\nb"}`: "body.title", `{"colour":"red"}`: "body.colour", `{"recording":"yes"}`: "body.recording",
	} {
		if r := s.do(http.MethodPut, "/v1/networks/acme", body); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.body, `"field":"`+want+`"`) {
			t.Errorf("%s: %d %s", body, r.status, r.body)
		}
	}
	if r := s.do(http.MethodPut, "/v1/networks/acme", `{`); r.status != http.StatusBadRequest || !strings.Contains(r.body, "invalid_body") {
		t.Errorf("no JSON: %d %s", r.status, r.body)
	}
	for _, id := range []string{"UPPER", "-x", "a%2Fb", strings.Repeat("x", 65)} {
		if r := s.do(http.MethodPut, "/v1/networks/"+id, `{}`); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.body, `"field":"path.network"`) {
			t.Errorf("%s: %d %s", id, r.status, r.body)
		}
	}
	settings.err = errors.New("kafka is away")
	if r := s.do(http.MethodPut, "/v1/networks/acme", `{}`); r.status != http.StatusServiceUnavailable || strings.Contains(r.body, "kafka") {
		t.Errorf("not acknowledged: %d %s", r.status, r.body)
	}
}

func TestNew_RefusesToServeWithoutKeyOrDatabase(t *testing.T) {
	t.Parallel()
	if _, err := readapi.New(readapi.Config{}); err == nil || !strings.Contains(err.Error(), "no DB") || !strings.Contains(err.Error(), "no admin key") {
		t.Errorf("New() = %v, want both faults named", err)
	}
}

func TestMetrics_CountByRouteAndStatusClass(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	s := serve(t, newFake(), func(c *readapi.Config) { c.Registerer = reg })
	before := series(t, reg)
	s.do(http.MethodGet, "/v1/networks/acme/users?q=secret", "")
	s.do(http.MethodGet, "/v1/unknown/"+strings.Repeat("x", 40), "")
	if after := series(t, reg); after != before {
		t.Errorf("series grew from %d to %d: every one must exist from the start", before, after)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "daybook_api_request_duration_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == "GET /v1/networks/{network}/users" && m.GetLabel()[1].GetValue() == "2xx" && m.GetHistogram().GetSampleCount() == 1 {
				return
			}
		}
	}
	t.Error("the request was not counted under its route")
}

// series counts what a scrape would give.
func series(t *testing.T, reg *prometheus.Registry) int {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range families {
		n += len(f.GetMetric())
	}
	return n
}
