package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"daybook/pipeline/broker/brokertest"
)

// top is the project's top folder, seen from this package.
const top = "../../.."

// startLimit bounds a start, a stop and a command: well above what they take
// on two busy cores, far below go test's own limit.
const startLimit = 3 * time.Minute

// buildDir is where the run's binary lies; TestMain makes and removes it.
var buildDir string

// binary builds the daybook binary once a run.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "daybook")
	build := exec.Command("go", "build", "-o", path, "./cmd/daybook")
	build.Dir = top
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build daybook: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "daybook-e2e-")
	if err != nil {
		panic(err)
	}
	buildDir = dir
	code := brokertest.Main(m).Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// devFile is dev.json (INTERFACES.md section 7).
type devFile struct {
	API        string   `json:"api"`
	ClickHouse string   `json:"clickhouse"`
	Metrics    string   `json:"metrics"`
	Kafka      []string `json:"kafka"`
	User       string   `json:"user"`
	Password   string   `json:"password"`
	AdminKey   string   `json:"admin_key"`
	Page       string   `json:"page"`
}

// instance is one running `daybook dev` on one data folder.
type instance struct {
	devFile

	t    testing.TB
	data string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	log  *tail

	lines chan string // that it writes; somebody must read them
}

// tail keeps the last lines that a process wrote, for the report of a failure.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (l *tail) add(line string) {
	if strings.Contains(line, `"level":"INFO"`) {
		return // a start writes two lines a partition
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines = append(l.lines, line); len(l.lines) > 200 {
		l.lines = l.lines[1:]
	}
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// environment is the process's own without settings of Daybook that a
// developer may have set, and with those that the test gives.
func environment(extra ...string) []string {
	var environ []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "DAYBOOK_") {
			environ = append(environ, pair)
		}
	}
	return append(environ, extra...)
}

// startDev starts `daybook dev` on free ports, or on Apache Kafka if the suite
// runs on it, and returns when all its parts are ready. What it writes is shown if the test fails.
func startDev(tb testing.TB, data string, settings ...string) *instance {
	tb.Helper()
	d := launchDev(tb, data, nil, settings...)
	d.awaitReady()
	return d
}

// launchDev starts `daybook dev` with further flags and does not wait for it.
func launchDev(tb testing.TB, data string, flags []string, settings ...string) *instance {
	tb.Helper()
	path, err := binary()
	if err != nil {
		tb.Fatal(err)
	}
	d := &instance{t: tb, data: data, done: make(chan struct{}), lines: make(chan string), log: new(tail)}
	d.cmd = exec.Command(path, append([]string{
		"dev", "--data", data,
		"--api", "127.0.0.1:0", "--kafka", "127.0.0.1:0", "--clickhouse", "127.0.0.1:0",
	}, flags...)...)
	d.cmd.Env = environment(append(kafkaSettings(tb, data), settings...)...)
	// A group of its own, so that one signal reaches dev and its engine.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	reader, writer := io.Pipe()
	d.cmd.Stdout, d.cmd.Stderr = writer, writer
	if err := d.cmd.Start(); err != nil {
		tb.Fatalf("start daybook dev: %v", err)
	}
	go func() {
		defer close(d.lines)
		scanner := bufio.NewScanner(reader)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			d.log.add(scanner.Text())
			d.lines <- scanner.Text()
		}
	}()
	go func() {
		defer close(d.done)
		_ = d.cmd.Wait()
		writer.Close()
	}()
	tb.Cleanup(func() {
		d.kill()
		if tb.Failed() {
			tb.Logf("daybook dev wrote:\n%s", d.log)
		}
	})
	return d
}

// awaitReady reads what dev writes until dev.json is there, which it writes
// when every part answers, and keeps reading after that.
func (d *instance) awaitReady() {
	d.t.Helper()
	limit := time.After(startLimit)
	for {
		select {
		case _, ok := <-d.lines:
			if !ok {
				d.t.Fatalf("daybook dev ended before it was ready:\n%s", d.log)
			}
			text, err := os.ReadFile(filepath.Join(d.data, "dev.json"))
			if err != nil || json.Unmarshal(text, &d.devFile) != nil || d.API == "" {
				continue
			}
			go func() {
				for range d.lines { // until dev ends: it would block on its output otherwise
				}
			}()
			return
		case <-limit:
			d.t.Fatalf("daybook dev was not ready after %s:\n%s", startLimit, d.log)
		}
	}
}

