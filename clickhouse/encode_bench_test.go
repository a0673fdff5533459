package clickhouse

import (
	"fmt"
	"testing"

	"daybook/schemas"
)

// BenchmarkEncode turns a flush of 50,000 events into a Native block, without
// sending it: ns and allocations a row.
func BenchmarkEncode(b *testing.B) {
	f := BenchFlush(0, 50_000)
	e := newFlushEncoder(nil)
	b.ReportAllocs()
	for b.Loop() {
		e.reset()
		e.Add(f)
		if err := e.events.encode(); err != nil {
			b.Fatal(err)
		}
	}
	rows := float64(b.N * len(f.Events))
	b.SetBytes(int64(e.events.native.size()))
	b.ReportMetric(rows/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/rows, "ns/row")
	b.ReportMetric(testing.AllocsPerRun(1, func() { e.reset(); e.Add(f); _ = e.events.encode() })/float64(len(f.Events)), "allocs/row")
}

// The hot path must not allocate for each event: ARCHITECTURE.md section 6
// grants 0.05 to the whole of it.
func TestEncode_AllocatesNextToNothing(t *testing.T) {
	f := BenchFlush(0, 10_000)
	e := newFlushEncoder(nil)
	run := func() {
		e.reset()
		e.Add(f)
		if err := e.events.encode(); err != nil {
			t.Fatal(err)
		}
	}
	run()
	if got := testing.AllocsPerRun(5, run) / float64(len(f.Events)); got > 0.02 {
		t.Errorf("%.4f allocations an event", got)
	}
}

// BenchFlush is exported to the external tests. It makes n events from offset first on, as a site with 20 networks
// and 1,000 users sends them: some 340 bytes each as JSON.
func BenchFlush(first int64, n int) *schemas.Flush {
	f := &schemas.Flush{Topic: schemas.TopicEvents, Epoch: 1, From: first, Next: first + int64(n)}
	agents := make([][]byte, 40)
	for i := range agents {
		agents[i] = fmt.Appendf(nil, "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/%d.0.0.0 Safari/537.36", 80+i)
	}
	for i := range n {
		at := first + int64(i)
		user := (at * 7919) % 1000
		f.Events = append(f.Events, schemas.EventRow{
			Event: &schemas.Event{
				ID: fmt.Appendf(nil, "0190%08x-aaaa-bbbb", at), Source: []byte("web"), Network: fmt.Appendf(nil, "network-%02d", user%20),
				User: fmt.Appendf(nil, "user-%04d", user), Type: []byte("io.daybook.presence.activity"), Category: []byte("Navigation"),
				Action: []byte("Viewed"), Label: fmt.Appendf(nil, "Page %d", at%500), ContentID: fmt.Appendf(nil, "content-%d", at%500),
				Zone: []byte("Europe/Amsterdam"), UserAgent: agents[user%40], URL: fmt.Appendf(nil, "https://example.org/page/%d", at%500),
			},
			Offset: at, TimeMs: 1_780_000_000_000 + at*20, ReceivedMs: 1_780_000_000_000 + at*20 + 150, DeviceID: []byte("web"),
			Class: schemas.ClassWeb, GapMs: schemas.DefaultGapMs, Zone: "Europe/Amsterdam", Content: uint64(at),
		})
	}
	return f
}
