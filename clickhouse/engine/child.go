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
	"os/signal"
	"syscall"
)

// RunChild is the whole child process: it reads its Config as one line of JSON
// from stdin, serves, and ends when stdin closes, which the kernel does for a
// parent that was killed, or on SIGTERM. It ignores an interrupt: Ctrl-C goes
// to the whole terminal, and the parent stops its engine last.
func RunChild(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
	// A broken standard error must not end the process before it has closed.
	signal.Ignore(os.Interrupt, syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	in := bufio.NewReader(stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read engine config: %w", err)
	}
	var cfg Config
	if err := json.Unmarshal(line, &cfg); err != nil {
		return fmt.Errorf("read engine config: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		_, _ = io.Copy(io.Discard, in) // ends with the parent, however it ended
		cancel(errors.New("the parent process is gone"))
	}()
	return Serve(ctx, cfg, stdout, slog.New(slog.NewJSONHandler(stderr, nil)))
}
