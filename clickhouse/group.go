package clickhouse

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of a joint insert. What an insert costs beside its rows is that of some
// 5,000 events (DESIGN.md, "What an insert costs"), and its part is merged the
// sooner the smaller it is: behind a backlog two partitions have 90,000 events each
// (20 MB), which are two parts or one.
const (
	aloneBytes = 32 << 20 // a larger block travels alone, beside others
	jointBytes = 64 << 20 // encoded bytes that travel together: what the engine makes one part of
	// gather is how long at most the first block of an insert waits for those of
	// other flushes. Without a wait flushes that travelled together part at the next
	// table, where the first of them leaves at once (219 inserts of 240 blocks). An
	// insert takes 10 ms and more, a flush comes once a second.
	gather = 20 * time.Millisecond
	// A block of so many bytes is of a backlog, where the next batch is applied while
	// this one waits: it waits for every partition that has flushed lately, longer
	// the larger it is (10 MB: 0.2 s, twice what its own insert takes).
	backlogBytes = 1 << 20
	gatherPerMB  = 20 * time.Millisecond
	lately       = 2 * time.Second
)

// group lets small inserts into one table travel together. The first waits until
// every flush that is being written has come here, or for a moment; those that
// come while an insert is in flight wait for its end. Then they go as one INSERT, whose body is their
// Native blocks one after the other. So a table's part is made
// once for all partitions that flush at that moment, and a flush that is alone
// waits for nobody.
//
// Each member gets the answer to the joint insert. A member whose context ends
// leaves; the insert goes on for the others, and ends with the last of them.
type group struct {
	send    func(ctx context.Context, into string, body io.Reader) error
	company func(bytes int) int // flushes that so many bytes wait for, their own among them
	done    *sync.WaitGroup     // Close waits for senders
	came    chan struct{}       // of size one: there is a new member, or a flush less to wait for

	mu       sync.Mutex
	inFlight bool
	waiting  []*member
}

func newGroup(send func(ctx context.Context, into string, body io.Reader) error, company func(bytes int) int, done *sync.WaitGroup) *group {
	return &group{send: send, company: company, done: done, came: make(chan struct{}, 1)}
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
	g.look()
	select {
	case o := <-m.outcome:
		return o
	case <-ctx.Done():
		return outcome{err: context.Cause(ctx)}
	}
}

// look lets who gathers count again.
func (g *group) look() {
	select {
	case g.came <- struct{}{}:
	default:
	}
}

// run sends what waits until nothing does.
func (g *group) run() {
	for first := true; ; first = false {
		g.gather(first)
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

// gather waits for company, if anyone is here. What came during an insert has had
// its time, unless it is large: small flushes would wait for those that have just
// left for the next table, and these for them there.
func (g *group) gather(first bool) {
	for begin := time.Now(); ; {
		g.mu.Lock()
		here, size := len(g.waiting), 0
		for _, m := range g.waiting {
			size += m.size
		}
		g.mu.Unlock()
		left := gather + time.Duration(size/backlogBytes)*gatherPerMB - time.Since(begin)
		if here == 0 || !first && size < backlogBytes || here >= g.company(size) || size >= jointBytes || left <= 0 {
			return
		}
		enough := time.NewTimer(left)
		select {
		case <-g.came:
			enough.Stop()
		case <-enough.C:
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
