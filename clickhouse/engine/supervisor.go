package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// SupervisorConfig is what the parent process needs to run the engine.
type SupervisorConfig struct {
	Engine Config
	// Args are the arguments with which this very executable becomes the
	// child, for example ["engine"].
	Args []string
	// Env is added to the child's environment.
	Env []string
	Log *slog.Logger
	// StartTimeout bounds one start, the wait for the folder included;
	// default 60 s.
	StartTimeout time.Duration
}

// Bounds of the wait between restarts.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 10 * time.Second
	// healthyAfter is how long a child must have run for the backoff to
	// start small again.
	healthyAfter = time.Minute
)

// Supervisor keeps one engine child running, on one address, until Stop.
type Supervisor struct {
	cfg      SupervisorConfig
	addr     string
	restarts atomic.Int64

	stop context.CancelCauseFunc
	done chan struct{}

	mu      sync.Mutex
	current *child // nil while none runs
	// ready is closed while a child takes requests, and made anew when it dies.
	ready chan struct{}
}

// Start runs the engine and returns when it takes requests. The error carries
// the child's last line and wraps ErrNoLibrary or ErrPathInUse where that is the
// reason. ctx bounds the start only; Stop ends the engine.
func Start(ctx context.Context, cfg SupervisorConfig) (*Supervisor, error) {
	cfg.Engine = cfg.Engine.withDefaults()
	cfg.StartTimeout = orDefault(cfg.StartTimeout, time.Minute)
	if err := cfg.Engine.validate(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	// Here too, so that a missing library is an error of the right kind.
	library, err := FindLibrary(cfg.Engine.Library)
	if err != nil {
		return nil, err
	}
	cfg.Engine.Library = library
	c, err := startChild(ctx, cfg)
	if err != nil {
		return nil, err
	}
	run, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	s := &Supervisor{cfg: cfg, addr: c.address, stop: stop, done: make(chan struct{}), ready: make(chan struct{})}
	s.cfg.Engine.Address = c.address // a restart keeps the port
	s.setCurrent(c)
	cfg.Log.InfoContext(ctx, "engine started", slog.String("address", c.address), slog.Int("pid", c.cmd.Process.Pid))
	go s.keep(run)
	return s, nil
}

// Addr is host:port, the same for the supervisor's whole life.
func (s *Supervisor) Addr() string { return s.addr }

// DSN is the address for clickhouse-go with a user's password, and the default
// database as its path. An unknown user gets no password.
func (s *Supervisor) DSN(user string) string {
	password := ""
	switch user {
	case UserApp:
		password = s.cfg.Engine.AppPassword
	case UserReader:
		password = s.cfg.Engine.ReaderPassword
	}
	u := url.URL{Scheme: "http", User: url.UserPassword(user, password), Host: s.addr, Path: "/" + s.cfg.Engine.Database}
	return u.String()
}

// Restarts counts how often the engine died and came back.
func (s *Supervisor) Restarts() int64 { return s.restarts.Load() }

// PID is the child's process, 0 while none runs.
func (s *Supervisor) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return 0
	}
	return s.current.cmd.Process.Pid
}

// WaitReady returns when a child takes requests.
func (s *Supervisor) WaitReady(ctx context.Context) error {
	s.mu.Lock()
	ready := s.ready
	s.mu.Unlock()
	select {
	case <-ready:
		return nil
	case <-s.done:
		return errors.New("wait for engine: it was stopped")
	case <-ctx.Done():
		return fmt.Errorf("wait for engine: %w", context.Cause(ctx))
	}
}

// Stop ends the engine and waits for it; at ctx's end it is killed, which loses
// no acknowledged row.
func (s *Supervisor) Stop(ctx context.Context) error {
	s.stop(errors.New("engine stopped"))
	s.mu.Lock()
	c := s.current
	s.mu.Unlock()
	if c != nil {
		c.askToStop()
	}
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		if c != nil {
			c.kill()
		}
		<-s.done
		return fmt.Errorf("stop engine: killed: %w", context.Cause(ctx))
	}
}

func (s *Supervisor) setCurrent(c *child) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current = c; c != nil {
		close(s.ready)
	} else {
		s.ready = make(chan struct{})
	}
}

// keep waits for the child's end and starts the next, until stopped.
func (s *Supervisor) keep(ctx context.Context) {
	defer close(s.done)
	backoff := minBackoff
	for {
		started := time.Now()
		err := s.current.wait()
		s.setCurrent(nil)
		if ctx.Err() != nil {
			return
		}
		if time.Since(started) > healthyAfter {
			backoff = minBackoff
		}
		s.cfg.Log.WarnContext(ctx, "engine died", slog.String("error", err.Error()), slog.Duration("restart_in", backoff))
		if backoff = s.restart(ctx, backoff); ctx.Err() != nil {
			return
		}
	}
}

// restart tries until a child runs or the supervisor is stopped, and gives the
// wait that the next death begins with.
func (s *Supervisor) restart(ctx context.Context, backoff time.Duration) time.Duration {
	for {
		timer := time.NewTimer(backoff)
		select {
		case <-ctx.Done():
			timer.Stop()
			return backoff
		case <-timer.C:
		}
		backoff = min(2*backoff, maxBackoff)
		c, err := startChild(ctx, s.cfg)
		if err != nil {
			s.cfg.Log.ErrorContext(ctx, "restart engine", slog.String("error", err.Error()), slog.Duration("again_in", backoff))
			continue
		}
		s.restarts.Add(1)
		s.setCurrent(c)
		if ctx.Err() != nil {
			c.askToStop() // stopped meanwhile: Stop did not see this child
			_ = c.wait()  // its error has no reader
			s.setCurrent(nil)
			return backoff
		}
		s.cfg.Log.InfoContext(ctx, "engine restarted", slog.Int("pid", c.cmd.Process.Pid), slog.Int64("restarts", s.restarts.Load()))
		return backoff
	}
}

// executable is this program's own file, even after it was replaced on disk.
func executable() (string, error) {
	if _, err := os.Stat("/proc/self/exe"); err == nil {
		return "/proc/self/exe", nil
	}
	return os.Executable()
}
