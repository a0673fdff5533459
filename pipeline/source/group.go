package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// GroupConfig has the times of a membership. The zero value takes the defaults
// that were measured in KAFKA.md section 6.
type GroupConfig struct {
	SessionTimeout   time.Duration // a silent member is out after it; 6 s. A drain has half of it.
	Heartbeat        time.Duration // 1 s
	RebalanceTimeout time.Duration // how long the coordinator waits for the others; 10 s
	JoinBackoff      time.Duration // after a failed join; 500 ms (kafka-go's default is 5 s)
	WatchInterval    time.Duration // how often the number of partitions is looked at; 1 s
}

// Group is one membership in the consumer group of the events topic. A
// goroutine of its own always takes the next generation from kafka-go, whose
// run loop would else stand still while this member owns partitions.
type Group struct {
	client *Client
	group  *kafka.ConsumerGroup
	sticky *stickyBalancer
	watch  time.Duration
	next   chan *Generation // unbuffered: a generation that ended before it was taken is dropped
	cancel context.CancelFunc
	done   chan struct{}
}

// NewGroup joins the consumer group. Close leaves it.
func (c *Client) NewGroup(cfg GroupConfig) (*Group, error) {
	setDefault(&cfg.SessionTimeout, 6*time.Second)
	setDefault(&cfg.Heartbeat, time.Second)
	setDefault(&cfg.RebalanceTimeout, 10*time.Second)
	setDefault(&cfg.JoinBackoff, 500*time.Millisecond)
	setDefault(&cfg.WatchInterval, time.Second)
	sticky := newStickyBalancer()
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: c.cfg.Group, Brokers: c.cfg.Brokers, Topics: []string{c.cfg.EventsTopic},
		Dialer: &kafka.Dialer{
			ClientID: c.cfg.ClientID, Timeout: c.cfg.DialTimeout, DualStack: true, TLS: c.cfg.TLS, SASLMechanism: c.sasl,
		},
		GroupBalancers:    []kafka.GroupBalancer{sticky},
		HeartbeatInterval: cfg.Heartbeat, SessionTimeout: cfg.SessionTimeout, RebalanceTimeout: cfg.RebalanceTimeout,
		JoinGroupBackoff: cfg.JoinBackoff, Timeout: c.cfg.DialTimeout,
	})
	if err != nil {
		return nil, fmt.Errorf("join group %s: %w", c.cfg.Group, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	g := &Group{client: c, group: group, sticky: sticky, watch: cfg.WatchInterval, next: make(chan *Generation), cancel: cancel, done: make(chan struct{})}
	go g.run(ctx)
	return g, nil
}

// Next waits for the next generation. It is an error to call it before every
// function of the last one has returned: kafka-go joins only then. Errors:
// ErrClosed, or the context's cause.
func (g *Group) Next(ctx context.Context) (*Generation, error) {
	select {
	case gen := <-g.next:
		return gen, nil
	case <-g.done:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Close ends the generation, waits for its functions, and leaves the group, so
// that the others take over without waiting for the session to expire.
func (g *Group) Close() error {
	g.cancel()
	err := g.group.Close() // ends Next at once, but returns only when the group was left
	<-g.done
	return err
}

// run takes generations until the group is closed.
func (g *Group) run(ctx context.Context) {
	defer close(g.done)
	for {
		gen, err := g.group.Next(ctx)
		switch {
		case errors.Is(err, kafka.ErrGroupClosed), ctx.Err() != nil:
			return
		case err != nil:
			g.client.cfg.OnRetry("join group", err)
			g.client.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "could not join group, trying again", slog.String("error", err.Error()))
			continue
		}
		generation, err := g.begin(ctx, gen)
		if err != nil {
			g.client.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "generation ended before it began", slog.String("error", err.Error()))
			continue
		}
		select {
		case g.next <- generation:
		case <-generation.ctx.Done():
		case <-ctx.Done():
			return
		}
	}
}

// begin wraps kafka-go's generation.
func (g *Group) begin(ctx context.Context, inner *kafka.Generation) (*Generation, error) {
	generation := newGeneration(ctx, g.client, inner)
	g.sticky.owns(inner.ID, generation.Partitions)
	count, err := g.client.Partitions(generation.ctx, g.client.cfg.EventsTopic) //nolint:contextcheck // it is derived from ctx in newGeneration.
	if err != nil && !errors.Is(err, ErrUnknownTopic) {
		generation.End()
		return nil, err
	}
	generation.PartitionCount = count
	generation.Start(func(ctx context.Context) { generation.watch(ctx, g.watch) })
	return generation, nil
}

// Generation is a time in which the member owns partitions. It is safe for
// concurrent use.
type Generation struct {
	ID             int32
	Member         string
	Partitions     []int32 // ascending; may be empty
	PartitionCount int     // of the whole topic, now. If it grew, the worker halts (ARCHITECTURE.md 4.11).

	client *Client
	inner  *kafka.Generation
	ctx    context.Context //nolint:containedctx // it is the generation's own lifetime, handed out by Context.
	end    context.CancelCauseFunc

	mu        sync.Mutex
	committed map[int32]int64 // highest offset committed in this generation: invariant I4
}

func newGeneration(ctx context.Context, c *Client, inner *kafka.Generation) *Generation {
	g := &Generation{ID: inner.ID, Member: inner.MemberID, client: c, inner: inner, committed: make(map[int32]int64)}
	for _, p := range inner.Assignments[c.cfg.EventsTopic] {
		g.Partitions = append(g.Partitions, int32(p.ID))
	}
	slices.Sort(g.Partitions)
	g.ctx, g.end = context.WithCancelCause(context.WithoutCancel(ctx))
	// Watches kafka-go's end and carries ours to it: the generation ends when
	// any function that was started in it returns.
	inner.Start(func(innerCtx context.Context) {
		select {
		case <-innerCtx.Done():
		case <-g.ctx.Done():
		}
		g.end(ErrGenerationEnded)
	})
	return g
}

// Assignment is what a generation gives to a member.
type Assignment struct {
	ID             int32
	Partitions     []int32 // ascending; may be empty
	PartitionCount int     // of the whole topic, when the generation began
}

// Assignment tells what this member owns.
func (g *Generation) Assignment() Assignment {
	return Assignment{g.ID, g.Partitions, g.PartitionCount}
}

// watch ends the generation when the topic has another number of partitions than
// it had when the generation began. kafka-go's own watcher takes the number that
// it sees first for the right one: growth before that would never be noticed.
func (g *Generation) watch(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if n, err := g.client.Partitions(ctx, g.client.cfg.EventsTopic); err == nil && n != g.PartitionCount {
			g.client.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "the topic has another number of partitions", slog.Int("had", g.PartitionCount), slog.Int("has", n))
			g.End()
			return
		}
	}
}

