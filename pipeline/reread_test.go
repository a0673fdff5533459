package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"daybook/schemas"
)

// The traps of settings: each log is worked off with several cuts of batches,
// then read again from its start into the same tables, with another cut.
func TestSettings_BetweenRecordsAreReadAgainAlike(t *testing.T) {
	minutes := func(base time.Time, m int) time.Time { return base.Add(time.Duration(m) * time.Minute) }
	set := func(position int64, change func(*schemas.Control)) schemas.Control {
		c := schemas.Control{Network: "acme", Position: position, GapMs: schemas.DefaultGapMs}
		change(&c)
		return c
	}
	for name, fill := range map[string]func(t *testing.T, l *fakeLog, base time.Time){
		"network made and events produced at once": func(t *testing.T, l *fakeLog, base time.Time) {
			t.Helper()
			l.sent("acme", "u", "before", minutes(base, 0), 0) // overtook the control record: unknown_network
			l.control(t, set(0, func(*schemas.Control) {}))
			l.sent("acme", "u", "a", minutes(base, 1), 0)
			l.sent("acme", "u", "before", minutes(base, 0), 0) // sent again: it counts now
			l.control(t, set(0, func(*schemas.Control) {}))    // topped up by two owners
			l.sent("acme", "u", "b", minutes(base, 2), 0)
		},
		"disabled between two records": func(t *testing.T, l *fakeLog, base time.Time) {
			t.Helper()
			l.control(t, set(1, func(*schemas.Control) {}))
			off := minutes(base, 5).UnixMilli()
			l.sent("acme", "u", "a", minutes(base, 0), 0)
			l.sent("acme", "u", "early", minutes(base, 6), 0) // accepted: the log did not know yet
			l.control(t, set(2, func(c *schemas.Control) { c.Dark = []schemas.Dark{{FromMs: off, ToMs: math.MaxInt64}} }))
			l.sent("acme", "u", "dark", minutes(base, 7), 0)
			l.sent("acme", "u", "b", minutes(base, 4), 0) // before the instant, but received after it
			l.control(t, set(3, func(c *schemas.Control) {
				c.Dark = []schemas.Dark{{FromMs: off, ToMs: minutes(base, -1).UnixMilli() + 600_000}}
			}))
			l.sent("acme", "u", "c", minutes(base, 20), 0)
			l.control(t, set(2, func(c *schemas.Control) { c.Dark = nil })) // an old one once more
			l.sent("acme", "u", "d", minutes(base, 22), 0)
		},
		"gap changed between two records": func(t *testing.T, l *fakeLog, base time.Time) {
			t.Helper()
			l.control(t, set(1, func(*schemas.Control) {}))
			l.sent("acme", "u", "a", minutes(base, -300), 0)
			l.sent("acme", "v", "now", minutes(base, 0), 0) // the horizon passes a
			l.control(t, set(2, func(c *schemas.Control) { c.GapMs = schemas.MaxGapMs }))
			l.sent("acme", "u", "b", minutes(base, -100), 0) // within the new gap of a
			l.control(t, set(3, func(c *schemas.Control) { c.GapMs = schemas.MinGapMs }))
			l.sent("acme", "u", "c", minutes(base, -98), 0) // beyond the newest gap of b
			l.sent("acme", "u", "d", minutes(base, -97), 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, store := newFakeLog(), newMemory()
				base := time.Now().Add(-time.Minute)
				fill(t, l, base)
				for _, records := range []int{100, 1, 3, 2, 100} {
					l.commits, l.checkpoints = nil, nil // from the start, beside the rows of the time before
					stop := work(t, l, store, func(cfg *Config) { cfg.BatchRecords = records })
					time.Sleep(time.Minute)
					stop()
					if diff := compare(store.of(0), l.truth()); diff != "" {
						t.Errorf("batches of %d: %s", records, diff)
					}
				}
				if len(store.of(0).events) < 3 {
					t.Errorf("%d events are accepted: the log says too little", len(store.of(0).events))
				}
			})
		})
	}
}

// failing is a store that refuses to write while it is told to, before or after
// it applied what it was given.
type failing struct {
	*memory

	mode atomic.Int32
}

const (
	fine = iota
	refusing
	applying
)

func (f *failing) WriteRows(ctx context.Context, rows schemas.Rows) error {
	switch f.mode.Load() {
	case applying:
		_ = f.memory.WriteRows(ctx, rows)
		fallthrough
	case refusing:
		return errors.New("storage is down")
	}
	return f.memory.WriteRows(ctx, rows)
}

// committedTimes counts the commits.
func (l *fakeLog) committedTimes() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.commits)
}

// Revoked with unflushed rows, assigned again with an unmoved pointer: whether
// the rows were stored or not, none is missing and none is there twice.
func TestPartition_RevokedWithUnflushedRowsAndAssignedAgain(t *testing.T) {
	for name, mode := range map[string]int32{"not stored": refusing, "stored, answer lost": applying, "rows of open sessions held back": fine} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, store := newFakeLog(), &failing{memory: newMemory()}
				g := &fakeGroup{log: l, ctx: t.Context()}
				l.control(t, acme)
				l.event("u", "first")
				stop := workIn(t, g, store, nil)
				time.Sleep(time.Minute)
				committed := l.committedTimes()
				for round := range 3 {
					store.mode.Store(mode)
					for i := range 5 {
						l.event("u", fmt.Sprint(round, "-", i))
						time.Sleep(time.Second)
					}
					if mode == fine { // the checkpoint of the release is lost, too
						l.mu.Lock()
						l.committing = errors.New("refused")
						l.mu.Unlock()
					} else if l.committedTimes() != committed {
						t.Fatalf("committed %d times while nothing was durable", l.committedTimes()-committed)
					}
					g.current().end()
					time.Sleep(10 * time.Second) // the drain, and the next generation
					store.mode.Store(fine)
					l.mu.Lock()
					l.committing = nil
					l.mu.Unlock()
					time.Sleep(time.Minute)
					committed = l.committedTimes()
				}
				stop()
				if g.next < 4 {
					t.Errorf("%d generations, want four", g.next)
				}
				if diff := compare(store.of(0), l.truth()); diff != "" {
					t.Error(diff)
				}
				if n := len(store.of(0).events); n != 16 {
					t.Errorf("%d events are accepted, want 16", n)
				}
			})
		})
	}
}