// stop ends dev as a service manager does and expects exit status 0.
func (d *instance) stop() {
	d.t.Helper()
	d.stopBy(d.cmd.Process.Pid, syscall.SIGTERM)
}

// stopBy sends a signal to a process, or to a group if pid is negative.
func (d *instance) stopBy(pid int, signal syscall.Signal) {
	d.t.Helper()
	if err := syscall.Kill(pid, signal); err != nil {
		d.t.Fatalf("signal daybook dev: %v", err)
	}
	select {
	case <-d.done:
	case <-time.After(startLimit):
		d.t.Fatalf("daybook dev did not end within %s of signal %d", startLimit, signal)
	}
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		d.t.Errorf("daybook dev: exit status %d after signal %d, want 0", code, signal)
	}
}

// kill sends SIGKILL to dev and to every process that it started, at once,
// and returns when all are gone.
func (d *instance) kill() {
	victims := append(descendants(d.cmd.Process.Pid), d.cmd.Process.Pid)
	for _, pid := range victims {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-d.done
}

// descendants lists the processes that pid started, and those that they
// started.
func descendants(pid int) []int {
	children := make(map[int][]int)
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		// pid (name) state ppid …: the name may hold spaces and brackets.
		rest := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		own, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parent, _ := strconv.Atoi(rest[1])
		children[parent] = append(children[parent], own)
	}
	var all []int
	for queue := children[pid]; len(queue) > 0; queue = queue[1:] {
		all = append(all, queue[0])
		queue = append(queue, children[queue[0]]...)
	}
	return all
}

// command prepares a subcommand on the instance's data folder.
func (d *instance) command(ctx context.Context, args ...string) *exec.Cmd {
	path, _ := binary() // built by startDev
	cmd := exec.CommandContext(ctx, path, append(args, "--data", d.data)...)
	cmd.Env = environment()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGKILL) }
	return cmd
}

// run runs a subcommand to its end and returns what it printed to stdout; the
// exit status must be the one that is wanted.
func (d *instance) run(want int, args ...string) string {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	cmd := d.command(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		d.t.Fatalf("run daybook %s: %v", strings.Join(args, " "), err)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		d.t.Fatalf("daybook %s: exit status %d, want %d\n%s\n%s", strings.Join(args, " "), got, want, &stdout, &stderr)
	}
	return stdout.String()
}

// startWorker starts `daybook worker` as a second member of dev's group, with
// its settings from the environment as a container has them.
func (d *instance) startWorker() *exec.Cmd {
	d.t.Helper()
	dsn, err := url.Parse(d.ClickHouse)
	if err != nil {
		d.t.Fatal(err)
	}
	dsn.User, dsn.Path = url.UserPassword(d.User, d.Password), "/daybook"
	path, _ := binary() // built by startDev
	worker := exec.Command(path, "worker", "--data", d.t.TempDir())
	worker.Env = environment(
		"DAYBOOK_KAFKA_BROKERS="+strings.Join(d.Kafka, ","),
		"DAYBOOK_CLICKHOUSE_DSN="+dsn.String(),
		"DAYBOOK_INSTALLATION_KEY_FILE="+filepath.Join(d.data, "installation.key"),
	)
	log, err := os.Create(filepath.Join(d.t.TempDir(), "worker.log"))
	if err != nil {
		d.t.Fatal(err)
	}
	worker.Stdout, worker.Stderr = log, log
	if err := worker.Start(); err != nil {
		d.t.Fatalf("start daybook worker: %v", err)
	}
	d.t.Cleanup(func() {
		_ = worker.Process.Kill()
		_ = worker.Wait()
		_ = log.Close()
		if text, err := os.ReadFile(log.Name()); d.t.Failed() && err == nil {
			d.t.Logf("daybook worker wrote:\n%s", text)
		}
	})
	return worker
}
