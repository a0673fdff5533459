package pipeline

import (
	"context"
	"errors"
	"fmt"
	"path"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
)

// A record whose handling panics must neither stop its partition for ever nor
// be dropped (TRUST.md section 2). The panic is recovered together with the
// offset that was being handled; the state, applied in part, is dropped and
// restored; a durable mark counts the panics of the offset. The third sets the
// record aside: first in the catalogue, so that an owner knows it before it
// reads the record, then by a control record in the partition's own log, so
// that whoever has only the log knows it, too. From then on the record is a
// reject like any other.
//
// While that goes on, batches end before a suspect and hold it alone, and a
// checkpoint is taken before it: what lies before it is handled once.

// panicsToSetAside is how often the handling of one record may panic.
const panicsToSetAside = 3

// span is a run of offsets, one of whose records made a panic that no single
// one could be blamed for: its records are handled in batches of half as many,
// until one is alone.
type span struct {
	from, next int64 // half-open
	limit      int   // records of a batch
}

// poison is what the owner of a partition knows of records that panicked; it does
// not change while records are handled. All its methods take nil for "nobody asks".
type poison struct {
	partition int32
	probe     func(step string, partition int32, offset int64, value []byte)
	asides    map[int64]*Aside
	span      span
	aside     atomic.Int64 // how many are set aside, for Worker.Notes
}

// hand is the record that a goroutine handles: to blame, should that panic.
type hand struct {
	poison *poison
	busy   bool
	offset int64 // if busy
	span   span  // the records that re-enter at once, while none of them is at hand
}

func newPoison(cfg *Config, partition int32) *poison {
	return &poison{partition: partition, probe: cfg.Probe, asides: make(map[int64]*Aside)}
}

// at notes which record is handled.
func (h *hand) at(step string, offset int64, value []byte) {
	h.offset, h.busy = offset, true
	if h.poison == nil || h.poison.probe == nil {
		return
	}
	if _, aside := h.poison.setAside(offset); !aside {
		h.poison.probe(step, h.poison.partition, offset, value)
	}
}

// all notes that the records below an offset re-enter at once; if it is one, that
// is at hand.
func (h *hand) all(slabs []*slab, until int64) {
	h.span = span{next: until}
	for _, s := range slabs {
		n := s.below(until)
		if h.span.limit == 0 && n > 0 {
			h.span.from, h.offset = s.records[s.at].offset, s.records[s.at].offset
		}
		h.span.limit += n
	}
	h.busy = h.span.limit == 1
}

// run notes that some records are looked at together, before each is at hand: else
// the one before them would be blamed.
func (h *hand) run(records []record) {
	first, last := records[0].offset, records[len(records)-1].offset
	h.offset, h.busy = first, len(records) == 1
	h.span = span{from: first, next: last + 1, limit: len(records)}
}

// done notes that no record is handled any more: what panics now is no
// record's fault.
func (h *hand) done() { h.busy, h.span = false, span{} }

// blames says whether a panic is one of records.
func (h *hand) blames() bool { return h.busy || h.span.limit > 1 }

// blame gives the error of a panic.
func (h *hand) blame(v any) *panicError {
	e := &panicError{offset: h.offset, reason: panicReason(v)}
	if !h.busy {
		e.offset, e.span = -1, h.span
		e.span.limit /= 2
	}
	return e
}

// suspects says whether the handling of an offset has panicked, but not often
// enough.
func (o *poison) suspects(offset int64) bool {
	if o == nil || len(o.asides) == 0 {
		return false
	}
	a := o.asides[offset]
	return a != nil && !a.SetAside
}

// setAside says whether the record at an offset is not to be handled, and what
// its reject says.
func (o *poison) setAside(offset int64) (why string, ok bool) {
	if o == nil || len(o.asides) == 0 {
		return "", false
	}
	a := o.asides[offset]
	if a == nil || !a.SetAside {
		return "", false
	}
	return asideDetail(a.Reason), true
}

// asideDetail is the sentence that is kept with a record that was set aside: a
// function of the log, like all of the reject.
func asideDetail(reason string) string {
	return fmt.Sprintf("handling it failed %d times and it was set aside: %s; the partition went on without it; report this line to the authors of daybook", panicsToSetAside, reason)
}

