package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"daybook/pipeline/source"
	"daybook/schemas"
)

// fakeGroup gives its one member every partition of the log, generation after
// generation.
type fakeGroup struct {
	log  *fakeLog
	view Log             // what its member reads; log if nil
	ctx  context.Context //nolint:containedctx // the test's own

	mu   sync.Mutex
	next int32
	one  *fakeGeneration
}

type fakeGeneration struct {
	*fakeLog

	id  int32
	ctx context.Context //nolint:containedctx // the generation's lifetime
	end context.CancelFunc
	all sync.WaitGroup
}

func (g *fakeGroup) Next(ctx context.Context) (Generation, error) {
	if g.ctx.Err() != nil || ctx.Err() != nil {
		return nil, source.ErrClosed
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next++
	g.one = &fakeGeneration{fakeLog: g.log, id: g.next}
	g.one.ctx, g.one.end = context.WithCancel(g.ctx)
	return g.one, nil
}

func (g *fakeGroup) current() *fakeGeneration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.one
}

func (g *fakeGroup) Close() error {
	one := g.current()
	one.end()
	one.all.Wait()
	return nil
}

func (g *fakeGeneration) Assignment() source.Assignment {
	return source.Assignment{ID: g.id, Partitions: []int32{0}, PartitionCount: 1}
}
func (g *fakeGeneration) Context() context.Context { return g.ctx }
func (g *fakeGeneration) End()                     { g.fakeLog.End(); g.end() }
func (g *fakeGeneration) Start(fn func(context.Context)) {
	g.all.Go(func() { fn(g.ctx) })
}

func (g *fakeGeneration) Committed(context.Context) (map[int32]source.Committed, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := source.Committed{Offset: -1}
	if n := len(g.commits); n > 0 {
		c = source.Committed{Offset: g.commits[n-1], Metadata: g.metadata}
	}
	return map[int32]source.Committed{0: c}, nil
}

// work runs a worker on a log of one partition until the test says so.
func work(t *testing.T, l *fakeLog, store Store, change func(*Config)) (stop func()) {
	t.Helper()
	return workIn(t, &fakeGroup{log: l, ctx: t.Context()}, store, change)
}

// workIn does so as the member of a group.
func workIn(t *testing.T, g *fakeGroup, store Store, change func(*Config)) (stop func()) {
	t.Helper()
	cfg := Config{Topic: schemas.TopicEvents, Epoch: 1, Partitions: 1, ControlKey: rigKey}
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithCancel(t.Context())
	view := g.view
	if view == nil {
		view = g.log
	}
	w := New(cfg, view, func() (Group, error) { return g, nil }, store)
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// rows gives everything that a store holds of partition 0.
func (m *memory) rows() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.of(0)
	var all []string
	for id, e := range t.events {
		all = append(all, fmt.Sprint("event ", id, " at ", e.Offset))
	}
	for name, rows := range map[string]map[string]versioned[string]{"session": t.sessions, "slice": t.slices, "ledger": t.ledger, "progress": t.progress} {
		for key, r := range rows {
			if r.row != "" {
				all = append(all, name+" "+key+" "+r.row)
			}
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}
