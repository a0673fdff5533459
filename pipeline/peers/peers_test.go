package peers

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Flags of the measurement; `make peers` sets them.
var (
	peersEvents     = flag.Int("peers.events", 0, "events of the log; 0: nothing is measured")
	peersPartitions = flag.String("peers.partitions", "1,2,4", "numbers of partitions, each a run of everything")
	peersRounds     = flag.Int("peers.rounds", 1, "runs of each system, of which the median by CPU counts")
	peersOnly       = flag.String("peers.only", "", "regular expression of the systems to run; Daybook and JSONEachRow always do")
	peersReport     = flag.String("peers.report", "", "file for the report, in Markdown")
	peersDir        = flag.String("peers.dir", "", "folder for logs and data; else a temporary one")
)

// peer is a system in one setting.
type peer struct {
	name   string
	always bool // others are compared with it
	makes  bool // sessions
	run    func(context.Context, *site) (measured, error)
}

const (
	nameDropped     = "Daybook: worker, rows encoded and dropped"
	nameStored      = "Daybook: worker and engine, everything stored"
	nameKafkaEngine = "ClickHouse: Kafka engine into a table, sessions in SQL"
	nameJSON        = "ClickHouse: INSERT … JSONEachRow, no Kafka, no sessions"
)

func peers() []peer {
	all := []peer{
		{nameStored, true, true, runStored},
		{nameDropped, true, true, runDropped},
	}
	add := func(j javaPeer) { all = append(all, peer{j.name(), false, true, j.run}) }
	guarantees := []string{"at-least-once", "exactly-once"}
	for _, state := range []string{"heap", "rocksdb"} {
		for _, sink := range []string{"discard", "kafka"} {
			for _, guarantee := range guarantees {
				add(javaPeer{"Flink", state, guarantee, sink})
			}
		}
	}
	for _, state := range []string{"rocksdb", "memory"} {
		for _, guarantee := range guarantees {
			add(javaPeer{"Streams", state, guarantee, "kafka"})
		}
	}
	return append(all,
		peer{nameKafkaEngine, false, true, runKafkaEngine},
		peer{nameJSON, true, false, runJSONEachRow})
}

// few has every system and kind of state once, the guarantees in turn.
func few() []peer {
	names := []string{nameStored, nameDropped, nameJSON, nameKafkaEngine}
	for _, j := range []javaPeer{
		{"Flink", "heap", "at-least-once", "discard"},
		{"Flink", "rocksdb", "exactly-once", "kafka"},
		{"Streams", "rocksdb", "exactly-once", "kafka"},
		{"Streams", "memory", "at-least-once", "kafka"},
	} {
		names = append(names, j.name())
	}
	return slices.DeleteFunc(peers(), func(p peer) bool { return !slices.Contains(names, p.name) })
}

// measured is one run of a system.
type measured struct {
	peer       string
	partitions int
	events     int // fewer than the log has: its time was up, and its sessions are not compared
	got        sessions
	parts      []usage // of each process, the broker's not among them
	first      time.Time
	last       time.Time
	busy       time.Duration // in place of last − first
}

func (m *measured) wall() time.Duration {
	if m.busy > 0 {
		return m.busy
	}
	return m.last.Sub(m.first)
}

func (m *measured) rate() float64 { return float64(m.events) / m.wall().Seconds() }

// cpu and life are in microseconds an event: of the run, and of the processes'
// whole lives.
func (m *measured) cpu() float64 {
	return m.sum(func(u usage) float64 { return u.run.Seconds() * 1e6 }) / float64(m.events)
}

func (m *measured) life() float64 {
	return m.sum(func(u usage) float64 { return u.life.Seconds() * 1e6 }) / float64(m.events)
}

func (m *measured) sum(of func(usage) float64) (all float64) {
	for _, p := range m.parts {
		all += of(p)
	}
	return all
}

func (m *measured) peakMB() float64 {
	return m.sum(func(u usage) float64 { return float64(u.peakKB) / 1024 })
}

// runLimit bounds one run: the slowest peer takes 25 µs to 100 µs an event.
func runLimit(events int) time.Duration {
	return 2*time.Minute + time.Duration(events)*300*time.Microsecond
}

// one runs a system and refuses what it says if its sessions are not those of
// the reference.
func (p *peer) one(ctx context.Context, s *site) (measured, error) {
	ctx, cancel := context.WithTimeout(ctx, runLimit(s.events))
	defer cancel()
	m, err := p.run(ctx, s)
	m.peer, m.partitions = p.name, s.partitions
	if m.events == 0 {
		m.events = s.events
	}
	if whole := m.events == s.events; err == nil && whole && p.makes && m.got != s.want {
		err = fmt.Errorf("got %s, want %s", &m.got, &s.want)
	}
	return m, err
}

// Every system gives the sessions of the naive reference, pauses of exactly the
// gap among them.
func TestPeers_GiveTheSameSessions(t *testing.T) {
	if os.Getenv("DAYBOOK_TEST_KAFKA") == "" {
		t.Skip("DAYBOOK_TEST_KAFKA is not set: make test-peers")
	}
	need(t)
	s := newSite(t, 2, 50_000)
	for _, p := range few() {
		t.Run(p.name, func(t *testing.T) {
			if m, err := p.one(t.Context(), s); err != nil || m.events != s.events {
				t.Error(m.events, err)
			}
		})
	}
}

// The measurement: everything at every number of partitions, each run compared
// with the reference, and the table is printed.
func TestPeers(t *testing.T) {
	if *peersEvents == 0 {
		t.Skip("it takes minutes to an hour: make peers")
	}
	need(t)
	only := regexp.MustCompile(*peersOnly)
	all := slices.DeleteFunc(peers(), func(p peer) bool { return !p.always && !only.MatchString(p.name) })
	r := newReport(t)
	for text := range strings.SplitSeq(*peersPartitions, ",") {
		partitions, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(text, func(t *testing.T) {
			s := newSite(t, partitions, *peersEvents)
			r.log(s)
			for round := range *peersRounds {
				for _, p := range all {
					begin := time.Now()
					m, err := p.one(t.Context(), s)
					if err != nil {
						t.Errorf("%s: %v", p.name, err)
						continue
					}
					fmt.Printf("%d partitions, round %d, %-60s %8.0f events/s %6.2f µs (life %6.2f) %6.0f MB (%s in all)\n",
						partitions, round+1, p.name, m.rate(), m.cpu(), m.life(), m.peakMB(), time.Since(begin).Round(time.Second))
					r.add(m)
				}
			}
		})
	}
	text := r.text()
	fmt.Print("\n", text)
	if *peersReport != "" {
		if err := os.WriteFile(*peersReport, []byte(text), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// top is the project's top folder, seen from this package.
const top = "../.."

// need skips where the peers are not.
func need(tb testing.TB) {
	tb.Helper()
	for _, folder := range []string{".peers/flink", ".peers/streams", ".peers/classes/flink", ".peers/classes/streams", ".kafka/jars"} {
		if _, err := os.Stat(filepath.Join(top, folder)); err != nil {
			tb.Skipf("%s is missing: make peers-jars fetches and compiles the peers (needs Maven and a JDK)", folder)
		}
	}
}

// newSite builds Daybook from the tree as it is and starts a site that lives as
// long as the test.
func newSite(t *testing.T, partitions, events int) *site {
	t.Helper()
	dir := *peersDir
	if dir == "" {
		dir = t.TempDir()
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(top)
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "daybook")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", binary, "./cmd/daybook")
	build.Dir = top
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build daybook: %v\n%s", err, out)
	}
	s, err := startSite(t.Context(), root, dir, binary, partitions, events)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