// watches says whether batches must be cut for the sake of records that panicked.
func (o *poison) watches() bool { return o != nil && (len(o.asides) > 0 || o.span.limit > 0) }

// cuts says whether a batch ends before an offset: a suspect is alone in its
// batch, and those of a span are few in theirs.
func (o *poison) cuts(from int64, records int, offset int64) bool {
	if o == nil || records == 0 {
		return false
	}
	if o.suspects(offset) {
		return true
	}
	s := &o.span
	inside := s.from <= from && from < s.next
	return s.limit > 0 && (from < s.from && s.from <= offset || inside && (offset >= s.next || records >= s.limit))
}

// saveBefore takes a checkpoint, and waits for it, if the next offset is one
// that panicked: what lies before it is spared another attempt.
func (p *partition) saveBefore(ctx context.Context) error {
	pos := p.state.pos
	if !p.poison.suspects(pos) && (p.poison.span.limit == 0 || p.poison.span.from != pos) || p.pointer.Next == pos {
		return nil
	}
	if err := p.abandon(ctx); err != nil {
		return err
	}
	return p.checkpoint(ctx)
}

// panicError is a recovered panic.
type panicError struct {
	offset int64 // whose handling panicked; -1: one of the span
	span   span
	reason string
}

// Error implements error.
func (e *panicError) Error() string {
	if e.offset < 0 {
		return fmt.Sprintf("handling one of the offsets [%d, %d) panicked: %s", e.span.from, e.span.next, e.reason)
	}
	return fmt.Sprintf("handling offset %d panicked: %s", e.offset, e.reason)
}

// guarded runs do and turns a panic into an error if a record is to blame. Any
// other says that this program is wrong: it ends the process, as it must.
func (p *partition) guarded(do func() error) (err error) {
	hand := &p.state.hand
	hand.poison = p.poison
	hand.done()
	defer func() {
		if !hand.blames() {
			return
		}
		if v := recover(); v != nil {
			err = hand.blame(v)
			p.broken = true // applied in part: this state is nobody's any more
		}
	}()
	return do()
}

// panicReason says what panicked and where, without anything of the record:
// the text of a runtime error or of an invariant of ours, else the value's type.
func panicReason(v any) string {
	text := fmt.Sprintf("a %T", v)
	if e, ok := v.(runtime.Error); ok {
		text = e.Error()
	} else if s, ok := v.(string); ok && strings.HasPrefix(s, "invariant") {
		text = s
	}
	return text + " in " + panicPlace()
}

// panicPlace names the function of this program that panicked; the caller is
// called by the function that recovers.
func panicPlace() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs)])
	for panicked := false; ; {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicked = true
		case panicked && strings.HasPrefix(f.Function, "daybook/"):
			return f.Function + " (" + path.Base(f.File) + ":" + strconv.Itoa(f.Line) + ")"
		case !more:
			return "unknown"
		}
	}
}

// isPanic says whether an attempt ended by nothing but a record's panic: what
// was to be noted of it is durable.
func isPanic(err error) bool {
	_, ok := err.(*panicError) //nolint:errorlint // one that is wrapped brought another error along
	return ok
}

// panicked is what a worker remembers of an attempt that a panic ended.
type panicked struct {
	generation int32
	span       span
}

// notePanic keeps what the next attempt needs, and says whether that may happen
// in the same generation: the other partitions then notice nothing. It may if
// the group's position is certainly what this worker last knew (I4). The caller
// holds the lock.
func (w *Worker) notePanic(p *partition, gen Generation, err error) bool {
	delete(w.panics, p.id)
	var e *panicError
	if !errors.As(err, &e) {
		return false
	}
	w.panics[p.id] = panicked{gen.Assignment().ID, e.span}
	return isPanic(err) && !p.ambiguous
}

// resumeAfterPanic hands that over. The caller holds the lock.
func (w *Worker) resumeAfterPanic(p *partition, gen Generation) {
	if last, ok := w.panics[p.id]; ok {
		p.poison.span, p.again = last.span, last.generation == gen.Assignment().ID
	}
}
