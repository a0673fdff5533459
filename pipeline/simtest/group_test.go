package simtest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"daybook/pipeline"
	"daybook/pipeline/source"
)

// The times of the group: those that are in force in production.
const (
	sessionTimeout   = 6 * time.Second
	rebalanceTimeout = 10 * time.Second
	heartbeat        = time.Second
)

// coordinator is the group's side of the classic protocol, as KAFKA.md found
// it: a commit is accepted of a member of the present generation, also while
// the next one is being prepared, whatever partition it names.
type coordinator struct {
	w          *world
	generation int32
	preparing  bool
	round      int // of preparing: a timeout belongs to one
	members    []*member
	committed  map[int32]source.Committed
	delayed    []*delayed
	sticky     map[int32]*incarnation // who had a partition last
}

// delayed is a commit that will be applied when left more have been.
type delayed struct {
	gen       *generation
	partition int32
	to        source.Committed
	left      int
}

// member is one membership: pipeline.Group.
type member struct {
	inc    *incarnation
	gen    *generation // the last one it was given
	wants  bool        // it is in Next
	next   chan *generation
	closed chan struct{}
}

// generation is pipeline.Generation.
type generation struct {
	id         int32
	partitions []int32
	member     *member
	ctx        context.Context //nolint:containedctx // it is the generation's own lifetime
	cancel     context.CancelFunc
	started    int
	running    sync.WaitGroup
	highest    map[int32]int64 // attempted commits: I4
}

// join adds a member that waits for a generation; the caller holds the lock.
func (c *coordinator) join(m *member) {
	m.wants = true
	if !slices.Contains(c.members, m) {
		c.members = append(c.members, m)
		c.w.note(m.inc.role(0, roleGroup), "joins")
	}
	if c.preparing {
		c.complete()
		return
	}
	c.prepare()
}

// prepare begins a rebalance; the caller holds the lock.
func (c *coordinator) prepare() {
	if c.preparing || len(c.members) == 0 {
		return
	}
	c.preparing = true
	c.round++
	round := c.round
	for _, m := range c.members {
		c.notice(m)
	}
	c.w.after(c.members[0].inc, roleEvict, rebalanceTimeout, func() {
		if c.preparing && c.round == round {
			c.members = slices.DeleteFunc(c.members, func(m *member) bool { return !m.wants })
			c.complete()
		}
	})
	c.complete()
}

// notice ends the generation of a member at its next heartbeat: it is told to
// join anew. One that is stopped hears it when it wakes.
func (c *coordinator) notice(m *member) {
	gen := m.gen
	if gen == nil || m.wants || m.inc.dead {
		return
	}
	a := m.inc.role(0, roleNotice)
	c.w.after(m.inc, roleNotice, max(0, time.Until(m.inc.pausedUntil))+between(a.draw(), 0, heartbeat), func() {
		if time.Until(m.inc.pausedUntil) > 0 {
			c.notice(m)
			return
		}
		gen.cancel()
	})
}

// complete makes the next generation as soon as every member waits for it.
func (c *coordinator) complete() {
	if !c.preparing || slices.ContainsFunc(c.members, func(m *member) bool { return !m.wants }) {
		return
	}
	c.preparing = false
	if len(c.members) == 0 {
		return
	}
	c.generation++
	shares := c.assign()
	for _, m := range c.members {
		ctx, cancel := context.WithCancel(context.Background())
		m.gen = &generation{id: c.generation, partitions: shares[m], member: m, ctx: ctx, cancel: cancel, highest: make(map[int32]int64)}
		m.wants = false
		c.w.note(m.inc.role(0, roleGroup), "generation %d: %v", c.generation, m.gen.partitions)
		m.next <- m.gen
	}
}

