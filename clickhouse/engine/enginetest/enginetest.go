// Package enginetest gives tests of other packages a real ClickHouse: the
// embedded engine, in a child process of the test binary, one for all tests of
// a binary, a database for each.
//
//	func TestMain(m *testing.M) { enginetest.Main(m) }
//
//	func TestX(t *testing.T) {
//		dsn := enginetest.StartForTest(t)
//		...
//	}
package enginetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"daybook/clickhouse/engine" //nolint:depguard // this package exists for tests only
)

const (
	// childVariable makes the test binary the engine's process.
	childVariable = "DAYBOOK_ENGINETEST_CHILD"
	// logVariable shows the engine's own lines on standard error.
	logVariable = "DAYBOOK_ENGINETEST_LOG"
	// requireVariable turns the skip without a library into a failure.
	requireVariable = "DAYBOOK_REQUIRE_ENGINE"
)

// shared is the one engine of this test binary.
type shared struct {
	once sync.Once
	main bool // Main was called, so this binary can become the child
	sup  *engine.Supervisor
	path string
	err  error
}

var state shared //nolint:gochecknoglobals // one engine a test binary

// Main runs the package's tests, or, in the child process, the engine. It does
// not return.
func Main(m *testing.M) {
	if os.Getenv(childVariable) == "1" { //nolint:forbidigo // a test has no cmd
		if err := engine.RunChild(context.Background(), os.Stdin, os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1) //nolint:forbidigo // a test has no cmd
		}
		os.Exit(0) //nolint:forbidigo // a test has no cmd
	}
	state.main = true
	code := m.Run()
	state.stop()
	os.Exit(code) //nolint:forbidigo // a test has no cmd
}

// StartForTest gives the DSN of a fresh, empty database as the user with all
// rights, in the form http://user:password@127.0.0.1:port/database. The
// database is dropped at the test's end. Without the engine's library the test
// is skipped, or fails if DAYBOOK_REQUIRE_ENGINE=1.
func StartForTest(tb testing.TB) (dsn string) {
	tb.Helper()
	app, _ := StartWithReader(tb)
	return app
}

// StartWithReader is StartForTest with a second DSN, of the user that may only
// read.
func StartWithReader(tb testing.TB) (app, reader string) {
	tb.Helper()
	if !state.main {
		tb.Fatal("enginetest: call enginetest.Main from this package's TestMain")
	}
	state.once.Do(state.start)
	if errors.Is(state.err, engine.ErrNoLibrary) && os.Getenv(requireVariable) != "1" { //nolint:forbidigo // a test has no cmd
		tb.Skipf("engine tests not run: %v", state.err)
	}
	if state.err != nil {
		tb.Fatalf("start engine: %v", state.err)
	}
	database := "daybook_test_" + randomName()
	app = inDatabase(state.sup.DSN(engine.UserApp), database)
	if err := exec(app, "CREATE DATABASE "+database); err != nil {
		tb.Fatalf("create test database: %v", err)
	}
	tb.Cleanup(func() {
		if err := exec(app, "DROP DATABASE IF EXISTS "+database+" SYNC"); err != nil {
			tb.Logf("drop test database: %v", err)
		}
	})
	return app, inDatabase(state.sup.DSN(engine.UserReader), database)
}

// StartOwn runs an engine that is the test's alone, for tests that kill it,
// restart it or need other limits. An empty path becomes a temporary folder,
// empty passwords are made. It is stopped at the test's end.
func StartOwn(tb testing.TB, cfg engine.Config) *engine.Supervisor {
	tb.Helper()
	if !state.main {
		tb.Fatal("enginetest: call enginetest.Main from this package's TestMain")
	}
	if cfg.Path == "" {
		cfg.Path = tb.TempDir()
	}
	sup, err := engine.Start(context.Background(), Child(cfg))
	if errors.Is(err, engine.ErrNoLibrary) && os.Getenv(requireVariable) != "1" { //nolint:forbidigo // a test has no cmd
		tb.Skipf("engine tests not run: %v", err)
	}
	if err != nil {
		tb.Fatalf("start engine: %v", err)
	}
	tb.Cleanup(func() { stop(sup) })
	return sup
}

// Child is the way to run this test binary as an engine, with passwords made
// where none are given.
func Child(cfg engine.Config) engine.SupervisorConfig {
	if cfg.AppPassword == "" {
		cfg.AppPassword = randomName()
	}
	if cfg.ReaderPassword == "" {
		cfg.ReaderPassword = randomName()
	}
	sup := engine.SupervisorConfig{Engine: cfg, Args: []string{"-test.run=^$"}, Env: []string{childVariable + "=1"}}
	if os.Getenv(logVariable) == "1" { //nolint:forbidigo // a test has no cmd
		sup.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return sup
}

// start runs the engine in a folder of its own.
func (s *shared) start() {
	path, err := os.MkdirTemp("", "daybook-enginetest-")
	if err != nil {
		s.err = err
		return
	}
	s.path = path
	s.sup, s.err = engine.Start(context.Background(), Child(engine.Config{Path: path}))
}

func (s *shared) stop() {
	if s.sup != nil {
		stop(s.sup)
	}
	if s.path != "" {
		_ = os.RemoveAll(s.path) // a left-over in the temporary folder does no harm
	}
}

func stop(sup *engine.Supervisor) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := sup.Stop(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// exec runs one statement with curl's means: the database of the DSN need not
// exist yet.
func exec(dsn, statement string) error {
	u, err := url.Parse(dsn)
	if err != nil {
		return err
	}
	u.Path = "/"
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, u.String(), strings.NewReader(statement))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return errors.New(strings.TrimSpace(string(body)))
	}
	return nil
}

func inDatabase(dsn, database string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		panic(err) // the supervisor made it
	}
	u.Path = "/" + database
	return u.String()
}

func randomName() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
