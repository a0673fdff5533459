package clickhouse

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of a joint insert. What an insert costs beside its rows is that of some
// 5,000 events (DESIGN.md, "What an insert costs"): a block of several times that
// gains little by company and would keep the others waiting.
const (
	aloneBytes = 4 << 20  // a larger block travels alone, beside others
	jointBytes = 16 << 20 // encoded bytes that travel together
	// gather is how long at most the first block of an insert waits for those of
	// other flushes. Without a wait flushes that travelled together part at the next
	// table, where the first of them leaves at once (219 inserts of 240 blocks). An
	// insert takes 10 ms and more, a flush comes once a second.
	gather = 20 * time.Millisecond
)

// group lets small inserts into one table travel together. The first waits until
// every flush that is being written has come here, or for a moment; those that
// come while an insert is in flight wait for its end. Then they go as one INSERT,
// whose body is their Native blocks one after the other. So a table's part is made
// once for all partitions that flush at that moment, and a flush that is alone
// waits for nobody.
//
// Each member gets the answer to the joint insert. A member whose context ends
// leaves; the insert goes on for the others, and ends with the last of them.
type group struct {
	send    func(ctx context.Context, into string, body io.Reader) error
	flushes func() int      // that are being written
	done    *sync.WaitGroup // Close waits for senders
	came    chan struct{}   // of size one: there is a new member

	mu       sync.Mutex
	inFlight bool
	waiting  []*member
}

func newGroup(send func(ctx context.Context, into string, body io.Reader) error, flushes func() int, done *sync.WaitGroup) *group {
	return &group{send: send, flushes: flushes, done: done, came: make(chan struct{}, 1)}
}

// member is one block of a joint insert.
type member struct {
	ctx     context.Context //nolint:containedctx // of the one call that the member is
	into    string
	block   parts
	size    int          // of the block, bytes
	outcome chan outcome // of size one: a member that has left takes none
}

// outcome is what became of a joint insert.
type outcome struct {
	err   error
	joint bool // there were other members
}

// insert makes a block durable, alone or with others. The block must not be
// changed after an error: an insert that goes on for others may still read it.
func (g *group) insert(ctx context.Context, into string, block parts, alone bool) outcome {
	size := block.size()
	if alone || size > aloneBytes {
		return outcome{err: g.send(ctx, into, block.reader())}
	}
	m := &member{ctx: ctx, into: into, block: block, size: size, outcome: make(chan outcome, 1)}
	g.mu.Lock()
	g.waiting = append(g.waiting, m)
	if !g.inFlight {
		g.inFlight = true
		g.done.Go(g.run)
	}
	g.mu.Unlock()
	select {
	case g.came <- struct{}{}:
	default:
	}
	select {
	case o := <-m.outcome:
		return o
	case <-ctx.Done():
		return outcome{err: context.Cause(ctx)}
	}
}

// run sends what waits until nothing does.
func (g *group) run() {
	g.gather()
	for {
		joint := g.take()
		if joint == nil {
			return
		}
		ctx, release := lastOf(joint)
		blocks := make([]io.Reader, len(joint))
		for i, m := range joint {
			blocks[i] = m.block.reader()
		}
		err := g.send(ctx, joint[0].into, io.MultiReader(blocks...))
		release()
		for _, m := range joint {
			m.outcome <- outcome{err: err, joint: len(joint) > 1}
		}
	}
}

// gather waits for company.
func (g *group) gather() {
	enough := time.NewTimer(gather)
	defer enough.Stop()
	for {
		g.mu.Lock()
		here := len(g.waiting)
		g.mu.Unlock()
		if here >= g.flushes() {
			return
		}
		select {
		case <-g.came:
		case <-enough.C:
			return
		}
	}
}

// take gives the members of the next joint insert, nil if nobody waits.
func (g *group) take() []*member {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, size := 0, 0
	for n < len(g.waiting) && (n == 0 || size+g.waiting[n].size <= jointBytes) {
		size += g.waiting[n].size
		n++
	}
	joint := g.waiting[:n:n]
	if g.waiting = g.waiting[n:]; n == 0 {
		g.inFlight, g.waiting, joint = false, nil, nil
	}
	return joint
}

// lastOf gives a context that ends with the last of the members' contexts.
func lastOf(joint []*member) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(joint[0].ctx))
	var left atomic.Int64
	left.Store(int64(len(joint)))
	stops := make([]func() bool, len(joint))
	for i, m := range joint {
		stops[i] = context.AfterFunc(m.ctx, func() {
			if left.Add(-1) == 0 {
				cancel(context.Cause(m.ctx))
			}
		})
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel(nil)
	}
}
