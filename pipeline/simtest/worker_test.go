package simtest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"daybook/pipeline"
)

// incarnation is one life of a worker process.
type incarnation struct {
	w           *world
	id          int
	slot        int
	ctx         context.Context //nolint:containedctx // it is the process's lifetime
	cancel      context.CancelFunc
	member      *member
	actors      [rolesAll]*actor
	dead        bool
	pausedUntil time.Time
	comesBack   time.Duration
	faultFor    time.Duration // of the fault that call told of last
	next        map[int32]int64
	done        chan struct{}
	gone        chan struct{} // closed when it died
}

// run starts a process and waits until it ends.
func (w *world) run(slot int) *incarnation {
	w.mu.Lock()
	ctx, cancel := context.WithCancel(context.Background())
	inc := &incarnation{w: w, id: len(w.incs), slot: slot, ctx: ctx, cancel: cancel, comesBack: time.Second, next: make(map[int32]int64), done: make(chan struct{}), gone: make(chan struct{})}
	w.incs = append(w.incs, inc)
	w.note(inc.role(0, roleGroup), "starts")
	w.mu.Unlock()
	go func() {
		defer close(inc.done)
		err := pipeline.New(inc.config(), simLog{inc}, inc.join, simStore{inc}).Run(ctx)
		w.mu.Lock()
		defer w.mu.Unlock()
		if err != nil {
			w.fail("Run: %v", err)
		}
		cancel()
	}()
	return inc
}

func (inc *incarnation) config() pipeline.Config {
	p := inc.w.plan
	return pipeline.Config{
		Topic: "events", Epoch: 1, Partitions: inc.w.traffic.Partitions, Worker: fmt.Sprint("w", inc.slot), ControlKey: controlKey,
		Lateness: p.Lateness[inc.id%len(p.Lateness)], FlushAge: p.FlushAge, BatchRecords: p.Batches[inc.id%len(p.Batches)], CheckpointEvery: p.Every, SlabRecords: p.Slab, Hasty: inc.w.mutant == hastyReads,
		CheckpointIdle: p.Idle, CaptureUsers: p.Users, MaxRepeatIDs: p.MaxIDs, Drain: p.Drain,
		Logger: slog.New(traceHandler{inc: inc}), Registerer: nobody{},
		Failpoint: inc.failpoint, Probe: inc.w.probe, Scale: p.scale,
	}
}

// scale makes the rules small enough for small logs.
func (p *Plan) scale(r *pipeline.Rules) {
	r.LedgerBlock, r.Rewrite, r.ForceKeys, r.LeastIDs, r.ExpiryBucket = p.Block, p.Rewrite.Milliseconds(), p.ForceKeys, p.LeastIDs, p.Bucket.Milliseconds()
	r.ReadAhead, r.PastFor, r.PastIDs = p.Ahead.Milliseconds(), p.PastFor.Milliseconds(), p.PastIDs
}

// failpoint is the worker's own step.
func (inc *incarnation) failpoint(point string) error {
	w := inc.w
	if !slices.ContainsFunc(w.plan.Faults, func(f Fault) bool { return f.Point == point }) {
		return nil
	}
	a := inc.here()
	if err := a.nap(context.Background(), 0, 10*time.Microsecond); err != nil {
		return err
	}
	w.mu.Lock()
	err := w.befall(a, w.hit(a, point))
	w.mu.Unlock()
	if err != nil {
		return err
	}
	return a.stand() // stopped here, if it is to be
}

// hit counts that an actor comes to a point, and gives the fault that is due
// there; the caller holds the lock.
func (w *world) hit(a *actor, point string) *Fault {
	if w.calm {
		return nil
	}
	w.hits[point]++
	for i := range w.plan.Faults {
		if f := &w.plan.Faults[i]; f.Point == point && f.N == w.hits[point] {
			w.note(a, "* %v", f)
			w.befallen[f.Do]++
			return f
		}
	}
	return nil
}

// befall does what can be done anywhere; an error is the step's. The caller
// holds the lock.
func (w *world) befall(a *actor, f *Fault) error {
	if f == nil {
		return nil
	}
	inc := a.inc
	switch f.Do {
	case doCold, doAmnesia, doCrash:
		switch f.Do {
		case doCold:
			w.damage(a.partition, doLose)
		case doAmnesia:
			clear(w.group.committed)
		}
		inc.comesBack = f.For
		inc.die()
		return errDead
	case doPause:
		inc.pausedUntil = time.Now().Add(f.For)
		w.group.silent(inc)
	case doError:
		return errStep
	case doRebalance:
		w.group.prepare()
	case doLeave:
		inc.comesBack = f.For
		inc.cancel()
	case doSplit:
		w.split(inc, f.For)
	case doForget:
		clear(w.group.committed)
	case doDamage, doLose:
		w.damage(a.partition, f.Do)
	}
	return nil
}

// die kills a process: nothing that it does from now on has an effect. The
// caller holds the lock.
func (inc *incarnation) die() {
	if inc.dead {
		return
	}
	inc.dead = true
	close(inc.gone)
	inc.w.note(inc.role(0, roleGroup), "dies")
	inc.cancel()
	inc.w.group.silent(inc)
}

// split throws a member out of the group, which learns of it later only:
// until then both it and its successor believe to own its partitions.
func (w *world) split(inc *incarnation, d time.Duration) {
	m := inc.member
	if m == nil || m.gen == nil || m.wants {
		return
	}
	gen := m.gen
	i := slices.Index(w.group.members, m)
	if i < 0 {
		return
	}
	w.group.members = slices.Delete(w.group.members, i, i+1)
	if !w.group.preparing {
		w.group.prepare()
	} else {
		w.group.complete()
	}
	w.after(inc, roleWake, d, gen.cancel)
}

// damage spoils checkpoints of a partition.
func (w *world) damage(partition int32, do string) {
	for _, c := range slices.Backward(w.topic) {
		if c.partition == partition && c.complete && !c.damaged {
			c.damaged, w.lost = true, true
			if do == doDamage {
				return
			}
		}
	}
}

// probe panics where the handler of a poisonous record would.
func (w *world) probe(step string, _ int32, _ int64, value []byte) {
	if strings.Contains(string(value), poisonDecode) && step == pipeline.ProbeDecode || strings.Contains(string(value), poisonApply) && step == pipeline.ProbeApply {
		panic(poisoned{})
	}
}

type poisoned struct{}

// nobody collects no metrics.
type nobody struct{}

func (nobody) Register(prometheus.Collector) error  { return nil }
func (nobody) MustRegister(...prometheus.Collector) {}
func (nobody) Unregister(prometheus.Collector) bool { return true }

// traceHandler puts the worker's log into the trace of a run that wants one.
type traceHandler struct {
	inc   *incarnation
	attrs []slog.Attr
}

func (h traceHandler) Enabled(context.Context, slog.Level) bool { return h.inc.w.verbose }

func (h traceHandler) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	add := func(a slog.Attr) bool {
		text += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	w := h.inc.w
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace = append(w.trace, fmt.Sprintf("%11s w%d.%d       (%s)", time.Since(w.began), h.inc.slot, h.inc.id, text))
	return nil
}

func (h traceHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return traceHandler{h.inc, slices.Concat(h.attrs, attrs)}
}

func (h traceHandler) WithGroup(string) slog.Handler { return h }
