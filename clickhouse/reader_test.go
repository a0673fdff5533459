package clickhouse_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"daybook/clickhouse"
	"daybook/clickhouse/engine/enginetest"
	"daybook/schemas"
)

// ask sends a statement as curl would.
func ask(t *testing.T, dsn, method, sql string, settings ...string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	values := url.Values{"database": {strings.Trim(u.Path, "/")}, "query": {sql}}
	for i := 0; i < len(settings); i += 2 {
		values.Set(settings[i], settings[i+1])
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+u.Host+"/?"+values.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(u.User.Username(), password)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(body))
}

// A dashboard's user may only read, and may not change settings (readonly = 1):
// the views set some inside and must work all the same.
func TestViews_ForAUserWhoMayOnlyRead(t *testing.T) {
	app, reader := enginetest.StartWithReader(t)
	s, err := clickhouse.Open(t.Context(), clickhouse.Options{DSN: app})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Migrate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	f := flush(10)
	f.Events = []schemas.EventRow{event("n", "u", "1", 5, at(t, "2026-05-12T08:00:00Z"))}
	session(f, "n", "u", "b", schemas.ClassWeb, at(t, "2026-05-12T08:00:00Z"), at(t, "2026-05-12T10:00:00Z"), false)
	write(t, s, f, f)
	for _, view := range []string{"events", "sessions", "session_days", "daily_users", "daily_networks"} {
		for _, tc := range []struct {
			method   string
			settings []string
		}{{http.MethodPost, nil}, {http.MethodGet, nil}, {http.MethodPost, []string{"readonly", "1"}}} {
			if got := ask(t, reader, tc.method, "SELECT count() FROM "+view, tc.settings...); got != "1" {
				t.Errorf("%s %s %v: %s", tc.method, view, tc.settings, got)
			}
		}
	}
	session := []string{"session_id", "readonly-" + t.Name()}
	if got := ask(t, app, http.MethodPost, "SET readonly = 1", session...); got != "" {
		t.Skipf("the engine's door refuses SET readonly: %s", got)
	}
	if got := ask(t, app, http.MethodPost, "SELECT count() FROM sessions", session...); got != "1" {
		t.Errorf("readonly = 1: %s", got)
	}
}
