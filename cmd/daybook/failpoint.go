package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"daybook/clickhouse"
	"daybook/pipeline"
	"daybook/pipeline/source"
)

// What an armed step does when its turn comes.
const (
	failByKill  = "kill"  // SIGKILL to this process
	failByPause = "pause" // SIGSTOP: it goes on at SIGCONT as if nothing had been
	failByError = "error" // the step fails
)

// errFailpoint is what a step fails with.
var errFailpoint = errors.New("DAYBOOK_FAILPOINT says so")

// failpoints are the armed steps of this process, by name. Occurrences are
// counted over all partitions. nil: none is armed.
type failpoints map[string]*failpoint

type failpoint struct {
	seen atomic.Int64
	at   map[int64]string // what to do, by occurrence from 1
	send func(syscall.Signal)
}

// failpointNames lists the steps in the order in which a partition takes them.
func failpointNames() []string {
	return slices.Concat(pipeline.Points(), pipeline.AsidePoints(), clickhouse.Points(), source.Points())
}

// parseFailpoints reads name@n:kill|pause|error, several separated by commas.
func parseFailpoints(text string) (failpoints, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // none is armed: that is how the product runs.
	}
	_, points, err := parseProbes(text)
	if err != nil {
		return nil, err
	}
	armed := make(failpoints)
	for _, one := range points {
		name, rest, named := strings.Cut(strings.TrimSpace(one), "@")
		count, action, acts := strings.Cut(rest, ":")
		n, err := strconv.ParseInt(count, 10, 64)
		switch {
		case !named || !acts || err != nil || n < 1:
			return nil, fmt.Errorf("%q is not name@n:%s|%s|%s, n from 1; write for example %s@2:%s",
				one, failByKill, failByPause, failByError, pipeline.PointWritten, failByKill)
		case !slices.Contains(failpointNames(), name):
			return nil, fmt.Errorf("there is no step %q; it is one of %s", name, strings.Join(failpointNames(), ", "))
		case !slices.Contains([]string{failByKill, failByPause, failByError}, action):
			return nil, fmt.Errorf("%q is nothing that %s can do; write %s, %s or %s", action, name, failByKill, failByPause, failByError)
		}
		if armed[name] == nil {
			armed[name] = &failpoint{at: make(map[int64]string), send: signalSelf}
		}
		armed[name].at[n] = action
	}
	return armed, nil
}

// hook is what the steps call; nil where nothing is armed, so that it costs
// nothing.
func (f failpoints) hook(log *slog.Logger) func(point string) error {
	if len(f) == 0 {
		return nil
	}
	return func(point string) error {
		if one := f[point]; one != nil {
			return one.reached(log, point)
		}
		return nil
	}
}

func (f *failpoint) reached(log *slog.Logger, point string) error {
	n := f.seen.Add(1)
	action := f.at[n]
	if action == "" {
		return nil
	}
	// Before it strikes: a test waits for this line.
	log.LogAttrs(context.Background(), slog.LevelWarn, "failpoint strikes", slog.String("point", point), slog.Int64("occurrence", n), slog.String("action", action))
	switch action {
	case failByKill:
		f.send(syscall.SIGKILL)
	case failByPause:
		f.send(syscall.SIGSTOP)
	case failByError:
		return fmt.Errorf("step %s, occurrence %d: %w", point, n, errFailpoint)
	}
	return nil
}

// signalSelf stops or ends this process: at the return of a SIGKILL's call
// nothing of it runs any more.
func signalSelf(signal syscall.Signal) {
	_ = syscall.Kill(syscall.Getpid(), signal) // a process may always signal itself
}
