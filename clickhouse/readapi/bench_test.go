package readapi_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

// Benchmarks over the embedded engine, the HTTP server included. Targets:
// ARCHITECTURE.md section 6.

// Rows/s, and the memory that an export takes: peak-MB is the same for four times
// the rows. It is that of API and client; the engine is a process of its own.
func BenchmarkExport_Sessions(b *testing.B) {
	store := company(b).store()
	if err := store.Exec(b.Context(), bulkSessions); err != nil {
		b.Fatal(err)
	}
	s := serve(b, store)
	for _, to := range []string{"2026-03-01", "2026-03-04", "2026-03-31"} { // n rows, 4 n, 7 n
		path := "/v1/networks/acme/sessions?format=csv&from=2026-03-01&to=" + to
		rows := s.drain(b, path)
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			b.ReportAllocs()
			peak := watchHeap()
			for b.Loop() {
				if n := s.drain(b, path); n != rows || n < 80_000 {
					b.Fatalf("%d rows, then %d", rows, n)
				}
			}
			b.ReportMetric(float64(peak())/1e6, "peak-MB")
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// watchHeap samples what the heap takes of the system until the function that it
// gives is called, which says the most, bytes.
func watchHeap() (peak func() uint64) {
	debug.FreeOSMemory()
	stop, most := make(chan struct{}), make(chan uint64)
	go func() {
		held := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for top := uint64(0); ; {
			metrics.Read(held)
			top = max(top, held[0].Value.Uint64()+held[1].Value.Uint64()+held[2].Value.Uint64())
			select {
			case <-stop:
				most <- top
				return
			case <-tick.C:
			}
		}
	}()
	return func() uint64 { close(stop); return <-most }
}

func BenchmarkRecord_TwoWeeksOfOneUser(b *testing.B) {
	s := serve(b, company(b).store())
	for b.Loop() {
		s.drain(b, annaRecord)
	}
}

// drain reads an answer to its end and counts its lines.
func (s *server) drain(tb testing.TB, path string) (lines int) {
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
	buf := make([]byte, 64<<10)
	for err == nil {
		var n int
		n, err = response.Body.Read(buf)
		lines += bytes.Count(buf[:n], []byte{'\n'})
	}
	if !errors.Is(err, io.EOF) || response.StatusCode != http.StatusOK {
		tb.Fatalf("GET %s: %d, %v", path, response.StatusCode, err)
	}
	return lines
}
