package pipeline

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"daybook/pipeline/source"
	"daybook/schemas"
)

// running is a worker on a rig.
type running struct {
	cancel   context.CancelFunc
	done     chan error // what Run returned
	registry *prometheus.Registry
	resumes  *resumes
}

// stop ends the worker in order.
func (w *running) stop() error {
	w.cancel()
	return <-w.done
}

// counter reads a metric of the worker that has no labels.
func (w *running) counter(tb testing.TB, name string) int64 {
	tb.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return int64(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	tb.Fatalf("no metric %s", name)
	return 0
}

// launch starts a worker with the rig's settings, changed.
func (r *rig) launch(name string, change func(*Config, *Join, *Store)) *running {
	w := &running{done: make(chan error, 1), registry: prometheus.NewRegistry(), resumes: r.resumes}
	cfg := Config{
		Topic: schemas.TopicEvents, Epoch: 1, Partitions: r.partitions, Worker: name, ControlKey: rigKey,
		FlushAge: 20 * time.Millisecond, CheckpointEvery: 200 * time.Millisecond, CheckpointIdle: 1,
		Registerer: w.registry, Logger: slog.New(resumeHandler{worker: name, to: r.resumes}),
	}
	client := r.connect()
	join := JoinGroup(client, source.GroupConfig{
		SessionTimeout: 3 * time.Second, Heartbeat: 50 * time.Millisecond, JoinBackoff: 50 * time.Millisecond, WatchInterval: 100 * time.Millisecond,
	})
	store := Store(r.store)
	if change != nil {
		change(&cfg, &join, &store)
	}
	ctx, cancel := context.WithCancel(r.ctx)
	w.cancel = cancel
	go func() { w.done <- New(cfg, client, join, store).Run(ctx) }()
	return w
}

// resumes notes, in their order, which worker took up which partition, and
// whether with the state that it had in memory.
type resumes struct {
	mu  sync.Mutex
	all []resume
}

type resume struct {
	worker    string
	partition int64
	warm      bool
}

// resumeHandler takes from a worker's log what it says when it resumes.
type resumeHandler struct {
	worker    string
	partition int64
	to        *resumes
}

func (h resumeHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h resumeHandler) WithGroup(string) slog.Handler            { return h }

func (h resumeHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		if a.Key == "partition" {
			h.partition = a.Value.Int64()
		}
	}
	return h
}

func (h resumeHandler) Handle(_ context.Context, line slog.Record) error {
	if line.Message != "resume" {
		return nil
	}
	line.Attrs(func(a slog.Attr) bool {
		if a.Key == "warm" {
			h.to.mu.Lock()
			defer h.to.mu.Unlock()
			h.to.all = append(h.to.all, resume{h.worker, h.partition, a.Value.Bool()})
		}
		return true
	})
	return nil
}

// check holds every resume against the rule: who had the partition last still
// has its state, everybody else has not. It gives how many were warm, and how
// many partitions moved.
func (l *resumes) check(tb testing.TB) (warm, moved int) {
	tb.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	last := map[int64]string{}
	for i, r := range l.all {
		before, known := last[r.partition]
		last[r.partition] = r.worker
		if want := before == r.worker; r.warm != want {
			tb.Errorf("resume %d: worker %s took partition %d, which %q had before: warm %v, want %v", i, r.worker, r.partition, before, r.warm, want)
		}
		if r.warm {
			warm++
		} else if known {
			moved++
		}
	}
	return warm, moved
}
