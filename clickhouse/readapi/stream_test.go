package readapi_test

import (
	"bufio"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"daybook/clickhouse/readapi"
)

const sessionsCSV = "/v1/networks/acme/sessions?from=2026-03-01&to=2026-03-31&format=csv"

func TestStream_HoldsWholeRangeWhateverLimitSays(t *testing.T) {
	t.Parallel()
	db := newFake()
	db.tables["FROM sessions"] = sessionRows(2500, nil)
	s := serve(t, db)
	r := s.do(http.MethodGet, sessionsCSV+"&limit=1", "")
	rows, err := csv.NewReader(strings.NewReader(r.body)).ReadAll()
	if err != nil || len(rows) != 2501 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if rows[0][0] != "session_id" || rows[2500][1] != "anna" {
		t.Errorf("first %v, last %v", rows[0], rows[2500])
	}
}

// A short file must not pass for a whole one.
func TestStream_ErrorInTheMiddleCutsTheConnection(t *testing.T) {
	t.Parallel()
	db := newFake()
	db.tables["FROM sessions"] = sessionRows(2000, errFake)
	s := serve(t, db)
	response := s.open(t, t.Context(), sessionsCSV)
	defer response.Body.Close()
	_, err := io.Copy(io.Discard, response.Body)
	if err == nil || response.StatusCode != http.StatusOK {
		t.Errorf("read %d to the end with %v, want a broken connection", response.StatusCode, err)
	}
}

func TestStream_ErrorBeforeTheFirstBlockIsAProblem(t *testing.T) {
	t.Parallel()
	db := newFake()
	db.tables["FROM sessions"] = sessionRows(3, errFake)
	s := serve(t, db)
	if r := s.do(http.MethodGet, sessionsCSV, ""); r.status != http.StatusServiceUnavailable || r.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %v", r.status, r.header)
	}
}