// Context ends when the generation ends, with the cause ErrGenerationEnded.
func (g *Generation) Context() context.Context { return g.ctx }

// Start runs fn for as long as the generation lasts. The next generation is
// joined only when every fn has returned, so fn must return soon after its
// context ended: within half the session timeout, or the member is thrown out.
// When fn returns early, the generation goes on without it.
func (g *Generation) Start(fn func(context.Context)) {
	g.inner.Start(func(innerCtx context.Context) {
		fn(g.ctx) //nolint:contextcheck // the same lifetime, but with a cause.
		<-innerCtx.Done()
	})
}

// End gives the generation up: all its functions are told to stop, then the
// group is joined anew.
func (g *Generation) End() { g.end(ErrGenerationEnded) }

// Committed reads what the group has committed for this generation's
// partitions, with metadata.
func (g *Generation) Committed(ctx context.Context) (map[int32]Committed, error) {
	if len(g.Partitions) == 0 {
		return map[int32]Committed{}, nil
	}
	return g.client.Committed(ctx, g.Partitions)
}

// Commit makes offset the group's position on the partition, with metadata (a
// pointer to the checkpoint that reflects it). It works for as long as the
// coordinator lets the generation commit, which is a little longer than
// Context lasts. Errors: ErrFenced if the group has moved on; ErrBadMetadata;
// ErrTransient, after which the offset may or may not be committed.
//
// It panics if the partition is not this generation's or the offset goes back
// (I1, I4): the broker would accept both.
func (g *Generation) Commit(ctx context.Context, partition int32, offset int64, metadata string) error {
	g.advance(partition, offset)
	return g.client.commitOffset(ctx, member{generation: g.ID, id: g.Member}, partition, offset, metadata)
}

// advance notes that offset will be committed. It counts from the attempt on:
// one whose answer was lost may have been applied.
func (g *Generation) advance(partition int32, offset int64) {
	if !slices.Contains(g.Partitions, partition) {
		panic(fmt.Sprintf("I1: commit of partition %d, which generation %d does not own", partition, g.ID))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if last, ok := g.committed[partition]; offset < 0 || ok && offset < last {
		panic(fmt.Sprintf("I4: commit of partition %d goes back from %d to %d in generation %d", partition, last, offset, g.ID))
	}
	g.committed[partition] = offset
}
