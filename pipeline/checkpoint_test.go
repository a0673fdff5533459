package pipeline

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"daybook/pipeline/source"
)

// stalled is a log whose checkpoints take their time.
type stalled struct {
	*fakeLog

	takes time.Duration
}

func (l *stalled) WriteCheckpoint(ctx context.Context, id int32, next int64, snapshot []byte) (source.Pointer, error) {
	select {
	case <-time.After(l.takes):
		return l.fakeLog.WriteCheckpoint(ctx, id, next, snapshot)
	case <-ctx.Done():
		return source.Pointer{}, context.Cause(ctx)
	}
}

// A checkpoint does not hold consumption up, however long it takes to write:
// what comes meanwhile is visible as usual, and what is committed is the
// position that was saved.
func TestPartition_GoesOnWhileACheckpointIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, store := &stalled{newFakeLog(), 20 * time.Second}, newMemory()
		l.control(t, acme)
		p := testPartition(l.fakeLog, store)
		p.log = l
		p.cfg.CaptureUsers = 1
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.run(ctx, source.Committed{Offset: -1}, nil) }()
		for i := range 45 {
			l.event(fmt.Sprint("u", i%20), fmt.Sprint("e", i))
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if n := len(store.of(0).events); n != i+1 {
				t.Fatalf("%d events are visible after %d, with a checkpoint under way", n, i+1)
			}
		}
		synctest.Wait()
		if len(l.commits) == 0 || l.commits[0] >= 40 {
			t.Errorf("committed %v after 90 s, want the first position that was saved", l.commits)
		}
		cancel()
		if err := <-done; err == nil {
			t.Error("the last checkpoint takes longer than the drain, but was said to be done")
		}
		for _, c := range l.commits {
			r, err := p.snapshotOf(c)
			if err != nil || r.state.pos != c {
				t.Errorf("committed %d without a snapshot of it: %v", c, err)
			}
		}
	})
}

// snapshotOf finds the checkpoint of a position in the log's topic.
func (p *partition) snapshotOf(pos int64) (*restored, error) {
	all, err := p.log.Checkpoints(context.Background(), p.id)
	for _, x := range all {
		if x.Next == pos {
			return p.snapshot(context.Background(), x)
		}
	}
	return nil, fmt.Errorf("none: %w", err)
}

// audited is a group that looks at the tables when it is asked to commit.
type audited struct {
	*fakeLog

	look func(offset int64)
}

func (a *audited) Commit(ctx context.Context, id int32, offset int64, metadata string) error {
	a.look(offset)
	return a.fakeLog.Commit(ctx, id, offset, metadata)
}

// The commit waits for the rows of open sessions that were held back, which
// are written a few at a time.
func TestPartition_CommitsWhenNothingIsOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users = 20
		l, store := newFakeLog(), newMemory()
		l.control(t, acme)
		p := testPartition(l, store)
		p.rules.ForceKeys = 2
		p.cfg.CheckpointIdle = 2 * users
		var commits atomic.Int64
		p.group = &audited{l, func(offset int64) {
			store.mu.Lock()
			defer store.mu.Unlock()
			commits.Add(1)
			for name, s := range store.of(0).sessions {
				if !strings.Contains(s.row, ", 2 events") {
					t.Errorf("%d is to be committed, but %s is still %q", offset, name, s.row)
				}
			}
		}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.run(ctx, source.Committed{Offset: -1}, nil) }()
		for round := range 2 {
			for u := range users {
				l.event(fmt.Sprint("u", u), fmt.Sprint("e", round, "-", u))
			}
			time.Sleep(1200 * time.Millisecond)
		}
		time.Sleep(700 * time.Millisecond) // nothing comes for a flush's time: the burst has ended
		synctest.Wait()
		if commits.Load() > 0 || len(l.checkpoints) != 1 {
			t.Errorf("%d commits, %d checkpoints: want one checkpoint that waits for its rows", commits.Load(), len(l.checkpoints))
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if commits.Load() != 1 {
			t.Errorf("%d commits, want one", commits.Load())
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
