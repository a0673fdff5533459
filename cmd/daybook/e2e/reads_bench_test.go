package e2e

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The size of the store that reads are measured on; `make bench-reads` sets
// them.
var (
	readsDays    = flag.Int("reads.days", 100_000, "session-days of the store (slices of sessions by local date)")
	readsEvents  = flag.Int("reads.events", 1_000_000, "events of the store")
	readsDir     = flag.String("reads.dir", "", "folder that keeps filled stores for the next run; empty: a temporary one")
	readsSeconds = flag.Int("reads.seconds", 20, "seconds that each load lasts")
	readsRate    = flag.Int("reads.rate", 20, "requests a second of the open loop")
	readsIngest  = flag.Int("reads.ingest", 2000, "events a second that come in beside the reads")
	readsVerify  = flag.Bool("reads.verify", false, "run daybook verify over the filled store: minutes for each ten million events")
)

// Shape of the store: networks of 100,000 session-days over 100 days, and one
// that is ten times as large, of a tenth of all events.
const (
	readsUsers    = 1000 // of each network
	readsSpan     = 100  // days
	readsNetwork  = 100_000
	readsFirstDay = "2026-01-05" // of the generator
	readsLiveDay  = "2026-04-13" // what comes in beside: the last day of the range that is asked for
)

// BenchmarkReads fills a store by the product itself (generate, broker, worker,
// engine), keeps it for the next run, and measures the read API and the
// cookbook on it. Latency counts from the instant at which a request was due,
// not from when it could be sent: a slow answer delays nobody else's clock.
//
//	make bench-reads                                 10 million session-days, 100 million events
//	make bench-reads DAYS=1000000 EVENTS=10000000
func BenchmarkReads(b *testing.B) {
	s := openReads(b)
	fmt.Printf("machine: %d cores, load %s, %s\n", runtime.NumCPU(), loadAverage(), runtime.Version())
	s.describe()
	s.cases()
	s.exports()
	s.cookbook()
	b.ReportMetric(0, "ns/op") // the tables are the result
	s.stop()
}

// reads is a filled store behind a running API.
type reads struct {
	*instance

	api      *exec.Cmd
	refused  atomic.Int64
	networks int
	rng      *rand.Rand
}

// openReads starts dev on a filled store, which it fills if there is none.
func openReads(b *testing.B) *reads {
	b.Helper()
	root := *readsDir
	if root == "" {
		root = b.TempDir()
	}
	dir := filepath.Join(root, fmt.Sprintf("reads-%d-%d", *readsDays, *readsEvents))
	filled := filepath.Join(dir, "filled")
	_, err := os.Stat(filled)
	if err != nil {
		if err := os.RemoveAll(dir); err != nil { // one that was broken off
			b.Fatal(err)
		}
	}
	s := &reads{
		// The log is not needed again: what is kept of it is bounded.
		instance: startDev(b, dir, "DAYBOOK_BROKER_DISK_BYTES=1073741824"),
		networks: max(2, *readsDays/readsNetwork), rng: rand.New(rand.NewPCG(1, 1)),
	}
	if err != nil {
		s.fill()
		if err := os.WriteFile(filled, nil, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	s.serve()
	return s
}

// serve starts the read API as a process of its own, so that its CPU and memory
// are told from those of broker and worker.
func (s *reads) serve() {
	s.t.Helper()
	const key = "bench-reads-admin-key-of-one-run-0123456789"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		s.t.Fatal(err)
	}
	dsn, err := url.Parse(s.ClickHouse)
	if err != nil {
		s.t.Fatal(err)
	}
	dsn.User, dsn.Path = url.UserPassword(s.User, s.Password), "/daybook"
	path, _ := binary() // built by startDev
	s.api = exec.Command(path, "serve", "--data", s.t.TempDir(), "--api", addr)
	s.api.Env = environment("DAYBOOK_CLICKHOUSE_DSN="+dsn.String(), "DAYBOOK_ADMIN_KEY="+key, "DAYBOOK_LOG_LEVEL=error")
	s.api.Stderr = os.Stderr // why requests were refused
	if err := s.api.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = s.api.Process.Kill(); _ = s.api.Wait() })
	s.API, s.AdminKey = "http://"+addr, key
	s.await("the API", func() bool {
		resp, err := http.Get(s.API + "/openapi.json")
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
	})
}