// assign shares the partitions out evenly; who had one keeps it if he may.
func (c *coordinator) assign() map[*member][]int32 {
	shares := make(map[*member][]int32)
	most := (len(c.w.logs) + len(c.members) - 1) / len(c.members)
	free := []int32{}
	for p := range int32(len(c.w.logs)) {
		i := slices.IndexFunc(c.members, func(m *member) bool { return m.inc == c.sticky[p] })
		if i >= 0 && len(shares[c.members[i]]) < most {
			shares[c.members[i]] = append(shares[c.members[i]], p)
		} else {
			free = append(free, p)
		}
	}
	for _, p := range free {
		least := slices.MinFunc(c.members, func(a, b *member) int { return len(shares[a]) - len(shares[b]) })
		shares[least] = append(shares[least], p)
	}
	for m, ps := range shares {
		slices.Sort(ps)
		for _, p := range ps {
			c.sticky[p] = m.inc
		}
	}
	return shares
}

// leave removes a member; the caller holds the lock.
func (c *coordinator) leave(m *member) {
	i := slices.Index(c.members, m)
	if i < 0 {
		return
	}
	c.members = slices.Delete(c.members, i, i+1)
	c.w.note(m.inc.role(0, roleGroup), "is out of the group")
	if c.preparing {
		c.complete()
	} else {
		c.prepare()
	}
}

// silent throws a member out whose process is dead, or stands still for longer
// than the session timeout.
func (c *coordinator) silent(inc *incarnation) {
	c.w.after(inc, roleEvict, sessionTimeout, func() {
		if m := inc.member; m != nil && (inc.dead || time.Until(inc.pausedUntil) > 0) {
			m.wants = false
			c.leave(m)
		}
	})
}

// accept applies a commit, or tells that the group has moved on.
func (c *coordinator) accept(g *generation, partition int32, to source.Committed) error {
	if !slices.Contains(c.members, g.member) || g.id != c.generation {
		return fmt.Errorf("simulated: generation %d, the group has %d: %w", g.id, c.generation, source.ErrFenced)
	}
	c.committed[partition] = to
	c.w.note(g.member.inc.role(partition, roleSave), "commits %d %s", to.Offset, to.Metadata)
	c.w.checkPointer(to)
	for _, d := range slices.Clone(c.delayed) {
		if d.partition == partition {
			if d.left--; d.left == 0 {
				c.delayed = slices.DeleteFunc(c.delayed, func(x *delayed) bool { return x == d })
				if c.accept(d.gen, partition, d.to) == nil { // nobody waits for the answer
					c.w.befallen[appliedLate]++
				}
			}
		}
	}
	return nil
}

// checkPointer proves that a commit has its snapshot, whole.
func (w *world) checkPointer(to source.Committed) {
	p, err := source.ParsePointer(to.Metadata)
	if err != nil || p.Next != to.Offset {
		w.fail("a commit of %d with metadata %q", to.Offset, to.Metadata)
		return
	}
	if !slices.ContainsFunc(w.topic, func(c *checkpoint) bool { return c.pointer.ID == p.ID && c.complete }) && !w.lost {
		w.fail("the commit of %d points to %s, which does not exist", to.Offset, p.ID)
	}
}

// join makes the incarnation a member: pipeline.Join.
func (inc *incarnation) join() (pipeline.Group, error) {
	inc.w.mu.Lock()
	defer inc.w.mu.Unlock()
	inc.member = &member{inc: inc, next: make(chan *generation, 1), closed: make(chan struct{})}
	return inc.member, nil
}

