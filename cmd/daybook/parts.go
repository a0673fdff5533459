package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// parts are what a process runs, in the order in which it started them. They
// stop in the opposite order: a part outlives those that use it.
type parts struct {
	log    *slog.Logger
	stops  []part
	failed chan error // of a part that ended by itself; one for each that may
}

type part struct {
	name string
	stop func(context.Context) error
}

// maxParts bounds the parts that may fail at once: no failure blocks.
const maxParts = 8

func newParts(log *slog.Logger) *parts { return &parts{log: log, failed: make(chan error, maxParts)} }

// add notes how a part that has started is stopped.
func (p *parts) add(name string, stop func(context.Context) error) {
	p.stops = append(p.stops, part{name, stop})
}

// run starts a part that runs until its context ends; its end before that is a
// failure of the process.
func (p *parts) run(ctx context.Context, name string, run func(context.Context) error) {
	// Not the caller's cancellation: a signal stops the parts one by one.
	own, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() {
		err := run(own)
		done <- err
		if own.Err() == nil {
			p.failed <- fmt.Errorf("run %s: %w", name, orUnexpected(err))
		}
	}()
	p.add(name, func(ctx context.Context) error {
		cancel(errStopping)
		select {
		case err := <-done:
			if errors.Is(err, errStopping) || errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		case <-ctx.Done():
			return fmt.Errorf("stop %s: %w", name, context.Cause(ctx))
		}
	})
}

// errStopping is the cause that a part sees when the process ends in order.
var errStopping = errors.New("the process stops")

func orUnexpected(err error) error {
	if err == nil {
		return errors.New("it ended by itself")
	}
	return err
}

// wait returns nil when ctx ends, or the error of the first part that failed.
func (p *parts) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-p.failed:
		return err
	}
}

// stopTimeout bounds the end of one part: well under the 30 s that a service
// manager allows before it kills. Missing it loses nothing: replay covers it.
const stopTimeout = 8 * time.Second

// stop ends every part, the last started first.
func (p *parts) stop(ctx context.Context) error {
	var all []error
	for _, one := range slices.Backward(p.stops) {
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		if err := one.stop(own); err != nil {
			all = append(all, fmt.Errorf("stop %s: %w", one.name, err))
		}
		cancel()
		p.log.LogAttrs(ctx, slog.LevelDebug, "part stopped", slog.String("part", one.name))
	}
	p.stops = nil
	return errors.Join(all...)
}
