package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"daybook/pipeline/source"
	"daybook/schemas"
)

// Worker is one member of the consumer group: it works off the partitions that
// the group gives it, each in a goroutine of its own.
type Worker struct {
	cfg     Config
	log     Log
	join    Join
	store   Store
	metrics *metrics

	mu     sync.Mutex // guards what follows: written by the partitions' goroutines, read by Report and Health
	owned  map[int32]*partition
	halts  map[int32]error
	warm   map[int32]*restored // states of partitions that were let go, for a warm resume
	joined bool
	panics map[int32]panicked // partitions whose last attempt ended so
}

// New prepares a worker; Run makes it work.
func New(cfg Config, log Log, join Join, store Store) *Worker {
	cfg = cfg.withDefaults()
	w := &Worker{
		cfg: cfg, log: log, join: join, store: store, metrics: newMetrics(cfg.Registerer),
		owned: make(map[int32]*partition), halts: make(map[int32]error), warm: make(map[int32]*restored),
		panics: make(map[int32]panicked),
	}
	w.metrics.repeatIDsLimit.Set(float64(cfg.MaxRepeatIDs))
	return w
}

// Run joins the group and works until ctx ends; then it finishes what is in
// hand and leaves the group. It returns an error only if it cannot go on: the
// group cannot be joined, or the topic has other partitions than its epoch.
func (w *Worker) Run(ctx context.Context) error {
	g, err := w.join()
	if err != nil {
		return err
	}
	reporting, stopReports := context.WithCancel(context.WithoutCancel(ctx))
	var reports sync.WaitGroup
	reports.Go(func() { w.report(reporting) })
	// Shutdown: 1. the generation ends, so every partition finishes its flush,
	// takes a checkpoint and is let go; 2. the group is left, so that others take
	// over at once; 3. the last report says that the partitions are unowned.
	closed := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { closed <- g.Close() })
	err = w.generations(ctx, g)
	if stop() {
		closed <- g.Close()
	}
	err = errors.Join(err, <-closed)
	stopReports()
	reports.Wait()
	return err
}

// generations works through one generation of the group after the other.
func (w *Worker) generations(ctx context.Context, g Group) error {
	for {
		gen, err := g.Next(ctx)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, source.ErrClosed) {
				return nil //nolint:nilerr // told to end
			}
			return fmt.Errorf("join generation: %w", err)
		}
		w.metrics.rebalances.Inc()
		if count := gen.Assignment().PartitionCount; count > 0 && int32(count) != w.cfg.Partitions {
			gen.End()
			return fmt.Errorf("topic %s has %d partitions, its epoch has %d: users would move between partitions while their records stay; the larger topic must be a new one, see daybook migrate --help", w.cfg.Topic, count, w.cfg.Partitions)
		}
		w.generation(gen)
	}
}

// generation starts a goroutine for each partition and waits for all of them.
func (w *Worker) generation(gen Generation) {
	given := gen.Assignment()
	w.cfg.Logger.Info("generation joined", slog.Int("generation", int(given.ID)), slog.String("partitions", fmt.Sprint(given.Partitions)))
	w.mu.Lock()
	w.joined = true
	w.forgetWarm(given.Partitions)
	w.mu.Unlock()
	var all sync.WaitGroup
	for _, id := range given.Partitions {
		all.Add(1)
		gen.Start(func(ctx context.Context) {
			defer all.Done()
			w.partition(ctx, gen, id)
		})
	}
	<-gen.Context().Done()
	all.Wait()
}

// restartAfter is the pause before a partition that failed is restored again.
const restartAfter = time.Second

// haltLook is how often a halted partition looks whether a person has decided.
const haltLook = 10 * time.Second

// partition runs one partition until the generation ends. An error that is no
// halt drops the state and begins again from the last checkpoint.
func (w *Worker) partition(ctx context.Context, gen Generation, id int32) {
	defer w.metrics.forget(id)
	for ctx.Err() == nil {
		err := w.attempt(ctx, gen, id)
		var halt *HaltError
		switch {
		case err == nil:
			continue
		case isPanic(err):
			w.cfg.Logger.ErrorContext(ctx, "a record panicked, restoring the partition", slog.Int("partition", int(id)), slog.String("error", err.Error()))
		case errors.As(err, &halt):
			w.cfg.Logger.ErrorContext(ctx, "partition halted", slog.Int("partition", int(id)), slog.String("why", halt.Why), slog.String("remedy", halt.Remedy))
			w.metrics.halted.WithLabelValues(label(id)).Set(1)
			w.halt(id, err)
			select {
			case <-time.After(haltLook):
			case <-ctx.Done():
			}
			w.metrics.halted.WithLabelValues(label(id)).Set(0)
			w.halt(id, nil)
		case errors.Is(err, source.ErrFenced):
			w.cfg.Logger.WarnContext(ctx, "partition is another's now", slog.Int("partition", int(id)))
			<-ctx.Done()
		case ctx.Err() == nil:
			w.cfg.Logger.ErrorContext(ctx, "partition failed, restoring it", slog.Int("partition", int(id)), slog.String("error", err.Error()))
			w.halt(id, err)
			select {
			case <-time.After(restartAfter):
			case <-ctx.Done():
			}
			w.halt(id, nil)
		}
	}
}

