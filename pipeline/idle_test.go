package pipeline

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"daybook/pipeline/source"
)

// completeAt gives the instant up to which the worker says that everything is
// visible; what ended a gap before it is shown closed (ARCHITECTURE.md section 5).
func (m *memory) completeAt() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ms := m.statuses[0].CaughtUpMs; ms != 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

// When traffic stops, the wall clock closes what is left: completeness follows
// it within a report, for as long as nothing comes.
func TestIdle_CompletenessFollowsTheWallClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, store := newFakeLog(), newMemory()
		l.control(t, acme)
		stop := work(t, l, store, nil)
		for range 30 {
			l.event("u", time.Now().String())
			time.Sleep(700 * time.Millisecond)
		}
		for range 120 {
			time.Sleep(30 * time.Second)
			if behind := time.Since(store.completeAt()); behind > 2*reportIdle {
				t.Fatalf("complete %v ago while nothing comes, want %v at most", behind, 2*reportIdle)
			}
		}
		stop()
		if at := store.completeAt(); !at.IsZero() || !store.statuses[0].Released {
			t.Errorf("nobody owns the partition, and it is said to be complete at %v", at)
		}
	})
}

// cutLog gives a few records at a time.
type cutLog struct {
	*fakeLog

	each int64
}

func (l *cutLog) Fetch(ctx context.Context, partition int32, offset int64) (*source.Chunk, error) {
	c, err := l.fakeLog.Fetch(ctx, partition, offset)
	if err == nil && c.Next > offset+l.each {
		c.Next, c.Records = offset+l.each, c.Records[:l.each]
	}
	return c, err
}

// A partition that is behind closes nothing by the wall clock, however long it
// takes: its last sessions may go on in what it has not read.
func TestIdle_BehindIsNeverComplete(t *testing.T) {
	for name, run := range map[string]func(t *testing.T, l *fakeLog, store *slow) (stop func()){
		"reads slowly": func(t *testing.T, l *fakeLog, store *slow) func() {
			t.Helper()
			store.takes.Store(int64(2 * time.Second))
			return workLog(t, &cutLog{l, 10}, l, store)
		},
		"storage is slow": func(t *testing.T, l *fakeLog, store *slow) func() {
			t.Helper()
			store.takes.Store(int64(time.Hour))
			return work(t, l, store, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, store := newFakeLog(), &slow{memory: newMemory()}
				l.control(t, acme)
				for range 400 {
					l.event("u", time.Now().String())
					time.Sleep(time.Millisecond)
				}
				stop := run(t, l, store)
				for range 60 {
					time.Sleep(time.Second)
					store.mu.Lock()
					next := store.statuses[0].Next
					store.mu.Unlock()
					if at := store.completeAt(); !at.IsZero() && next < 401 {
						t.Fatalf("complete at %v with %d of 401 records", at, next)
					}
				}
				store.takes.Store(0)
				time.Sleep(2 * time.Hour)
				if since := time.Since(store.completeAt()); since > 2*reportIdle {
					t.Errorf("complete %v ago after everything was read", since)
				}
				stop()
			})
		})
	}
}

// workLog runs a worker that reads through another view of the log.
func workLog(t *testing.T, view Log, l *fakeLog, store Store) (stop func()) {
	t.Helper()
	return workIn(t, &fakeGroup{log: l, view: view, ctx: t.Context()}, store, nil)
}
