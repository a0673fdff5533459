package replay

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"daybook/cmd/daybook/generate"
)

// benchLines is a file that fits the cache of no processor.
const benchLines = 100_000

// benchFile is what `daybook generate` writes.
func benchFile(b *testing.B) string {
	b.Helper()
	gen, err := generate.New(generate.Config{Seed: 11, Events: benchLines, Networks: 4, Users: 20_000, Days: 7, Name: "load"})
	if err != nil {
		b.Fatal(err)
	}
	var text bytes.Buffer
	for r, ok := gen.Next(); ok; r, ok = gen.Next() {
		text.Write(r.Value)
		text.WriteByte('\n')
	}
	path := filepath.Join(b.TempDir(), "events.ndjson")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// BenchmarkRead reads, maps and sorts a file of events; "written anew" gives
// every line another network, so that none goes on as it is.
func BenchmarkRead(b *testing.B) {
	file := benchFile(b)
	for name, opts := range map[string]*Options{"as it is": {Format: FormatAuto}, "written anew": {Format: FormatAuto, Network: "shop"}} {
		for _, memory := range []int64{1 << 30, 8 << 20} {
			b.Run(fmt.Sprintf("%s/memory=%dMB", name, memory>>20), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					in, err := OpenInputs([]string{file}, nil)
					if err != nil {
						b.Fatal(err)
					}
					s := NewSorter(b.TempDir(), memory)
					if err := Read(b.Context(), in, opts, s.Add); err != nil {
						b.Fatal(err)
					}
					n := 0
					if err := s.Each(func(*Row) error { n++; return nil }); err != nil || n != benchLines {
						b.Fatalf("%d rows, %v; want %d", n, err, benchLines)
					}
					if err := s.Close(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(benchLines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
			})
		}
	}
}
