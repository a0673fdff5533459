package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// benchEvents is enough for several flushes of every partition and for CPU
// times of seconds, which /proc counts in hundredths.
const benchEvents = 300_000

// BenchmarkEndToEnd measures the whole path on this machine: a generated file
// through Kafka, worker and engine until every record is visible, and in the
// same run, by the same engine, the ingest of the same events as JSONEachRow
// into a plain table. CPU counts user and system time of the processes.
//
// "dev" is broker, worker and API in one process, so its figure includes the
// embedded broker's share; "engine" is the child process alone.
func BenchmarkEndToEnd(b *testing.B) {
	d := startDev(b, b.TempDir())
	file := filepath.Join(b.TempDir(), "events.ndjson")
	d.run(0, "generate", "--seed", "11", "--events", strconv.Itoa(benchEvents), "--networks", "4", "--users", "20000", "--days", "7", "--out", file)
	text, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	events := float64(bytes.Count(text, []byte("\n")))
	round := 0
	for b.Loop() {
		network := fmt.Sprintf("bench-%d", round)
		round++
		devBefore, engineBefore := d.cpu()
		begin := time.Now()
		d.run(0, "replay", file, "--network", network, "--wait")
		wall := time.Since(begin)
		devAfter, engineAfter := d.cpu()

		json := d.ingestJSON(text)
		dev := (devAfter - devBefore).Seconds() * 1e6 / events
		engine := (engineAfter - engineBefore).Seconds() * 1e6 / events
		b.ReportMetric(events/wall.Seconds(), "events/s")
		b.ReportMetric(dev, "dev-cpu-µs/event")
		b.ReportMetric(engine, "engine-cpu-µs/event")
		b.ReportMetric(json, "JSONEachRow-engine-cpu-µs/event")
		b.ReportMetric((dev+engine)/json, "whole/JSONEachRow")
		b.ReportMetric(engine/json, "engine/JSONEachRow")
	}
	b.ReportMetric(0, "ns/op") // says nothing here
	d.stop()
}

// ingestJSON inserts the file's lines as they are, in blocks of 100,000 rows,
// into a MergeTree table of the columns that an event has, and gives the
// engine's CPU in microseconds an event, merges that fall into it included.
func (d *instance) ingestJSON(text []byte) float64 {
	d.t.Helper()
	d.sql(`CREATE OR REPLACE TABLE daybook.bench_json (
		id String, source LowCardinality(String), network LowCardinality(String), user String,
		time DateTime64(3, 'UTC'), type LowCardinality(String), category LowCardinality(String),
		action LowCardinality(String), label String,
		device Tuple(id String, class LowCardinality(String)),
		content Tuple(id String, name String, slug String),
		context Tuple(zone String, ua String, url String)
	) ENGINE = MergeTree PARTITION BY toYYYYMM(time) ORDER BY (network, user, time)`)
	_, before := d.cpu()
	events := 0
	for rest := text; len(rest) > 0; {
		var block []byte
		block, rest = cutLines(rest, 100_000)
		events += bytes.Count(block, []byte("\n"))
		d.insert("INSERT INTO daybook.bench_json SETTINGS async_insert = 0, input_format_skip_unknown_fields = 1, date_time_input_format = 'best_effort' FORMAT JSONEachRow", block)
	}
	_, after := d.cpu()
	if n := d.number("SELECT count() FROM daybook.bench_json"); n != int64(events) {
		d.t.Fatalf("JSONEachRow: %d rows stored, want %d", n, events)
	}
	d.sql("DROP TABLE daybook.bench_json")
	return (after - before).Seconds() * 1e6 / float64(events)
}

// cutLines cuts text behind its n-th line.
func cutLines(text []byte, n int) (head, rest []byte) {
	at := 0
	for range n {
		i := bytes.IndexByte(text[at:], '\n')
		if i < 0 {
			return text, nil
		}
		at += i + 1
	}
	return text[:at], text[at:]
}

func (d *instance) insert(statement string, rows []byte) {
	d.t.Helper()
	req, err := http.NewRequest(http.MethodPost, d.ClickHouse, io.MultiReader(strings.NewReader(statement+"\n"), bytes.NewReader(rows)))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("X-ClickHouse-User", d.User)
	req.Header.Set("X-ClickHouse-Key", d.Password)
	d.answer(req)
}

// cpu gives the CPU time that dev and its engine have used.
func (d *instance) cpu() (dev, engine time.Duration) {
	dev = processCPU(d.t, d.cmd.Process.Pid)
	for _, pid := range descendants(d.cmd.Process.Pid) {
		engine += processCPU(d.t, pid)
	}
	return dev, engine
}

// processCPU reads user and system time from /proc, which counts in ticks of
// a hundredth of a second on Linux.
func processCPU(tb testing.TB, pid int) time.Duration {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		tb.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, errUser := strconv.ParseInt(fields[11], 10, 64)
	system, errSystem := strconv.ParseInt(fields[12], 10, 64)
	if errUser != nil || errSystem != nil {
		tb.Fatalf("read CPU time of process %d: %q", pid, text)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}