// Next implements pipeline.Group.
func (m *member) Next(ctx context.Context) (pipeline.Generation, error) {
	a := m.inc.actor(0, roleGroup)
	for {
		if err := a.nap(ctx, time.Millisecond, 50*time.Millisecond); err != nil {
			return nil, source.ErrClosed
		}
		c := m.inc.w.group
		c.w.mu.Lock()
		if m.gen != nil {
			m.gen.cancel()
		}
		c.join(m)
		c.w.mu.Unlock()
		select {
		case g := <-m.next:
			if g == nil { // thrown out while it stood still
				continue
			}
			if err := a.nap(ctx, time.Millisecond, 10*time.Millisecond); err != nil {
				return nil, source.ErrClosed
			}
			return g, nil
		case <-m.closed:
			return nil, source.ErrClosed
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Close implements pipeline.Group.
func (m *member) Close() error {
	c := m.inc.w.group
	// At an instant of its own: who told it to close may be one of the partitions',
	// which would hear of it now or a moment later.
	_ = m.inc.actor(0, roleClose).nap(context.Background(), time.Millisecond, 5*time.Millisecond)
	c.w.mu.Lock()
	close(m.closed)
	gen := m.gen
	c.w.mu.Unlock()
	if gen != nil {
		gen.cancel()
		gen.running.Wait()
	}
	if err := m.inc.actor(0, roleClose).nap(context.Background(), time.Millisecond, 20*time.Millisecond); err != nil {
		return nil // it died: the session will expire
	}
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	m.wants = false
	c.leave(m)
	return nil
}

// Assignment implements pipeline.Generation.
func (g *generation) Assignment() source.Assignment {
	return source.Assignment{ID: g.id, Partitions: g.partitions, PartitionCount: len(g.member.inc.w.logs)}
}

// Context implements pipeline.Generation.
func (g *generation) Context() context.Context { return g.ctx }

// Start implements pipeline.Generation. The worker starts a function for each
// partition, in their order.
func (g *generation) Start(fn func(context.Context)) {
	inc := g.member.inc
	a := inc.actor(g.partitions[g.started], roleMain)
	g.started++
	g.running.Go(func() {
		defer func() {
			if v := recover(); v != nil {
				inc.w.mu.Lock()
				defer inc.w.mu.Unlock()
				inc.w.fail("panic: %v\n%s", v, debug.Stack())
				inc.die()
			}
		}()
		a.register()
		fn(g.ctx)
		<-g.ctx.Done()
	})
}

// End implements pipeline.Generation.
func (g *generation) End() { g.cancel() }

// Committed implements pipeline.Generation.
func (g *generation) Committed(ctx context.Context) (map[int32]source.Committed, error) {
	w := g.member.inc.w
	a := g.member.inc.here()
	if _, err := a.call(ctx, pointCommitted, time.Millisecond, 10*time.Millisecond); err != nil {
		return nil, err
	}
	defer w.mu.Unlock()
	out := make(map[int32]source.Committed)
	for _, p := range g.partitions {
		out[p] = source.Committed{Offset: -1}
		if c, ok := w.group.committed[p]; ok {
			out[p] = c
		} else if w.mutant == restart && w.hits[pointCommitted] > 0 {
			end := int64(len(w.logs[p].entries))
			out[p] = source.Committed{Offset: end, Metadata: source.Pointer{ID: "none", Sum: "x", Next: end}.String()}
		}
	}
	return out, nil
}

// Commit implements pipeline.Generation.
func (g *generation) Commit(ctx context.Context, partition int32, offset int64, metadata string) error {
	w := g.member.inc.w
	a := g.member.inc.actor(partition, roleSave)
	w.mu.Lock()
	if last, ok := g.highest[partition]; ok && offset < last || !slices.Contains(g.partitions, partition) {
		w.fail("I4: a commit of partition %d goes back from %d to %d in generation %d", partition, last, offset, g.id)
	}
	g.highest[partition] = offset
	w.mu.Unlock()
	do, err := a.call(ctx, pointCommit, time.Millisecond, 20*time.Millisecond)
	if err != nil {
		return err
	}
	defer w.mu.Unlock()
	to := source.Committed{Offset: offset, Metadata: metadata}
	if do == doDelayed {
		left := 4
		if g.member.inc.faultFor > 0 {
			left = 1 + int(a.draw()%5)
		}
		w.group.delayed = append(w.group.delayed, &delayed{g, partition, to, left})
		w.note(a, "commit of %d is under way", offset)
		return transient("no answer")
	}
	if err := w.group.accept(g, partition, to); err != nil {
		w.note(a, "commit of %d is refused", offset)
		return err
	}
	if do == doAnswer {
		return transient("the answer is lost")
	}
	return nil
}

// appliedLate counts commits that others overtook, among what befell.
const appliedLate = "a commit was applied late"

var errStep = errors.New("simulated: the step fails")
