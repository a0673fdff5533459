package readapi_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/clickhouse/readapi"
)

// operations lists method and path of everything in the OpenAPI document, with
// parameters filled in.
func operations(t *testing.T, s *server) [][2]string {
	t.Helper()
	doc, err := s.api.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(doc, &d); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("{network}", "acme", "{user}", "anna", "{date}", "2026-03-12")
	var out [][2]string
	for path, methods := range d.Paths {
		for method := range methods {
			out = append(out, [2]string{strings.ToUpper(method), fill.Replace(path)})
		}
	}
	if len(out) < 8 {
		t.Fatalf("only %d operations: %v", len(out), out)
	}
	return out
}

// The matrix route × key: whatever the document names answers 401 with the
// same body unless the key is right.
func TestAuth_DeniesEveryRouteWithoutRightKey(t *testing.T) {
	t.Parallel()
	s := serve(t, newFake())
	routes := operations(t, s)
	for _, path := range []string{"/", "/n/acme", "/n/acme/record?user=anna", "/n/acme/day?user=anna&date=2026-03-12", "/nothing", "/v1", "/v1/nothing"} {
		routes = append(routes, [2]string{"GET", path})
	}
	wrong := map[string]string{
		"none": "", "wrong": "Bearer dbk_wrong", "empty": "Bearer ", "basic": "Basic " + testKey, "bare": testKey,
		"prefix": "Bearer " + testKey[:len(testKey)-1], "longer": "Bearer " + testKey + "x", "hash": "Bearer " + readapi.HashKey(testKey).String(),
	}
	want := ""
	for _, route := range routes {
		for name, header := range wrong {
			r := s.do(route[0], route[1], `{}`, "Authorization", header)
			if r.status != http.StatusUnauthorized || r.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s with %s key: %d", route[0], route[1], name, r.status)
			}
			if want == "" {
				want = r.body
			}
			if r.body != want {
				t.Errorf("%s %s with %s key: another body: %s", route[0], route[1], name, r.body)
			}
		}
		if r := s.do(route[0], route[1], `{}`); r.status == http.StatusUnauthorized || r.status >= 500 && r.status != http.StatusServiceUnavailable {
			t.Errorf("%s %s with the right key: %d %s", route[0], route[1], r.status, r.body)
		}
	}
	s.key = "another"
	if r := s.do("GET", "/v1/networks", ""); r.status != http.StatusOK {
		t.Errorf("second key: %d", r.status)
	}
}

// A route that is not in the document and not on this list fails the build of
// the matrix: whoever adds one decides here who may see it.
func TestAuth_OpenRoutesAreTheseOnly(t *testing.T) {
	t.Parallel()
	s := serve(t, newFake())
	s.key = ""
	for path, want := range map[string]int{
		"/openapi.json": 200, "/static/style.css": 200, "/static/": 404, "/static/../doc.go": 401, "/sign-in": 200, "/enter": 401, "/enter?token=x": 401,
	} {
		if r := s.do("GET", path, ""); r.status != want {
			t.Errorf("GET %s: %d, want %d", path, r.status, want)
		}
	}
}

