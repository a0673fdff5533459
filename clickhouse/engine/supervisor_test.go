package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"daybook/clickhouse/engine"
	"daybook/clickhouse/engine/enginetest"
)

func TestSupervisor_RestartsAKilledEngineWithItsRows(t *testing.T) {
	sup := enginetest.StartOwn(t, engine.Config{})
	dsn := sup.DSN(engine.UserApp)
	good(t, dsn, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	for i := range 5 {
		good(t, dsn, fmt.Sprintf("INSERT INTO t SELECT number FROM numbers(%d)", i+1))
	}
	for round := int64(1); round <= 3; round++ {
		died := sup.PID()
		if err := syscall.Kill(died, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		for sup.Restarts() < round {
			if err := ctx.Err(); err != nil {
				t.Fatal("it did not come back")
			}
			if err := sup.WaitReady(ctx); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		if got := good(t, dsn, "SELECT count() FROM t"); got != "15\n" {
			t.Fatalf("round %d: %s rows", round, got)
		}
		if sup.PID() == died {
			t.Error("the same process")
		}
	}
}

func TestSupervisor_KeepsTablesOverARestart(t *testing.T) {
	cfg := engine.Config{Path: t.TempDir(), AppPassword: "a'\"<&pw"}
	first := enginetest.StartOwn(t, cfg)
	good(t, first.DSN(engine.UserApp), "CREATE TABLE t (a UInt64) ENGINE = ReplacingMergeTree ORDER BY a")
	good(t, first.DSN(engine.UserApp), "INSERT INTO t SELECT number FROM numbers(1000)")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	started := time.Now()
	if err := first.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("stopped in %s", time.Since(started))
	if err := first.WaitReady(ctx); err == nil {
		t.Error("a stopped engine is ready")
	}
	second := enginetest.StartOwn(t, cfg)
	if got := good(t, second.DSN(engine.UserApp), "SELECT count(), sum(a) FROM t FINAL"); got != "1000\t499500\n" {
		t.Errorf("after the restart: %s", got)
	}
}

func TestSupervisor_NamesAFolderInUse(t *testing.T) {
	path := t.TempDir()
	enginetest.StartOwn(t, engine.Config{Path: path, AppPassword: "x"})
	_, err := engine.Start(t.Context(), enginetest.Child(engine.Config{Path: path, AppPassword: "x", LockTimeout: 100 * time.Millisecond}))
	if !errors.Is(err, engine.ErrPathInUse) || !strings.Contains(err.Error(), path) {
		t.Errorf("a second engine on one folder: %v", err)
	}
}

func TestSupervisor_LeavesNoGoroutineBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	sup := enginetest.StartOwn(t, engine.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := sup.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if sup.PID() != 0 {
		t.Error("a process is left")
	}
	goleak.VerifyNone(t, before)
}

func TestSupervisor_ReportsEveryBadSetting(t *testing.T) {
	_, err := engine.Start(t.Context(), engine.SupervisorConfig{Engine: engine.Config{Path: "relative", Address: "0.0.0.0:0", Database: "default", MaxQueued: -1}})
	for _, want := range []string{"must be absolute", "password of user daybook", "engine database", "must be on loopback", "limit queue"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	_, err = engine.Start(t.Context(), engine.SupervisorConfig{Engine: engine.Config{Path: t.TempDir(), AppPassword: "x", Library: "/nosuch/libchdb.so"}})
	if !errors.Is(err, engine.ErrNoLibrary) || !strings.Contains(err.Error(), "/nosuch/libchdb.so") {
		t.Errorf("a wrong library: %v", err)
	}
}

// The child's standard input is its lifeline: the kernel closes it when the
// parent dies, whatever killed it.
func TestChild_EndsWithItsParent(t *testing.T) {
	cfg := enginetest.Child(engine.Config{Path: t.TempDir(), AppPassword: "x"})
	library, err := engine.FindLibrary("")
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", cfg.Args...)
	cmd.Env = append(append(cmd.Environ(), cfg.Env...), "TZ=UTC")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(in, `{"Path":%q,"AppPassword":"x","Library":%q}`+"\n", cfg.Engine.Path, library); err != nil {
		t.Fatal(err)
	}
	var ready [1]byte
	if _, err := out.Read(ready[:]); err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestSupervisor_BoundsWhatRunsAtOnce(t *testing.T) {
	sup := enginetest.StartOwn(t, engine.Config{MaxConnections: 1, MaxQueued: 1, QueueTimeout: 50 * time.Millisecond})
	dsn := sup.DSN(engine.UserApp)
	ctx, cancel := context.WithCancel(t.Context())
	// A stream that nobody reads holds the one turn.
	r := request(ctx, t, dsn, "", strings.NewReader("SELECT number FROM system.numbers FORMAT CSV"))
	a := ask(t, dsn, "", "SELECT 1")
	if a.status != 503 || a.header.Get("X-ClickHouse-Exception-Code") != "202" || a.header.Get("Retry-After") == "" {
		t.Errorf("above the bound: %d %s", a.status, a.body)
	}
	cancel()
	_ = r.Body.Close()
	for a.status != 200 { // until the cancelled one gave its turn back
		a = ask(t, dsn, "", "SELECT 1")
	}
}

func TestSupervisor_LeavesTurnsToTheProduct(t *testing.T) {
	sup := enginetest.StartOwn(t, engine.Config{MaxConnections: 2, MaxQueued: 1, QueueTimeout: 50 * time.Millisecond})
	reader := sup.DSN(engine.UserReader)
	r := request(t.Context(), t, reader, "", strings.NewReader("SELECT number FROM system.numbers FORMAT CSV"))
	if a := ask(t, reader, "", "SELECT 1"); a.status != 503 {
		t.Errorf("a second reader: %d %s", a.status, a.body)
	}
	if got := good(t, sup.DSN(engine.UserApp), "SELECT 1"); got != "1\n" {
		t.Error(got)
	}
	_ = r.Body.Close()
}

// What was acknowledged is there after a SIGKILL in the middle of writing.
func TestSupervisor_LosesNoAcknowledgedRowToAKill(t *testing.T) {
	sup := enginetest.StartOwn(t, engine.Config{})
	dsn := sup.DSN(engine.UserApp)
	good(t, dsn, "CREATE TABLE t (w UInt8, i UInt64, s String) ENGINE = ReplacingMergeTree ORDER BY (w, i)")
	const writers, rows = 3, 1000
	var acknowledged [writers]atomic.Int64
	var group sync.WaitGroup
	enough := make(chan struct{})
	for w := range writers {
		group.Go(func() {
			for i := 0; ; i++ {
				sql := fmt.Sprintf("INSERT INTO t SELECT %d, %d + number, toString(number) FROM numbers(%d)", w, i*rows, rows)
				if a, err := tryAsk(dsn, "", strings.NewReader(sql)); err != nil || a.status != 200 {
					return
				}
				if acknowledged[w].Add(1) == 10 && w == 0 {
					close(enough)
				}
			}
		})
	}
	<-enough
	if err := syscall.Kill(sup.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	for sup.Restarts() == 0 {
		if err := sup.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for w := range writers {
		want := acknowledged[w].Load() * rows
		if got := good(t, dsn, fmt.Sprintf("SELECT uniqExact(i) >= %d FROM t WHERE w = %d AND i < %d", want, w, want)); got != "1\n" {
			t.Errorf("writer %d: acknowledged rows are missing", w)
		}
	}
}
