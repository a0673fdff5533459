package pipeline

import (
	"context"
	"time"
)

// What the loop of a partition turns to.
type what int

const (
	toEnd     what = iota // the partition is taken away
	toSaved               // a goroutine of the checkpoint answered
	toWritten             // the writer answered
	toFlush               // a flush is due
	toSlab                // records came
	toCapture             // some users of a checkpoint under way are to be written down
)

// task is what a partition does next.
type task struct {
	what  what
	slab  *slab
	saved saved
	err   error // of the writer
}

// next waits for something to do. Of what is ready it takes the first in a
// fixed order, where a select would draw lots: so a simulated run is repeatable
// (pipeline/simtest). Chunks and the steps of a checkpoint take turns, neither
// waits for the other. A batch that is full takes no more records before the
// flush in the writer's hand is durable.
func (p *partition) next(ctx context.Context, due <-chan time.Time) task {
	if t, ok := p.ready(ctx, due); ok {
		return t
	}
	var in <-chan chunkRead
	if !p.batch.full {
		in = p.reader.fetched()
	}
	select {
	case <-ctx.Done():
		return task{what: toEnd}
	case r := <-p.saved():
		return task{what: toSaved, saved: r}
	case err := <-p.wrote():
		return task{what: toWritten, err: err}
	case <-due:
		return task{what: toFlush}
	case c := <-in:
		return p.took(p.reader.begin(c))
	}
}

// ready gives what need not be waited for.
func (p *partition) ready(ctx context.Context, due <-chan time.Time) (task, bool) {
	if ctx.Err() != nil {
		return task{what: toEnd}, true
	}
	select {
	case r := <-p.saved():
		return task{what: toSaved, saved: r}, true
	default:
	}
	select {
	case err := <-p.wrote():
		return task{what: toWritten, err: err}, true
	default:
	}
	select {
	case <-due:
		return task{what: toFlush}, true
	default:
	}
	capturing := p.saving != nil && p.saving.capture != nil
	if capturing && p.chunkLast {
		p.chunkLast = false
		return task{what: toCapture}, true
	}
	if p.batch.full {
		return task{what: toCapture}, capturing
	}
	if s := p.reader.next(); s != nil {
		return p.took(s), true
	}
	select {
	case c := <-p.reader.fetched():
		return p.took(p.reader.begin(c)), true
	default:
	}
	return task{what: toCapture}, capturing
}

// took notes that a slab was decoded.
func (p *partition) took(s *slab) task {
	p.chunkLast = p.chunkLast || s.chunk != nil
	return task{what: toSlab, slab: s}
}
