package pipeline

import (
	"testing"
	"time"

	"daybook/pipeline/enrich"
	"daybook/pipeline/source"
	"daybook/schemas"
)

// BenchmarkDecode is everything that is done with a record before the state sees
// it.
func BenchmarkDecode(b *testing.B) {
	const n = 4000
	var records []source.Record
	size := 0
	for _, c := range benchChunks(n, 2000, 10_000) {
		records = append(records, c.Records...)
	}
	for i := range records {
		size += len(records[i].Value)
	}
	rules := Standard(2*time.Hour, time.Minute)
	d := decoder{rules: &rules, partitions: 1, classes: enrich.New(classCache)}
	b.SetBytes(int64(size / n))
	b.ReportAllocs()
	i := 0
	var out record
	for b.Loop() {
		out = record{}
		if d.decode(&records[i], &out); out.reject.Reason != schemas.Accepted {
			b.Fatal(out.reject)
		}
		d.json.Reset()
		if i++; i == n {
			i = 0
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
