package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"daybook/clickhouse/engine"
)

// bench is an installation that is measured from outside: its processes by what
// the kernel says of them, its engine by HTTP.
type bench struct {
	tb      testing.TB
	engine  string // address of the engine's HTTP interface
	api     string // of the read API; empty: not asked
	user    string
	key     string
	command func(ctx context.Context, args ...string) (*exec.Cmd, error)
	parts   []measured
}

// measured is one process of it.
type measured struct {
	name string
	pid  func() int
}

// usage is what a process took: user and system time, and the most memory that
// it ever had.
type usage struct {
	cpu       time.Duration
	peakBytes int64
}

// benchSite starts broker, engine, worker and API as processes of their own.
func benchSite(tb testing.TB, partitions int) (*bench, *site) {
	tb.Helper()
	s := startSite(tb, siteConfig{workers: 1, partitions: partitions, session: 6 * time.Second, checkpoint: 30 * time.Second, measured: true})
	addr, err := stablePort()
	if err != nil {
		tb.Fatal(err)
	}
	api := s.newPart("api", "serve", "--api", addr)
	api.env = append(api.env, "DAYBOOK_ADMIN_KEY="+siteKey)
	tb.Cleanup(func() { _ = api.end(syscall.SIGKILL) })
	for _, p := range []*part{s.workers[0], api} {
		if err := p.start(); err != nil {
			tb.Fatal(err)
		}
	}
	m := &bench{tb: tb, engine: "http://" + s.enginePort, api: "http://" + addr, user: engine.UserApp, key: siteKey, command: s.command, parts: []measured{
		{"broker", s.broker.pid}, {"API", api.pid}, {"worker", s.workers[0].pid}, {"engine", s.engine.pid},
	}}
	m.awaitOwned(partitions)
	return m, s
}

// benchDev starts `daybook dev`: everything but the engine in one process.
func benchDev(tb testing.TB, partitions int) *bench {
	tb.Helper()
	d := startDev(tb, tb.TempDir(), "DAYBOOK_KAFKA_PARTITIONS="+strconv.Itoa(partitions))
	children := descendants(d.cmd.Process.Pid)
	if len(children) != 1 {
		tb.Fatalf("dev has %d processes beside it, want the engine alone", len(children))
	}
	m := &bench{
		tb: tb, engine: d.ClickHouse, user: d.User, key: d.Password,
		command: func(ctx context.Context, args ...string) (*exec.Cmd, error) { return d.command(ctx, args...), nil },
		parts:   []measured{{"dev", func() int { return d.cmd.Process.Pid }}, {"engine", func() int { return children[0] }}},
	}
	m.awaitOwned(partitions)
	return m
}

// awaitOwned returns when a worker has every partition.
func (m *bench) awaitOwned(partitions int) {
	m.tb.Helper()
	for deadline := time.Now().Add(startLimit); ; time.Sleep(100 * time.Millisecond) {
		if m.number("SELECT countIf(owned) FROM daybook.partitions") == int64(partitions) {
			return
		}
		if time.Now().After(deadline) {
			m.tb.Fatalf("no worker owns all %d partitions after %s", partitions, startLimit)
		}
	}
}

// usages looks at every process.
func (m *bench) usages() []usage {
	m.tb.Helper()
	all := make([]usage, len(m.parts))
	for i, p := range m.parts {
		all[i] = usage{cpu: processCPU(m.tb, p.pid()), peakBytes: peakBytes(m.tb, p.pid())}
	}
	return all
}

// run runs a subcommand to its end; it must succeed.
func (m *bench) run(args ...string) usage {
	m.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*startLimit)
	defer cancel()
	cmd, err := m.command(ctx, args...)
	if err != nil {
		m.tb.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		m.tb.Fatal(err)
	}
	peak := watchPeak(cmd.Process.Pid)
	if err := cmd.Wait(); err != nil {
		m.tb.Fatalf("daybook %s: %v\n%s", strings.Join(args, " "), err, out.Bytes())
	}
	return usage{cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), peakBytes: peak()}
}

// watchPeak looks at the most memory that a process had, until the function that it
// gives is called: when it has ended it cannot be asked, and ru_maxrss of a child
// begins with what this process had when it was started.
func watchPeak(pid int) (peak func() int64) {
	stop, last := make(chan struct{}), make(chan int64)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		most := int64(0)
		for {
			n, _ := highWater(pid) // it may have ended
			most = max(most, n)
			select {
			case <-tick.C:
			case <-stop:
				last <- most
				return
			}
		}
	}()
	return func() int64 { close(stop); return <-last }
}

// sql sends a statement, with the rows behind it if it is an insert, and gives
// the answer.
func (m *bench) sql(statement string, rows []byte) string {
	m.tb.Helper()
	answer, err := m.ask(context.Background(), statement, rows)
	if err != nil {
		m.tb.Fatal(err)
	}
	return answer
}

// ask is sql for other goroutines than the benchmark's.
func (m *bench) ask(ctx context.Context, statement string, rows []byte) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.engine, io.MultiReader(strings.NewReader(statement+"\n"), bytes.NewReader(rows)))
	if err != nil {
		return "", err
	}
	req.SetBasicAuth(m.user, m.key)
	return answerOf(req)
}

func answerOf(req *http.Request) (string, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: status %d\n%s", req.Method, req.URL, resp.StatusCode, body)
	}
	return strings.TrimSpace(string(body)), err
}

// number asks for one number.
func (m *bench) number(statement string) int64 {
	m.tb.Helper()
	text := m.sql(statement, nil)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		m.tb.Fatalf("%s: answered %q, want one number", statement, text)
	}
	return n
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

// peakBytes is the most memory that the process had.
func peakBytes(tb testing.TB, pid int) int64 {
	tb.Helper()
	n, err := highWater(pid)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// highWater reads VmHWM, in bytes.
func highWater(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == "VmHWM:" {
			kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("process %d tells no peak of its memory", pid)
}

// machine says what was measured on, and when.
func (m *bench) machine() string {
	cpu, load := "unknown", "unknown"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(text), "model name\t: "); ok {
			cpu, _, _ = strings.Cut(rest, "\n")
		}
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		load, _, _ = strings.Cut(string(text), " ")
	}
	return fmt.Sprintf("%s, %d cores (%s), load %s at this moment, %s, ClickHouse %s",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), cpu, load, runtime.Version(), m.sql("SELECT version()", nil))
}

// table lays out rows whose cells are separated by |, as Markdown.
func table(rows ...string) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 1, ' ', tabwriter.Debug)
	for i, row := range rows {
		fmt.Fprintln(w, "\t "+strings.ReplaceAll(row, "|", "\t ")+"\t")
		if i == 0 {
			fmt.Fprintln(w, strings.Repeat("\t ---", strings.Count(row, "|")+1)+"\t")
		}
	}
	_ = w.Flush() // to memory
	return out.String()
}

// say prints what a benchmark has to tell beside its metrics: of what it logs,
// go test shows ten lines.
func say(format string, args ...any) { fmt.Fprintf(os.Stdout, "\n"+format+"\n", args...) }
