package pipeline

import (
	"fmt"
	"math"
	"math/rand"
	"testing"
	"time"

	"daybook/pipeline/enrich"
	"daybook/pipeline/source"
	"daybook/schemas"
)

// benchChunks makes events of about 340 bytes as they come from Kafka: users
// with a Zipf distribution, 1 % repeats, 5 % out of order within a minute.
func benchChunks(n, perChunk, users int) []*source.Chunk {
	r := rand.New(rand.NewSource(7))
	zipf := rand.NewZipf(r, 1.1, 8, uint64(users-1))
	begin := time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)
	agents := []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
	}
	var chunks []*source.Chunk
	var last source.Record
	for i := range n {
		if i%perChunk == 0 {
			chunks = append(chunks, &source.Chunk{From: int64(i), Next: int64(i)})
		}
		c := chunks[len(chunks)-1]
		at := begin.Add(time.Duration(i) * 5 * time.Millisecond)
		rec := last
		if i%100 != 99 {
			u := zipf.Uint64()
			shown := at
			if r.Intn(20) == 0 {
				shown = at.Add(-time.Duration(r.Intn(60_000)) * time.Millisecond)
			}
			user := fmt.Sprintf("user-%06d", u)
			rec.Key = schemas.AppendKey(nil, "bench", user)
			rec.Value = fmt.Appendf(nil, `{"id":"%08x-%04x","source":"web","network":"bench","user":%q,"time":%q,"type":"io.daybook.content.content.viewed","device":{"id":"d-%06d","class":"web"},"content":{"id":"article-%d","name":"An article"},"context":{"zone":"Europe/Amsterdam","ua":%q},"props":{"n":%d}}`,
				i, r.Intn(65536), user, shown.Format("2006-01-02T15:04:05.000Z"), u, r.Intn(5000), agents[u%2], i)
		}
		rec.Offset, rec.TimestampMs = int64(i), at.UnixMilli()
		last = rec
		c.Records, c.Next = append(c.Records, rec), int64(i+1)
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
