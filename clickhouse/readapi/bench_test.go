package readapi_test

import (
	"io"
	"net/http"
	"testing"
)

// Benchmarks over the embedded engine, the HTTP server included. Targets:
// ARCHITECTURE.md section 6.

func BenchmarkExport_Sessions(b *testing.B) {
	store := company(b).store()
	if err := store.Exec(b.Context(), bulkSessions); err != nil {
		b.Fatal(err)
	}
	s := serve(b, store)
	for b.Loop() {
		if n := s.drain(b, sessionsCSV); n < 10<<20 {
			b.Fatalf("only %d bytes", n)
		}
	}
	b.ReportMetric(600_000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkRecord_TwoWeeksOfOneUser(b *testing.B) {
	s := serve(b, company(b).store())
	for b.Loop() {
		s.drain(b, annaRecord)
	}
}

func (s *server) drain(tb testing.TB, path string) int64 {
	tb.Helper()
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, s.url+path, http.NoBody)
	if err != nil {
		tb.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		tb.Fatalf("GET %s: %d, %v", path, response.StatusCode, err)
	}
	return n
}
