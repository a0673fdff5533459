package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"daybook/pipeline/source"
	"daybook/schemas"
)

var (
	sizingFor      = flag.Duration("sizing.for", 30*time.Second, "how long BenchmarkSizing measures each load")
	sizingSessions = flag.Int64("sizing.sessions", 1_000_000, "open sessions of BenchmarkSizing")
)

// The two loads that BenchmarkSizing lays a line through, events a second: the
// higher one gives a partition about as much as it has in the table. What the line
// has at zero is the price of a flush a second in every partition, however few rows
// it holds.
const (
	sizingLow  = 5_000
	sizingHigh = 50_000
)

// Assumptions of the table, named in what it prints.
const (
	sizingLoad  = 0.5 // share of the cores that are busy: what is left drains a backlog
	sizingCores = 4   // of one worker
	sizingUsers = 5   // who have a session open, for each event a second: rows of sessions are a large part of the cost
)

// Repeats are recognised within an hour (SEMANTICS.md), so the ids of an hour are
// kept. A partition that has more than its bound moves its horizon up, at twice the
// bound so far that all events are late (pipeline.Config.MaxRepeatIDs).
const (
	sizingIDSeconds = 3600
	sizingIDs       = 8_000_000 // of a partition
	sizingIDBytes   = 75        // at most, pipeline/DESIGN.md
)

// price is what a part costs: cores that are busy = fixed × partitions +
// perEvent × events a second.
type price struct{ fixed, perEvent float64 }

// BenchmarkSizing derives what an installation needs for a number of events a
// second from what is measured here: CPU of broker, worker and engine under two
// steady loads, bytes on disk, memory of open sessions. It prints the
// measurements, the formulas and the table of README.md.
//
//	make sizing
func BenchmarkSizing(b *testing.B) {
	m, s := benchSite(b, benchPartitions)
	to, err := s.client.NewProducer(b.Context(), source.ProducerConfig{Compression: source.CompressionLZ4})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		low, high := m.steadyCores(b, s, to, sizingLow), m.steadyCores(b, s, to, sizingHigh)
		prices := make(map[string]price)
		for i, p := range m.parts {
			perEvent := (high[i] - low[i]) / (sizingHigh - sizingLow)
			prices[p.name] = price{fixed: max(0, low[i]-perEvent*sizingLow) / benchPartitions, perEvent: perEvent}
		}
		disk, logBytes := m.diskBytes(s)
		memory := m.sessionMemory(b, s, to)
		say("%s\n%s", m.machine(), sizing(prices, disk, logBytes, memory))
	}
	b.ReportMetric(0, "ns/op") // says nothing here
	if err := to.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// steadyCores gives how many cores every part keeps busy under a steady load.
func (m *bench) steadyCores(b *testing.B, s *site, to *source.Producer, perSecond float64) []float64 {
	b.Helper()
	network := fmt.Sprintf("load-%.0f", perSecond)
	m.run("network", "set", network, "--zone", "Europe/Prague")
	l := newLiveLoad(to, network, uint64(sizingUsers*perSecond))
	done, sent := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := l.steady(b.Context(), perSecond, nil, done)
		sent <- err
	}()
	<-overAt(time.Now().Add(freshSettles)) // what a start costs is not what it costs to run
	before, begin := m.usages(), time.Now()
	<-overAt(begin.Add(*sizingFor))
	after, took := m.usages(), time.Since(begin)
	close(done)
	if err := <-sent; err != nil {
		b.Fatal(err)
	}
	m.awaitLag(s, 0, startLimit)
	cores := make([]float64, len(m.parts))
	for i := range cores {
		cores[i] = (after[i].cpu - before[i].cpu).Seconds() / took.Seconds()
	}
	return cores
}