// A client that goes away ends its query; what it would have read is not read.
func TestStream_ClientThatGoesAwayEndsTheQuery(t *testing.T) {
	t.Parallel()
	db := newFake()
	ended := make(chan int, 1)
	db.tables["FROM sessions"] = func(yield func(...any) bool) {
		for i := 0; ; i++ {
			if !yield(sessionRow(i)...) {
				ended <- i
				return
			}
		}
	}
	s := serve(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	response := s.open(t, ctx, sessionsCSV)
	defer response.Body.Close()
	if _, err := bufio.NewReader(response.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the query went on without its client")
	}
}

func TestStream_TakesConstantMemory(t *testing.T) {
	db := newFake()
	var peak, base runtime.MemStats
	db.tables["FROM sessions"] = func(yield func(...any) bool) {
		row := sessionRow(1)
		for i := range 300_000 {
			if !yield(row...) {
				return
			}
			if i == 1000 {
				runtime.GC()
				runtime.ReadMemStats(&base)
			}
			if i == 299_000 {
				runtime.GC()
				runtime.ReadMemStats(&peak)
			}
		}
	}
	s := serve(t, db)
	response := s.open(t, t.Context(), sessionsCSV)
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	if err != nil || n < 30<<20 {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if grown := int64(peak.HeapAlloc) - int64(base.HeapAlloc); grown > 2<<20 {
		t.Errorf("heap grew by %d bytes over %d bytes of CSV", grown, n)
	}
}

func TestStream_BoundsHowManyRunAtOnce(t *testing.T) {
	t.Parallel()
	db := newFake()
	hold := make(chan struct{})
	db.tables["FROM sessions"] = func(yield func(...any) bool) {
		for i := range 2000 {
			if !yield(sessionRow(i)...) {
				return
			}
		}
		<-hold
	}
	s := serve(t, db, func(c *readapi.Config) { c.MaxExports = 1 })
	first := s.open(t, t.Context(), sessionsCSV)
	defer first.Body.Close()
	r := s.do(http.MethodGet, sessionsCSV, "")
	if r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, "too_many_exports") || r.header.Get("Retry-After") == "" {
		t.Errorf("second: %d %s", r.status, r.body)
	}
	close(hold)
	if _, err := io.Copy(io.Discard, first.Body); err != nil {
		t.Errorf("first: %v", err)
	}
}

func TestStream_FormatGoesBeforeAccept(t *testing.T) {
	t.Parallel()
	s := serve(t, newFake())
	for i, c := range []struct {
		accept, format string
		csv            bool
	}{
		{"", "", false},
		{"*/*", "", false},
		{"text/csv", "", true},
		{"text/csv, application/json;q=0.5", "", true},
		{"application/json, text/csv;q=0.9", "", false},
		{"text/html, */*;q=0.8", "", false},
		{"text/csv;q=0", "", false},
		{"text/csv", "json", false},
		{"application/json", "csv", true},
		{";;;", "", false},
	} {
		path := "/v1/networks/acme/users"
		if c.format != "" {
			path += "?format=" + c.format
		}
		r := s.do(http.MethodGet, path, "", "Accept", c.accept)
		if got := strings.HasPrefix(r.header.Get("Content-Type"), "text/csv"); got != c.csv || r.status != http.StatusOK {
			t.Errorf("%d: Accept %q, format %q: %d %s", i, c.accept, c.format, r.status, r.header.Get("Content-Type"))
		}
	}
}

// open starts a request whose body the test reads itself.
func (s *server) open(t *testing.T, ctx context.Context, path string) *http.Response { //nolint:revive // a test helper has t first
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// Paging: every row once, in order; a cursor serves its own question only.
func TestCursor_PagesThroughEveryRowOnce(t *testing.T) {
	s := serve(t, company(t).store())
	var all, paged []string
	read := func(path string, into *[]string) (next string) {
		var got answerOf[sessionItem]
		s.get(path, &got)
		for _, r := range got.Items {
			*into = append(*into, r.SessionID)
		}
		if got.NextCursor == nil {
			return ""
		}
		return *got.NextCursor
	}
	const list = "/v1/networks/acme/sessions?from=2025-01-01&to=2026-12-31"
	if next := read(list, &all); next != "" || len(all) != 9 {
		t.Fatalf("%d sessions, next %q", len(all), next)
	}
	cursor := read(list+"&limit=2", &paged)
	for pages := 1; cursor != ""; pages++ {
		if pages > 5 {
			t.Fatal("paging does not end")
		}
		for path, want := range map[string]int{
			"/v1/networks/other/sessions?from=2025-01-01&to=2026-12-31&cursor=" + cursor: 422,
			list + "&user=anna&cursor=" + cursor:                                         422,
			list + "&cursor=A" + cursor[1:]:                                              422,
			list + "&cursor=" + cursor[:len(cursor)-2]:                                   422,
		} {
			if r := s.do(http.MethodGet, path, ""); r.status != want && cursor[0] != 'A' {
				t.Errorf("GET %s: %d, want %d", path, r.status, want)
			}
		}
		cursor = read(list+"&limit=2&cursor="+cursor, &paged)
	}
	if fmt.Sprint(all) != fmt.Sprint(paged) {
		t.Errorf("paged %v, want %v", paged, all)
	}
	for _, path := range []string{annaRecord, annaRecord + "/2026-03-12", "/v1/networks/acme/users", "/v1/networks", "/v1/networks/acme/rollups/daily", "/v1/networks/acme/rollups/daily?user=anna"} {
		s.pagesLike(t, path)
	}
}

// pagesLike reads a list with limit 1 and wants the same rows as at once.
func (s *server) pagesLike(t *testing.T, path string) {
	t.Helper()
	join := "?"
	if strings.Contains(path, "?") {
		join = "&"
	}
	var whole answerOf[any]
	s.get(path, &whole)
	var rows []any
	for cursor, n := "", 0; ; n++ {
		var one answerOf[any]
		s.get(path+join+"limit=1"+cursor, &one)
		rows = append(rows, one.Items...)
		if one.NextCursor == nil {
			break
		}
		if n > 20 {
			t.Fatalf("%s: paging does not end", path)
		}
		cursor = "&cursor=" + *one.NextCursor
	}
	if fmt.Sprint(rows) != fmt.Sprint(whole.Items) || len(rows) == 0 {
		t.Errorf("%s: paged %v, want %v", path, rows, whole.Items)
	}
}