// cpu gives the CPU time that API and engine have used.
func (s *reads) cpu() (api, engine time.Duration) {
	return processCPU(s.t, s.api.Process.Pid), processCPU(s.t, descendants(s.cmd.Process.Pid)[0])
}

// fill lets the generator's load go the way of every event, then waits for the
// merges that follow.
func (s *reads) fill() {
	// Visits of one user that overlap become one session: nine tenths gives about
	// the session-days that were asked for.
	visit := strconv.Itoa(max(1, *readsEvents*9/10 / *readsDays))
	begin := time.Now()
	s.generate("--seed", "1", "--events", strconv.Itoa(*readsEvents), "--networks", strconv.Itoa(s.networks), "--users", strconv.Itoa(readsUsers),
		"--days", strconv.Itoa(readsSpan), "--visit", visit, "--name", "load")
	s.generate("--seed", "2", "--events", strconv.Itoa(*readsEvents/10), "--users", strconv.Itoa(10*readsUsers),
		"--days", strconv.Itoa(readsSpan), "--visit", visit, "--name", "big")
	fmt.Printf("filled in %s\n", time.Since(begin).Round(time.Second))
	if *readsVerify {
		fmt.Print(s.runLong("verify"))
	}
	quiet := 0
	s.await("merges to end", func() bool {
		if quiet++; s.number("SELECT count() FROM system.merges") > 0 {
			quiet = 0
		}
		return quiet > 20
	})
}

func (s *reads) generate(args ...string) {
	s.runLong(append([]string{"generate", "--wait"}, args...)...)
}