// diskBytes gives what an event takes: in the tables when they are merged,
// everything that is made of it included, and in the log.
func (m *bench) diskBytes(s *site) (tables, log float64) {
	m.tb.Helper()
	for name := range strings.FieldsSeq(m.sql("SELECT DISTINCT table FROM system.parts WHERE database = 'daybook' AND active", nil)) {
		m.sql("OPTIMIZE TABLE daybook."+name+" FINAL", nil)
	}
	events := float64(m.number("SELECT count() FROM daybook.events_versions"))
	stored := float64(m.number("SELECT sum(bytes_on_disk) FROM system.parts WHERE database = 'daybook' AND active"))
	var bytes int64
	folders, err := filepath.Glob(filepath.Join(s.dir, "broker", "kafka", "partitions", schemas.TopicEvents+"-*"))
	if err != nil || len(folders) == 0 {
		m.tb.Fatalf("find the log of %s: %v", schemas.TopicEvents, err)
	}
	for _, folder := range folders {
		if err := filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			info, err := entry.Info()
			if err == nil {
				bytes += info.Size()
			}
			return err
		}); err != nil {
			m.tb.Fatal(err)
		}
	}
	return stored / events, float64(bytes) / events
}

// sessionMemory gives by how many bytes the worker's heap grows for a user with an
// open session and one event: both, its key and the event's id.
func (m *bench) sessionMemory(b *testing.B, s *site, to *source.Producer) float64 {
	b.Helper()
	m.run("network", "set", loadNetwork, "--zone", "UTC")
	l := newLiveLoad(to, loadNetwork, 100)
	m.trickle(b, s, l)
	before, open := m.workerBytes(s), m.openSessions()
	m.openMany(b, s, to, "many")
	m.trickle(b, s, l)
	more := m.openSessions() - open
	if more < *sizingSessions/2 {
		b.Fatalf("%d more sessions are open, want some %d", more, *sizingSessions)
	}
	return (m.workerBytes(s) - before) / float64(more)
}

// trickle lets the worker go through so many small flushes that nothing is left of
// the buffers of large ones.
func (m *bench) trickle(b *testing.B, s *site, l *liveLoad) {
	b.Helper()
	if _, err := l.steady(b.Context(), 100, nil, overAt(time.Now().Add(freshSettles))); err != nil {
		b.Fatal(err)
	}
	m.awaitLag(s, 0, startLimit)
}

// openMany begins a session of every user of a network.
func (m *bench) openMany(b *testing.B, s *site, to *source.Producer, network string) {
	b.Helper()
	m.run("network", "set", network, "--zone", "UTC")
	start := time.Now().Add(-5 * time.Minute)
	for i := range *sizingSessions {
		user := fmt.Appendf(nil, "user-%d", i)
		at := start.Add(time.Duration(i) * 4 * time.Minute / time.Duration(*sizingSessions))
		value := schemas.AppendEvent(nil, &schemas.Event{ID: user, Source: []byte("sizing"), Network: []byte(network), User: user, TimeMs: at.UnixMilli()})
		if err := to.Send(b.Context(), &source.Outgoing{Key: append([]byte(network+"/"), user...), Value: value, Partition: -1}); err != nil {
			b.Fatal(err)
		}
	}
	if err := to.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	m.awaitLag(s, 0, startLimit)
}

func (m *bench) openSessions() int64 {
	m.tb.Helper()
	return m.number("SELECT sum(open_sessions) FROM daybook.partitions")
}

// workerBytes is what lives on the worker's heap now: what its profile says after
// a collection.
func (m *bench) workerBytes(s *site) float64 {
	m.tb.Helper()
	var address string
	for line := range strings.Lines(s.workers[0].tail()) {
		var said struct{ Metrics string }
		if json.Unmarshal([]byte(line), &said) == nil && said.Metrics != "" {
			address = said.Metrics
		}
	}
	var metrics string
	for _, path := range []string{"/debug/pprof/heap?gc=1", "/metrics"} {
		req, err := http.NewRequest(http.MethodGet, address+path, http.NoBody)
		if err != nil {
			m.tb.Fatal(err)
		}
		if metrics, err = answerOf(req); err != nil {
			m.tb.Fatal(err)
		}
	}
	_, rest, _ := strings.Cut(metrics, "\ngo_memstats_heap_alloc_bytes ")
	text, _, _ := strings.Cut(rest, "\n")
	bytes, err := strconv.ParseFloat(text, 64)
	if err != nil {
		m.tb.Fatalf("read the worker's metrics at %q: %v", address, err)
	}
	return bytes
}

