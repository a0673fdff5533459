package clickhouse_test

import (
	"bytes"
	"fmt"
	"strconv"
	"testing"
	"time"

	"daybook/clickhouse"
	"daybook/schemas"
)

// engineCPU gives the CPU that the engine's queries and merges have used.
func engineCPU(b *testing.B, s *clickhouse.Store) time.Duration {
	b.Helper()
	got := text(b, s, "SELECT toString(sum(value)) FROM system.events WHERE event IN ('UserTimeMicroseconds', 'SystemTimeMicroseconds')")
	n, err := strconv.ParseInt(got[0], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(n) * time.Microsecond
}

// BenchmarkIngest measures rows/s and the engine's CPU a row of the same events:
// by Write into events (27 columns more than the anchor has fields, views and
// all), and as JSONEachRow into a plain MergeTree of 12 columns, the anchor of
// ARCHITECTURE.md section 6. Blocks of 50,000.
func BenchmarkIngest(b *testing.B) {
	const n = 50_000
	s := open(b)
	exec(b, s, `CREATE TABLE anchor (id String, source LowCardinality(String), network LowCardinality(String), user String, time DateTime64(3, 'UTC'),
		received DateTime64(3, 'UTC'), type LowCardinality(String), category LowCardinality(String), action LowCardinality(String), label String,
		content String, url String, ua LowCardinality(String)) ENGINE = MergeTree PARTITION BY toYYYYMM(time) ORDER BY (network, user, time)`)
	flushes := make([]*schemas.Flush, 8)
	json := make([][]byte, len(flushes))
	for i := range flushes {
		flushes[i] = clickhouse.BenchFlush(int64(i)*n, n)
		json[i] = jsonOf(flushes[i])
	}
	for name, insert := range map[string]func(i int) error{
		"Write":       func(i int) error { return s.Write(b.Context(), flushes[i%len(flushes)]) },
		"JSONEachRow": func(i int) error { return s.InsertText(b.Context(), "anchor", "JSONEachRow", json[i%len(json)]) },
	} {
		b.Run(name, func(b *testing.B) {
			before := engineCPU(b, s)
			i := 0
			for b.Loop() {
				if err := insert(i); err != nil {
					b.Fatal(err)
				}
				i++
			}
			rows := float64(i * n)
			b.ReportMetric(rows/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64((engineCPU(b, s)-before).Microseconds())/rows, "engine-µs/row")
		})
	}
}

func jsonOf(f *schemas.Flush) []byte {
	var b bytes.Buffer
	for _, r := range f.Events {
		e := r.Event
		fmt.Fprintf(&b, `{"id":%q,"source":%q,"network":%q,"user":%q,"time":%q,"received":%q,"type":%q,"category":%q,"action":%q,"label":%q,"content":%q,"url":%q,"ua":%q}`+"\n",
			e.ID, e.Source, e.Network, e.User, text3(r.TimeMs), text3(r.ReceivedMs), e.Type, e.Category, e.Action, e.Label, e.ContentID, e.URL, e.UserAgent)
	}
	return b.Bytes()
}

func text3(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05.000") }
