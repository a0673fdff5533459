package source_test

import (
	"bytes"
	"fmt"
	"testing"

	"daybook/pipeline/source"
)

// benchRecord has the size of an event: 340 bytes.
func benchRecord(i int) *source.Outgoing {
	return &source.Outgoing{
		Key: fmt.Appendf(nil, "network/user-%d", i%50_000), Partition: -1,
		Value: append(fmt.Appendf(nil, `{"id":"%020d","time":"2026-11-22T11:44:55.123Z","n":%d,"text":"`, i, i*7919%104_729), bytes.Repeat([]byte("presence "), 28)...),
	}
}

func BenchmarkFetch(b *testing.B) {
	const count = 100_000
	for _, compression := range []source.Compression{source.CompressionNone, source.CompressionLZ4, source.CompressionZstd} {
		b.Run(map[source.Compression]string{0: "none", source.CompressionLZ4: "lz4", source.CompressionZstd: "zstd"}[compression], func(b *testing.B) {
			c := openWithTopics(b, 1)
			p, err := c.NewProducer(b.Context(), source.ProducerConfig{Compression: compression})
			if err != nil {
				b.Fatal(err)
			}
			for i := range count {
				if err := p.Send(b.Context(), benchRecord(i)); err != nil {
					b.Fatal(err)
				}
			}
			if err := p.Close(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			total := 0
			for b.Loop() {
				for next := int64(0); next < count; {
					chunk, err := c.Fetch(b.Context(), 0, next)
					if err != nil {
						b.Fatal(err)
					}
					next = chunk.Next
					total += len(chunk.Records)
					chunk.Release()
				}
			}
			b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64(total)/float64(b.N), "records/op")
		})
	}
}

func BenchmarkProducer(b *testing.B) {
	c := openWithTopics(b, 4)
	p, err := c.NewProducer(b.Context(), source.ProducerConfig{})
	if err != nil {
		b.Fatal(err)
	}
	records := make([]*source.Outgoing, 4_096)
	for i := range records {
		records[i] = benchRecord(i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := p.Send(b.Context(), records[i%len(records)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
	if err := p.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "records/s")
}