// sizing is the table, with what it is derived from.
func sizing(prices map[string]price, diskBytes, logBytes, sessionBytes float64) string {
	worker, engine, broker := prices["worker"], prices["engine"], prices["broker"]
	perCore := 1 / worker.perEvent
	var out strings.Builder
	fmt.Fprintf(&out, "measured: steady loads of %d and %d events/s for %s each, %d users online for each event a second, %d partitions\n\n", sizingLow, sizingHigh, *sizingFor, sizingUsers, benchPartitions)
	rows := []string{"part|CPU µs an event|cores a partition, whatever comes"}
	for _, name := range []string{"broker", "worker", "engine"} {
		rows = append(rows, fmt.Sprintf("%s|%.2f|%.3f", name, prices[name].perEvent*1e6, prices[name].fixed))
	}
	out.WriteString(table(rows...))
	fmt.Fprintf(&out, `
an event takes %.0f bytes in the tables (merged; sessions, days and accounts of it included) and %.0f in the log;
a user with an open session takes %.0f bytes of the worker's heap, %.0f MB a million, twice that until it is collected; a worker's core takes %.0f events/s

partitions = max(%d, events/s ÷ (%.0f %% × events/s of a core), ids ÷ %d): one goroutine applies a partition, and keeps so many ids
ids = %d s × events/s, repeats of which are recognised;  their memory = ids × %d bytes at most
busy cores = partitions × cores a partition + events/s × CPU an event;  cores = busy cores ÷ %.0f %%
workers = cores of the workers ÷ %d;  disk a day = events/s × 86,400 × bytes an event
open sessions = %d × events/s;  their memory = 2 × open sessions × bytes of one

`, diskBytes, logBytes, sessionBytes, sessionBytes, perCore,
		benchPartitions, sizingLoad*100, sizingIDs, sizingIDSeconds, sizingIDBytes, sizingLoad*100, sizingCores, sizingUsers)
	rows = []string{fmt.Sprintf("events/s|partitions|workers of %d cores|cores: workers|engine|Kafka|memory: open sessions|ids|tables a day|log a day", sizingCores)}
	for _, rate := range []float64{10_000, 100_000, 1_000_000} {
		partitions := max(benchPartitions, math.Ceil(rate/(sizingLoad*perCore)), math.Ceil(rate*sizingIDSeconds/sizingIDs))
		cores := func(p price) float64 { return (p.fixed*partitions + p.perEvent*rate) / sizingLoad }
		rows = append(rows, fmt.Sprintf("%.0f|%.0f|%.0f|%.1f|%.1f|%.1f|%.2f GB|%.1f GB|%.0f GB|%.0f GB", rate, partitions, math.Ceil(cores(worker)/sizingCores),
			cores(worker), cores(engine), cores(broker), 2*sizingUsers*rate*sessionBytes/1e9, rate*sizingIDSeconds*sizingIDBytes/1e9, rate*86_400*diskBytes/1e9, rate*86_400*logBytes/1e9))
	}
	out.WriteString(table(rows...))
	return out.String()
}

// The table follows from the formulas.
func TestSizing_FollowsFromTheFormulas(t *testing.T) {
	text := sizing(map[string]price{"worker": {0.01, 2e-6}, "engine": {0.05, 3e-6}, "broker": {0, 1e-6}}, 100, 50, 200)
	// 10,000/s: 36 M ids ÷ 8 M = 5 partitions; worker (0.05 + 0.02) / 0.5; engine (0.25 + 0.03) / 0.5.
	// 1,000,000/s: 450 partitions; worker (4.5 + 2) / 0.5; engine (22.5 + 3) / 0.5.
	for _, want := range []string{
		"| 10000    | 5          | 1                  | 0.1            | 0.6    | 0.0   | 0.02 GB               | 2.7 GB   | 86 GB        | 43 GB     |",
		"| 1000000  | 450        | 4                  | 13.0           | 51.0   | 2.0   | 2.00 GB               | 270.0 GB | 8640 GB      | 4320 GB   |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no line %s in\n%s", want, text)
		}
	}
}
