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
	toFlush               // a flush is due
	toChunk               // a chunk came
	toCapture             // some users of a checkpoint under way are to be written down
)

// task is what a partition does next.
type task struct {
	what  what
	chunk fetched
	saved saved
}

// next waits for something to do. Of what is ready it takes the first in a
// fixed order, where a select would draw lots: so a simulated run is repeatable
// (pipeline/simtest). Chunks and the steps of a checkpoint take turns, neither
// waits for the other.
func (p *partition) next(ctx context.Context, in <-chan fetched, due <-chan time.Time) task {
	if t, ok := p.ready(ctx, in, due); ok {
		return t
	}
	select {
	case <-ctx.Done():
		return task{what: toEnd}
	case r := <-p.saved():
		return task{what: toSaved, saved: r}
	case <-due:
		return task{what: toFlush}
	case f := <-in:
		return task{what: toChunk, chunk: f}
	}
}

// ready gives what need not be waited for.
func (p *partition) ready(ctx context.Context, in <-chan fetched, due <-chan time.Time) (task, bool) {
	if ctx.Err() != nil {
		return task{what: toEnd}, true
	}
	select {
	case r := <-p.saved():
		return task{what: toSaved, saved: r}, true
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
	select {
	case f := <-in:
		p.chunkLast = true
		return task{what: toChunk, chunk: f}, true
	default:
	}
	return task{what: toCapture}, capturing
}
