package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"daybook/pipeline/source"
	"daybook/schemas"
)

// turns is a group of one member that is rebalanced when the test says so. It
// remembers what was committed, with its metadata.
type turns struct {
	log  *fakeLog
	next chan *turn

	mu        sync.Mutex
	committed source.Committed
}

func (g *turns) Next(ctx context.Context) (Generation, error) {
	select {
	case t := <-g.next:
		return t, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (g *turns) Close() error { return nil }

// begin starts a generation; the function that it gives ends it and waits.
func (g *turns) begin() (end func()) {
	t := &turn{turns: g}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	g.next <- t
	return func() { t.cancel(); t.functions.Wait() }
}

type turn struct {
	*turns

	ctx       context.Context //nolint:containedctx // the generation's own
	cancel    context.CancelFunc
	functions sync.WaitGroup
}

func (t *turn) Assignment() source.Assignment {
	return source.Assignment{ID: 1, Partitions: []int32{0}, PartitionCount: 1}
}
func (t *turn) Context() context.Context       { return t.ctx }
func (t *turn) Start(fn func(context.Context)) { t.functions.Go(func() { fn(t.ctx) }) }
func (t *turn) End()                           { t.cancel() }

func (t *turn) Commit(_ context.Context, _ int32, offset int64, metadata string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.committed = source.Committed{Offset: offset, Metadata: metadata}
	return nil
}

func (t *turn) Committed(context.Context) (map[int32]source.Committed, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return map[int32]source.Committed{0: t.committed}, nil
}

// counting is a log that counts how often it was read from the start of what a
// worker had applied, and writes checkpoints as slowly as it is told.
type counting struct {
	stalled

	mu    sync.Mutex
	reads []int64 // offsets of fetches
}

func (l *counting) Fetch(ctx context.Context, id int32, offset int64) (*source.Chunk, error) {
	l.mu.Lock()
	l.reads = append(l.reads, offset)
	l.mu.Unlock()
	return l.stalled.Fetch(ctx, id, offset)
}

// lowest gives the lowest offset that was read since it was last asked.
func (l *counting) lowest() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	low := int64(1 << 62)
	for _, o := range l.reads {
		low = min(low, o)
	}
	l.reads = nil
	return low
}

// A worker that gets its partition again resumes warm, with rows of open
// sessions still held back, also when its last checkpoint did not fit the drain:
// an unmoved pointer says that nobody else was there (architecture section 4.9).
// Nothing is read twice, and no row is missing at the end.
func TestWorker_ResumesWarmAfterADrainThatWasTooShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, store := &counting{stalled: stalled{newFakeLog(), 0}}, newMemory()
		log.control(t, acme)
		g := &turns{log: log.fakeLog, next: make(chan *turn), committed: source.Committed{Offset: -1}}
		w := New(Config{Topic: schemas.TopicEvents, Epoch: 1, Partitions: 1, ControlKey: rigKey}, log, func() (Group, error) { return g, nil }, store)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		end := g.begin()
		log.event("u", "a")
		time.Sleep(2 * time.Second)
		end() // in order: there is a pointer
		log.takes = time.Hour
		for i := range 5 {
			end = g.begin()
			log.lowest()
			for k := range 4 {
				log.event("u", fmt.Sprint("e", i, k))
				time.Sleep(time.Second)
			}
			time.Sleep(2 * time.Second) // the last one is applied
			end()
			if low, want := log.lowest(), int64(2+4*i); i > 0 && low < want {
				t.Errorf("generation %d read from %d again, %d was applied before it", i, low, want)
			}
		}
		log.takes = 0
		end = g.begin()
		time.Sleep(20 * time.Second)
		end()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := len(store.of(0).sessions); n != 1 {
			t.Errorf("%d sessions, want one", n)
		}
		for name, s := range store.of(0).sessions {
			if want := "21 events"; !strings.Contains(s.row, want) {
				t.Errorf("%s is %q, want %s", name, s.row, want)
			}
		}
	})
}

// A generation that ends before a partition has taken up its state leaves the
// state for the next one: rebalances come in quick succession.
func TestWorker_KeepsItsStateOverAGenerationThatEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, store, seen := newFakeLog(), newMemory(), &resumes{}
		log.control(t, acme)
		g := &turns{log: log, next: make(chan *turn), committed: source.Committed{Offset: -1}}
		var hasty atomic.Bool
		w := New(Config{
			Topic: schemas.TopicEvents, Epoch: 1, Partitions: 1, ControlKey: rigKey, Logger: slog.New(resumeHandler{worker: "a", to: seen}),
			Failpoint: func(point string) error {
				if point == PointAssigned && hasty.Load() {
					return context.Canceled
				}
				return nil
			},
		}, log, func() (Group, error) { return g, nil }, store)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		for i := range 5 {
			hasty.Store(i%2 == 1)
			end := g.begin()
			log.event("u", fmt.Sprint("e", i))
			time.Sleep(2 * time.Second)
			end()
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if warm, _ := seen.check(t); warm != 2 || len(seen.all) != 3 {
			t.Errorf("%d of %d resumes are warm, want 2 of 3", warm, len(seen.all))
		}
	})
}

// shortenedLog is a log whose unread records retention takes when the test says so.
type shortenedLog struct {
	*counting

	cut atomic.Bool
}

func (l *shortenedLog) Fetch(ctx context.Context, id int32, offset int64) (*source.Chunk, error) {
	if l.cut.Load() {
		return nil, &source.OffsetOutOfRangeError{Offset: offset, Start: offset + 5, End: offset + 9}
	}
	return l.counting.Fetch(ctx, id, offset)
}

// A partition that halts after it has committed ends its generation: the state
// that is restored when it looks again may be older, and must not commit less in
// the same one (I4). One that halts at once does not: the others would be
// disturbed every ten seconds.
func TestWorker_HaltAfterACommitEndsTheGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &shortenedLog{counting: &counting{stalled: stalled{newFakeLog(), 0}}}
		log.control(t, acme)
		g := &turns{log: log.fakeLog, next: make(chan *turn), committed: source.Committed{Offset: -1}}
		w := New(Config{Topic: schemas.TopicEvents, Epoch: 1, Partitions: 1, ControlKey: rigKey}, log, func() (Group, error) { return g, nil }, newMemory())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		first := g.begin()
		log.event("u", "a")
		time.Sleep(time.Minute) // commits
		log.cut.Store(true)
		next := &turn{turns: g}
		next.ctx, next.cancel = context.WithCancel(context.Background())
		select {
		case g.next <- next: // taken when the first has ended by itself
		case <-time.After(time.Minute):
			t.Error("the generation goes on")
		}
		time.Sleep(time.Minute)
		select {
		case g.next <- &turn{turns: g}:
			t.Error("a partition that halts at once ended its generation")
		default:
		}
		cancel()
		first()
		next.cancel()
		next.functions.Wait()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
