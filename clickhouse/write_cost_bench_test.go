package clickhouse_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"daybook/clickhouse"
	"daybook/schemas"
)

// benchPartitions flush at once in BenchmarkWrite, as a worker's do.
const benchPartitions = 4

// benchAnchor is the table that JSONEachRow goes into: the columns that an event
// has as it is sent, and nothing of what Daybook adds.
const benchAnchor = `CREATE TABLE anchor (
	id String, source LowCardinality(String), network LowCardinality(String), user String,
	time DateTime64(3, 'UTC'), type LowCardinality(String), category LowCardinality(String), action LowCardinality(String), label String,
	device Tuple(id String, class LowCardinality(String)), content Tuple(id String, name String, slug String), context Tuple(zone String, ua String, url String)
) ENGINE = MergeTree PARTITION BY toYYYYMM(time) ORDER BY (network, user, time)`

// BenchmarkWrite measures the CPU of the whole engine process for an event
// stored with its sessions, by events of a flush, merges included, and in the
// same run that of the same records as JSONEachRow into a plain table.
//
//	go test ./clickhouse -run XXX -bench 'Write$' -benchtime 3x
//
// One iteration is a flush of each of four partitions. "merge" is the share of
// merges in "engine", "inserts" are statements a flush, of up to six tables.
func BenchmarkWrite(b *testing.B) {
	for _, n := range []int{1000, 10_000, 50_000, 250_000} {
		b.Run(fmt.Sprintf("flush=%d", n), func(b *testing.B) { benchWrite(b, n, func(*schemas.Flush) {}) })
	}
	b.Run("JSONEachRow", func(b *testing.B) {
		s, l := open(b), newBenchLog(b, 1)
		exec(b, s, benchAnchor)
		m := newMeter(b, s)
		for b.Loop() {
			b.StopTimer()
			_, lines := l.flush(0, 100_000)
			m.resume()
			b.StartTimer()
			if err := s.InsertText(b.Context(), "anchor", "JSONEachRow", lines); err != nil {
				b.Fatal(err)
			}
			m.pause()
		}
		m.report(100_000*b.N, b.N)
	})
}

// BenchmarkWriteTables measures what each table of a flush of 10,000 events
// costs when it is written without the others.
func BenchmarkWriteTables(b *testing.B) {
	for name, only := range map[string]func(all schemas.Flush, f *schemas.Flush){
		"events":       func(all schemas.Flush, f *schemas.Flush) { f.Events = all.Events },
		"sessions":     func(all schemas.Flush, f *schemas.Flush) { f.Sessions = all.Sessions },
		"session_days": func(all schemas.Flush, f *schemas.Flush) { f.Slices = all.Slices },
		"users":        func(all schemas.Flush, f *schemas.Flush) { f.Users = all.Users },
		"progress":     func(all schemas.Flush, f *schemas.Flush) { f.Progress = all.Progress },
		"ledger":       func(all schemas.Flush, f *schemas.Flush) { f.Ledger = all.Ledger },
	} {
		b.Run(name, func(b *testing.B) {
			benchWrite(b, 10_000, func(f *schemas.Flush) {
				all := *f
				*f = schemas.Flush{Topic: f.Topic, Epoch: f.Epoch, Partition: f.Partition, From: f.From, Next: f.Next}
				only(all, f)
			})
		})
	}
}

func benchWrite(b *testing.B, n int, change func(*schemas.Flush)) {
	b.Helper()
	s, l := open(b), newBenchLog(b, benchPartitions)
	m := newMeter(b, s)
	for b.Loop() {
		b.StopTimer()
		flushes := make([]*schemas.Flush, benchPartitions)
		for p := range flushes {
			flushes[p], _ = l.flush(int32(p), n)
			change(flushes[p])
		}
		m.resume()
		b.StartTimer()
		var group sync.WaitGroup
		for _, f := range flushes {
			group.Go(func() {
				if err := s.Write(b.Context(), f); err != nil {
					b.Error(err)
				}
			})
		}
		group.Wait()
		m.pause()
	}
	m.report(benchPartitions*n*b.N, benchPartitions*b.N)
}

// meter counts what the engine spends between resume and pause, and on the
// merges that are left behind.
type meter struct {
	b         *testing.B
	s         *clickhouse.Store
	pid       int
	at, spent cost
}

// cost is CPU in microseconds, and counts.
type cost struct{ cpu, merges, inserts int64 }

func newMeter(b *testing.B, s *clickhouse.Store) *meter {
	b.Helper()
	m := &meter{b: b, s: s}
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		text, _ := os.ReadFile(list) // a thread may have ended
		for f := range strings.FieldsSeq(string(text)) {
			m.pid, _ = strconv.Atoi(f)
		}
	}
	if m.pid == 0 {
		b.Skip("the engine is not a child of this process, or there is no /proc")
	}
	return m
}

// now reads the CPU of the process, that of its merge threads, and the inserts.
func (m *meter) now() (c cost) {
	m.b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.pid))
	if err != nil {
		m.b.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, f := range fields[11:13] { // user and system time, in hundredths of a second
		ticks, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			m.b.Fatal(err)
		}
		c.cpu += ticks * 10_000
	}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", m.pid))
	for _, task := range tasks {
		name, _ := os.ReadFile(task + "/comm") // the thread may have ended
		if strings.TrimSpace(string(name)) != "MergeMutate" {
			continue
		}
		var ns int64
		text, _ := os.ReadFile(task + "/schedstat")
		if _, err := fmt.Sscan(string(text), &ns); err == nil {
			c.merges += ns / 1000
		}
	}
	c.inserts = m.number("SELECT toString(sum(value)) FROM system.events WHERE event = 'InsertQuery'")
	return c
}

func (m *meter) number(sql string) int64 {
	m.b.Helper()
	n, err := strconv.ParseInt(text(m.b, m.s, sql)[0], 10, 64)
	if err != nil {
		m.b.Fatal(err)
	}
	return n
}

func (m *meter) resume() { m.b.Helper(); m.at = m.now() }

func (m *meter) pause() {
	m.b.Helper()
	c := m.now()
	m.spent.cpu += c.cpu - m.at.cpu
	m.spent.merges += c.merges - m.at.merges
	m.spent.inserts += c.inserts - m.at.inserts
}

func (m *meter) report(events, flushes int) {
	m.b.Helper()
	m.resume()
	for m.number("SELECT toString(count()) FROM system.merges") > 0 {
	}
	m.pause()
	per := func(n int64) float64 { return float64(n) / float64(events) }
	m.b.ReportMetric(per(m.spent.cpu), "engine-µs/event")
	m.b.ReportMetric(per(m.spent.merges), "merge-µs/event")
	m.b.ReportMetric(float64(m.spent.inserts)/float64(flushes), "inserts/flush")
	parts := " FROM system.parts WHERE active AND database = currentDatabase() AND table NOT IN ('migrations', 'daily_networks_stored')"
	m.b.ReportMetric(float64(m.number("SELECT toString(count())"+parts)), "parts")
	m.b.ReportMetric(per(m.number("SELECT toString(sum(bytes_on_disk))"+parts)), "disk-B/event")
	m.b.ReportMetric(0, "ns/op") // says nothing here
}