func TestAuth_PageTokenWorksOnceAndCookieOnlyReads(t *testing.T) {
	t.Parallel()
	at := now
	s := serve(t, newFake(), func(c *readapi.Config) { c.Clock = func() time.Time { return at } })
	s.key = ""
	path := s.api.PagePath()
	r := s.do("GET", path, "")
	if r.status != http.StatusSeeOther || r.header.Get("Location") != "/" {
		t.Fatalf("first use: %d to %q", r.status, r.header.Get("Location"))
	}
	set := r.header.Get("Set-Cookie")
	for _, part := range []string{"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="} {
		if !strings.Contains(set, part) {
			t.Errorf("cookie %q has no %s", set, part)
		}
	}
	cookie, _, _ := strings.Cut(set, ";")
	if r := s.do("GET", path, ""); r.status != http.StatusUnauthorized {
		t.Errorf("second use by another browser: %d", r.status)
	}
	if r := s.do("GET", path, "", "Cookie", cookie); r.status != http.StatusSeeOther {
		t.Errorf("second use by the same browser: %d", r.status)
	}
	for _, path := range []string{"/", "/v1/networks", "/n/acme"} {
		if r := s.do("GET", path, "", "Cookie", cookie); r.status != http.StatusOK {
			t.Errorf("GET %s with cookie: %d", path, r.status)
		}
	}
	if r := s.do("PUT", "/v1/networks/acme", "{}", "Cookie", cookie); r.status != http.StatusUnauthorized {
		t.Errorf("PUT with cookie: %d, want 401", r.status)
	}
	broken := []byte(cookie)
	broken[len(broken)-3] ^= 1
	if r := s.do("GET", "/v1/networks", "", "Cookie", string(broken)); r.status != http.StatusUnauthorized {
		t.Errorf("changed cookie: %d", r.status)
	}
	at = now.Add(13 * time.Hour)
	if r := s.do("GET", "/v1/networks", "", "Cookie", cookie); r.status != http.StatusUnauthorized {
		t.Errorf("cookie after 13 h: %d", r.status)
	}
}

func TestAuth_SignInTakesAKeyFromThisSiteOnly(t *testing.T) {
	t.Parallel()
	s := serve(t, newFake())
	s.key = ""
	form := func(key string, headers ...string) reply {
		return s.do("POST", "/sign-in", url.Values{"key": {key}}.Encode(), append(headers, "Content-Type", "application/x-www-form-urlencoded")...)
	}
	if r := form(testKey, "Sec-Fetch-Site", "same-origin"); r.status != http.StatusSeeOther || r.header.Get("Set-Cookie") == "" {
		t.Errorf("right key: %d", r.status)
	}
	if r := form("wrong"); r.status != http.StatusUnauthorized || r.header.Get("Set-Cookie") != "" {
		t.Errorf("wrong key: %d", r.status)
	}
	if r := form(testKey, "Sec-Fetch-Site", "cross-site"); r.status != http.StatusUnauthorized {
		t.Errorf("from another site: %d", r.status)
	}
}

func TestAuth_KeysAreKeptAsHashes(t *testing.T) {
	t.Parallel()
	a, b := readapi.NewKey(), readapi.NewKey()
	if a == b || len(a) < 40 {
		t.Errorf("keys %q, %q", a, b)
	}
	h, err := readapi.ParseKeyHash(readapi.HashKey(a).String())
	if err != nil || h != readapi.HashKey(a) {
		t.Errorf("hash did not survive its text: %v", err)
	}
	if _, err := readapi.ParseKeyHash("abc"); err == nil {
		t.Error("a short hash was taken")
	}
}

// An unknown network, a foreign one and one that cannot exist answer alike.
func TestAuth_UnknownNetworkAnswersAlike(t *testing.T) {
	t.Parallel()
	db := newFake()
	delete(db.tables, "FROM settings_history_versions")
	delete(db.tables, "FROM networks")
	s := serve(t, db)
	var bodies []string
	for _, n := range []string{"nosuch", "No%20Such", "%27%20OR%201", "a%2Fb"} {
		for _, rest := range []string{"", "/users", "/sessions", "/sessions?user=anna", "/rollups/daily", "/users/anna/activity-record", "/users/anna/activity-record/2026-03-12", "/users?format=csv"} {
			r := s.do("GET", "/v1/networks/"+n+rest, "")
			if r.status != http.StatusNotFound {
				t.Errorf("GET %s%s: %d %s", n, rest, r.status, r.body)
			}
			bodies = append(bodies, r.body)
		}
	}
	if slices.Sort(bodies); len(slices.Compact(bodies)) != 1 {
		t.Errorf("answers differ: %v", slices.Compact(bodies))
	}
}