// attempt restores a partition and works it off.
func (w *Worker) attempt(ctx context.Context, gen Generation, id int32) error {
	committed, err := gen.Committed(ctx)
	if err != nil {
		return fmt.Errorf("read committed offset of partition %d: %w", id, err)
	}
	p := newPartition(id, &w.cfg, w.log, w.store, gen, w.metrics)
	p.batchBytes = max(leastBatchBytes, w.cfg.BatchBytes/len(gen.Assignment().Partitions))
	w.mu.Lock()
	w.owned[id] = p
	w.resumeAfterPanic(p, gen)
	w.mu.Unlock()
	warm := w.takeWarm(id, committed[id])
	err = p.run(ctx, committed[id], warm)
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.owned, id)
	switch {
	case p.whole(err):
		w.warm[id] = &restored{state: p.state, pointer: p.pointer, kept: p.kept}
	case p.state == nil && warm != nil:
		w.warm[id] = warm // the generation ended before it was taken up
	}
	if w.notePanic(p, gen, err) {
		return err
	}
	if err != nil && p.state != nil && (p.tried || !errors.As(err, new(*HaltError))) {
		if ctx.Err() == nil && !errors.Is(err, source.ErrFenced) { // the end of the generation hides it
			w.cfg.Logger.ErrorContext(ctx, "partition failed, the group is joined anew", slog.Int("partition", int(id)), slog.String("error", err.Error()))
		}
		gen.End() // a state was lost: what this generation has committed since may be ahead of what is restored (I4)
	}
	return err
}

// forgetWarm drops the states of partitions that another worker has now: its
// first commit makes them useless, and they are as large as a state can be. The
// caller holds the lock.
func (w *Worker) forgetWarm(owned []int32) {
	maps.DeleteFunc(w.warm, func(id int32, _ *restored) bool { return !slices.Contains(owned, id) })
}

// takeWarm gives the state of a partition that this worker had before, if the
// pointer has not moved since: nobody else can have committed.
func (w *Worker) takeWarm(id int32, committed source.Committed) *restored {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.warm[id]
	delete(w.warm, id)
	if r == nil || r.pointer.ID == "" || committed.Metadata != r.pointer.String() || committed.Offset != r.pointer.Next {
		return nil
	}
	return r
}

func (w *Worker) halt(id int32, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		delete(w.halts, id)
		return
	}
	w.halts[id] = err
}

// Health tells why the worker is not ready, one sentence a reason; none if it is.
func (w *Worker) Health() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var why []string
	if !w.joined {
		why = append(why, "worker: the consumer group is not joined yet")
	}
	for _, err := range w.halts {
		why = append(why, "worker: "+err.Error())
	}
	slices.Sort(why)
	return why
}

// Halted says whether a partition waits for a person's decision.
func (w *Worker) Halted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, err := range w.halts {
		if errors.As(err, new(*HaltError)) {
			return true
		}
	}
	return false
}

// Notes tells what a person should know although the worker is ready: which
// records it does not handle.
func (w *Worker) Notes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var notes []string
	for id, p := range w.owned {
		if n := p.poison.aside.Load(); n > 0 {
			notes = append(notes, fmt.Sprintf("%d records of partition %d are set aside because handling them panicked: SELECT * FROM rejects WHERE reason = '%s'", n, id, schemas.HandlerPanic))
		}
	}
	slices.Sort(notes)
	return notes
}

// The pace of reports: at once when something moved, else often enough that a
// reader knows the partition is owned (it counts as unowned after 15 s).
const (
	reportEvery = 500 * time.Millisecond
	reportIdle  = 5 * time.Second
)

// report publishes the state of the owned partitions until ctx ends.
func (w *Worker) report(ctx context.Context) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	last := make(map[int32]schemas.PartitionStatus)
	for {
		select {
		case <-tick.C:
			w.reportOnce(ctx, last, false)
		case <-ctx.Done():
			final, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			w.reportOnce(final, last, true)
			cancel()
			return
		}
	}
}

// reportOnce publishes what changed or is due; final releases everything.
func (w *Worker) reportOnce(ctx context.Context, last map[int32]schemas.PartitionStatus, final bool) {
	now := w.cfg.Now().UnixMilli()
	var out []schemas.PartitionStatus
	w.mu.Lock()
	for id, p := range w.owned {
		s := p.status.Load()
		if s == nil {
			continue
		}
		old, known := last[id]
		moved := !known || old.Released || old.Next != s.Next || old.Published != s.Published || old.Committed != s.Committed || (old.CaughtUpMs == 0) != (s.CaughtUpMs == 0)
		if moved || now-old.UpdatedMs >= reportIdle.Milliseconds() {
			x := *s
			x.UpdatedMs = now
			out = append(out, x)
		}
	}
	for id, old := range last {
		if _, still := w.owned[id]; (!still || final) && !old.Released {
			// As of its last report: the next owner may have reported since, and the newest counts.
			old.Released, old.UpdatedMs, old.CaughtUpMs = true, old.UpdatedMs+1, 0
			out = append(out, old)
		}
	}
	w.mu.Unlock()
	if len(out) == 0 {
		return
	}
	if err := w.store.Report(ctx, out); err != nil {
		w.cfg.Logger.WarnContext(ctx, "report failed", slog.String("error", err.Error()))
		return
	}
	for _, s := range out {
		last[s.Partition] = s
	}
}
