package web_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"daybook/clickhouse/readapi/web"
)

func render(t *testing.T, p web.Page, view any) string {
	t.Helper()
	r, err := web.New()
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := r.Render(w, http.StatusOK, p, view); err != nil {
		t.Fatal(err)
	}
	if got := w.Header().Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Errorf("Content-Type %q", got)
	}
	return w.Body.String()
}

// views has every page with text that tries to break out of it.
func views() map[web.Page]any {
	const evil = `"><script>alert(1)</script>&'` + "\u202e"
	at := time.Date(2026, 3, 12, 8, 0, 0, 0, time.UTC)
	frame := web.Frame{Title: evil, Crumbs: []web.Link{{Text: evil, Href: "javascript:alert(1)"}}, ViewerZone: evil, TellZone: true, Fresh: &web.Fresh{AsOf: at, Through: at}}
	total := web.Total{Days: 1, Sessions: 2, Seconds: 11100, Overlap: 1800, Mobile: 3900, Web: 7200}
	return map[web.Page]any{
		web.Networks: &web.NetworksView{Frame: frame, Networks: []web.NetworkRow{{ID: "acme", Title: evil, Zone: evil, Gap: evil}}, More: "/?cursor=x"},
		web.Users:    &web.UsersView{Frame: frame, Network: "acme", Search: evil, Users: []web.UserRow{{ID: evil, Name: evil, Zone: evil, First: "2026-03-01", Last: "2026-03-02"}}},
		web.Record: &web.RecordView{
			Frame: frame, Network: "acme", User: evil, Name: evil, Zone: evil, From: "2026-03-01", To: "2026-03-14", Total: total, CSV: "/v1/x",
			Days: []web.DayRow{{Date: at, Total: total, Spans: []web.Span{{X: "1%", Width: "2%", Mobile: true}}}},
		},
		web.Day: &web.DayView{
			Frame: frame, Network: "acme", User: evil, Name: evil, Zone: evil, Date: at, Total: total, Rows: 7200, Back: "/n/acme", CSV: "/v1/x",
			Sessions: []web.SessionRow{{No: 1, Device: "Mobile", Start: at, End: at.Add(time.Hour), Seconds: 3600, Note: evil, Open: true, FromBefore: true, Robot: true, Offset: true}},
		},
		web.SignIn:  &web.SignInView{Frame: frame, Wrong: true},
		web.Problem: &web.ProblemView{Frame: frame, Detail: evil, Remedy: evil},
	}
}

func TestRender_EscapesWhatUsersChose(t *testing.T) {
	t.Parallel()
	for p, view := range views() {
		body := render(t, p, view)
		if strings.Contains(body, "<script>alert") || strings.Contains(body, `="javascript:`) {
			t.Errorf("%s lets text out of its place", p)
		}
	}
}

// Strict Content-Security-Policy: no inline style or script, no handler, no
// outside address.
func TestRender_NeedsNothingInlineAndNothingFromOutside(t *testing.T) {
	t.Parallel()
	forbidden := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script(?:>| (?:[^>]*)>[^<])|(?:src|href|action)="(?:https?:)?//`)
	for p, view := range views() {
		body := render(t, p, view)
		if found := forbidden.FindString(body); found != "" {
			t.Errorf("%s has %q", p, found)
		}
		for _, need := range []string{`<html lang="en"`, "<title>", `id="content"`, `class="skip"`, "<h1>"} {
			if !strings.Contains(body, need) {
				t.Errorf("%s has no %s", p, need)
			}
		}
	}
}

// Every field has a label, every table a caption and headers with a scope.
func TestRender_IsReadableWithAssistance(t *testing.T) {
	t.Parallel()
	id := regexp.MustCompile(`<input id="([^"]+)"`)
	for p, view := range views() {
		body := render(t, p, view)
		for _, m := range id.FindAllStringSubmatch(body, -1) {
			if !strings.Contains(body, `<label for="`+m[1]+`"`) {
				t.Errorf("%s: field %s has no label", p, m[1])
			}
		}
		if strings.Count(body, "<table") != strings.Count(body, "<caption") || strings.Contains(body, "<th>") {
			t.Errorf("%s: a table without caption, or a header without scope", p)
		}
	}
}

func TestHM_ShowsTotalsAndShortSessions(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[int64][2]string{
		0: {"< 1 min", "< 1 min"}, 59: {"< 1 min", "0:00:59"}, 60: {"0:01", "0:01:00"}, 11100: {"3:05", "3:05:00"}, 90061: {"25:01", "25:01:01"},
	} {
		if got := [2]string{web.HM(seconds), web.HMS(seconds)}; got != want {
			t.Errorf("%d s: %q, want %q", seconds, got, want)
		}
	}
}

func TestStatic_ServesItsFilesOnly(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]int{"/static/style.css": 200, "/static/zone.js": 200, "/static/icon.svg": 200, "/static/": 404, "/static/none": 404, "/static/../render.go": 404} {
		w := httptest.NewRecorder()
		web.Static().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}
