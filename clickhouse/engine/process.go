package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// child is one run of the engine's process.
type child struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser // open as long as the child shall live
	address string
	tail    *lineTail
	ended   chan struct{} // closed when the process is gone
	err     error         // of Wait; read after ended
}

// startChild runs this executable as the engine and waits for its ready line.
func startChild(ctx context.Context, cfg SupervisorConfig) (*child, error) {
	exe, err := executable()
	if err != nil {
		return nil, fmt.Errorf("start engine: %w", err)
	}
	config, err := json.Marshal(cfg.Engine)
	if err != nil {
		return nil, fmt.Errorf("start engine: %w", err)
	}
	// Not CommandContext: the child ends in order, by its standard input.
	cmd := exec.Command(exe, cfg.Args...) //nolint:gosec,noctx // our own executable, stopped by askToStop
	cmd.Env = append(append(os.Environ(), cfg.Env...), "TZ=UTC")
	c := &child{cmd: cmd, tail: &lineTail{log: cfg.Log}, ended: make(chan struct{})}
	cmd.Stderr = c.tail
	if c.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start engine: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start engine: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start engine: %w", err)
	}
	ready := make(chan error, 1)
	go c.run(stdout, ready)
	if _, err := c.stdin.Write(append(config, '\n')); err != nil {
		c.kill()
		<-c.ended
		return nil, fmt.Errorf("start engine: %w: %s", err, c.tail.last())
	}
	return c, c.awaitReady(ctx, cfg.StartTimeout, ready)
}

// run reads the ready line, then the rest, then waits for the process: in this
// order, because Wait closes the pipe.
func (c *child) run(stdout io.Reader, ready chan<- error) {
	in := bufio.NewReader(stdout)
	line, err := in.ReadBytes('\n')
	var r Ready
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	c.address = r.Address
	if err == nil {
		ready <- nil
		_, _ = io.Copy(io.Discard, in) // ends with the process
	}
	c.err = c.cmd.Wait()
	close(c.ended)
	if err != nil {
		ready <- childError(c.tail.last())
	}
}

func (c *child) awaitReady(ctx context.Context, timeout time.Duration, ready <-chan error) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	var err error
	select {
	case err = <-ready:
		if err == nil {
			return nil
		}
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-timer.C:
		err = fmt.Errorf("not ready after %s", timeout)
	}
	c.kill()
	<-c.ended
	return fmt.Errorf("start engine: %w", err)
}

// childError is the child's last line, and the sentinel that it prints.
func childError(line string) error {
	if rest, ok := strings.CutPrefix(line, ErrPathInUse.Error()); ok {
		return fmt.Errorf("%w%s", ErrPathInUse, rest)
	}
	return errors.New(line)
}

// askToStop closes the child's standard input, its sign to end in order.
func (c *child) askToStop() { _ = c.stdin.Close() } // closed twice is closed

func (c *child) kill() { _ = c.cmd.Process.Kill() } // gone already is as good

// wait returns when the process is gone, always with a reason.
func (c *child) wait() error {
	<-c.ended
	if c.err != nil {
		return fmt.Errorf("engine process: %w: %s", c.err, c.tail.last())
	}
	return errors.New("engine process: ended by itself")
}

// lineTail logs the child's standard error and remembers its last words.
type lineTail struct {
	log *slog.Logger

	mu   sync.Mutex
	part []byte   // an unfinished line
	tail []string // the last lines, at most tailLines
}

// Bounds of what is remembered; the engine prints stack traces.
const (
	tailLines     = 20
	maxLineLength = 4096
)

// Write takes raw output of the child.
func (t *lineTail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.part = append(t.part, b...)
	for {
		line, rest, found := strings.Cut(string(t.part), "\n")
		if !found && len(line) < maxLineLength {
			return len(b), nil
		}
		t.part = []byte(rest)
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		t.tail = append(t.tail[max(0, len(t.tail)-tailLines+1):], line[:min(len(line), maxLineLength)])
		t.log.Info("engine says", slog.String("line", line))
	}
}

// last is the child's last line that is not blank, or a word for its absence.
func (t *lineTail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if part := strings.TrimSpace(string(t.part)); part != "" {
		return part
	}
	if len(t.tail) == 0 {
		return "it said nothing"
	}
	return t.tail[len(t.tail)-1]
}