// runLong is run without a limit but the test's own.
func (s *reads) runLong(args ...string) string {
	s.t.Helper()
	cmd := s.command(s.t.Context(), args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("daybook %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// describe prints what is asked.
func (s *reads) describe() {
	fmt.Printf("store: %d events, %d sessions, %d session-days, %d networks; on disk:\n",
		s.number("SELECT count() FROM daybook.events"), s.number("SELECT count() FROM daybook.sessions"),
		s.number("SELECT count() FROM daybook.session_days"), s.number("SELECT count() FROM daybook.networks"))
	rows := s.sql(`SELECT table, toString(count()), toString(sum(rows)), formatReadableSize(sum(bytes_on_disk)), toString(round(sum(bytes_on_disk) / sum(rows), 1))
		FROM system.parts WHERE active AND database = 'daybook' AND rows > 10000 GROUP BY table ORDER BY sum(bytes_on_disk) DESC`)
	printTable([]string{"table", "parts", "rows", "size", "bytes/row"}, rows)
}

// readCase is a question of the API; each request asks it of another user or
// network.
type readCase struct {
	name string
	path func(r *rand.Rand) string
}

func (s *reads) network(r *rand.Rand) string {
	return "load-" + strconv.Itoa(1+r.IntN(s.networks))
}

func (s *reads) questions() []readCase {
	first, _ := time.Parse(time.DateOnly, readsFirstDay)
	day := func(r *rand.Rand) time.Time { return first.AddDate(0, 0, 1+r.IntN(readsSpan-16)) }
	// In a small store not every user of the generator has come.
	people := s.sql("SELECT network_id, user_id FROM daybook.users WHERE network_id LIKE 'load-%' ORDER BY cityHash64(network_id, user_id) LIMIT 50000")
	user := func(r *rand.Rand) string {
		one := people[r.IntN(len(people))]
		return "/v1/networks/" + one[0] + "/users/" + one[1]
	}
	last, _ := time.Parse(time.DateOnly, readsLiveDay)
	quarter := "/rollups/daily?limit=100&from=" + last.AddDate(0, 0, -89).Format(time.DateOnly) + "&to=" + readsLiveDay
	return []readCase{
		{"a user's two weeks", func(r *rand.Rand) string {
			from := day(r)
			return user(r) + "/activity-record?from=" + from.Format(time.DateOnly) + "&to=" + from.AddDate(0, 0, 13).Format(time.DateOnly)
		}},
		{"a user's day, its sessions", func(r *rand.Rand) string { return user(r) + "/activity-record/" + day(r).Format(time.DateOnly) }},
		{"a network's day, 100 sessions", func(r *rand.Rand) string {
			d := url.QueryEscape(day(r).Format(time.DateOnly))
			return "/v1/networks/" + s.network(r) + "/sessions?limit=100&from=" + d + "&to=" + d
		}},
		{"a network's 90 rollups", func(r *rand.Rand) string { return "/v1/networks/" + s.network(r) + quarter }},
		{"the same, a network of 1/10 of all", func(*rand.Rand) string { return "/v1/networks/big" + quarter }},
	}
}

// cases asks every question alone, cold and warm, at the rate and at
// saturation, then all again while events come in.
func (s *reads) cases() {
	var rows [][]string
	for _, q := range s.questions() {
		cold := s.cold(q)
		rows = append(rows, cold.row(q.name, "cold, one at a time"))
		s.openLoop(q, *readsRate, 2*time.Second) // warm
		rows = append(rows, s.openLoop(q, *readsRate, s.span()).row(q.name, fmt.Sprintf("%d/s", *readsRate)))
		rows = append(rows, s.saturated(q, s.span()/2).row(q.name, "saturated, 8 clients"))
	}
	stop := s.ingest()
	for _, q := range s.questions() {
		rows = append(rows, s.openLoop(q, *readsRate, s.span()).row(q.name, fmt.Sprintf("%d/s, ingest %d/s", *readsRate, *readsIngest)))
	}
	stop()
	printTable([]string{"question", "load", "requests", "refused", "per second", "p50 ms", "p99 ms", "max ms", "cpu ms api", "cpu ms engine"}, rows)
}

func (s *reads) span() time.Duration { return time.Duration(*readsSeconds) * time.Second }

// ingest lets events of the last day come in until it is stopped. Their ids are
// of this run, so that each is an event and not a repeat.
func (s *reads) ingest() (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	seed := strconv.FormatInt(time.Now().Unix(), 10)
	cmd := s.command(ctx, "generate", "--seed", seed, "--events", strconv.Itoa(1_000*(*readsIngest)), "--networks", strconv.Itoa(s.networks),
		"--users", strconv.Itoa(readsUsers), "--days", "1", "--start", readsLiveDay, "--name", "load", "--rate", strconv.Itoa(*readsIngest))
	const taken = "SELECT sum(next_offset) FROM daybook.partitions"
	before := s.number(taken)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.await("the load to come in", func() bool { return s.number(taken) > before+int64(*readsIngest) })
	return func() { cancel(); _ = cmd.Wait() }
}

// printTable prints rows under heads.
func printTable(heads []string, rows [][]string) {
	width := make([]int, len(heads))
	all := append([][]string{heads}, rows...)
	for _, r := range all {
		for i, cell := range r {
			width[i] = max(width[i], len(cell))
		}
	}
	for _, r := range all {
		var line strings.Builder
		for i, cell := range r {
			fmt.Fprintf(&line, "%-*s  ", width[i], cell)
		}
		fmt.Println(strings.TrimRight(line.String(), " "))
	}
	fmt.Println()
}

func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg") // Linux; elsewhere it stays empty
	load, _, _ := strings.Cut(string(text), " ")
	return load
}
