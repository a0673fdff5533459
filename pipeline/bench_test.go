package pipeline

import (
	"fmt"
	"math"
	"testing"
	"time"

	"daybook/pipeline/benchlog"
	"daybook/pipeline/enrich"
	"daybook/pipeline/source"
	"daybook/schemas"
)

// benchChunks gives the events of benchlog as they come from Kafka.
func benchChunks(n, perChunk, users int) []*source.Chunk {
	var chunks []*source.Chunk
	for i, r := range benchlog.Records(n, users) {
		if i%perChunk == 0 {
			chunks = append(chunks, &source.Chunk{From: int64(i), Next: int64(i)})
		}
		c := chunks[len(chunks)-1]
		c.Records = append(c.Records, source.Record{Offset: int64(i), TimestampMs: r.TimeMs, Key: r.Key, Value: r.Value})
		c.Next = int64(i + 1)
	}
	return chunks
}

// BenchmarkStages runs decode, recognition of repeats, sessionizing and the
// making of rows over raw records of one partition: everything between the
// fetch and the encoding of Native blocks (schemas and clickhouse have the
// benchmarks of those).
func BenchmarkStages(b *testing.B) {
	for _, users := range []int{10_000, 200_000} {
		b.Run(fmt.Sprintf("users=%d", users), func(b *testing.B) {
			const n = 400_000
			chunks := benchChunks(n, 2000, users)
			rules := Standard(2*time.Hour, time.Minute)
			bytes, events := 0, 0
			for _, c := range chunks {
				for i := range c.Records {
					bytes += len(c.Records[i].Value)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				s := newState(&rules, 1, 0, 1, 0)
				s.network("bench").set(&schemas.Control{Network: "bench", Position: 0, GapMs: schemas.DefaultGapMs})
				d := &decoder{rules: &rules, partitions: 1, classes: enrich.New(classCache)}
				var sl slab
				for i, c := range chunks {
					for last := false; !last; {
						sl.reset(s.pos)
						last = d.fill(&sl, c, 256)
						if stopped, err := s.advance(&sl, math.MaxInt); err != nil || stopped {
							b.Fatal(stopped, err)
						}
						events += len(s.takeRows("events").Events)
					}
					if i%16 == 15 || i == len(chunks)-1 {
						f := s.takeFlush("events", s.pos, false)
						s.settle()
						s.reuse(f)
					}
				}
			}
			b.StopTimer()
			if want := n * 99 / 100 * b.N; events != want {
				b.Fatalf("accepted %d events, want %d", events, want)
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(bytes)/n, "bytes/event")
		})
	}
}
