package pipeline

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"daybook/pipeline/source"
)

// Unread records that retention took halt a partition; once a person has
// recorded the gap it passes over them, and the ledger says so (ARCHITECTURE.md
// section 4.8; TRUST.md section 2: never skip silently).
func TestPartition_PassesARecordedGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, m := newFakeLog(), newMemory()
		l.control(t, acme)
		for range 9 {
			l.event("ann", "lost")
		}
		l.event("ann", "kept")
		l.start = 10
		var halt *HaltError
		if err := testPartition(l, m).run(t.Context(), source.Committed{Offset: -1}, nil); !errors.As(err, &halt) {
			t.Fatalf("run gives %v, want a halt: offsets 0 to 9 are gone", err)
		}
		m.gap = [2]int64{0, 9} // not far enough
		if err := testPartition(l, m).run(t.Context(), source.Committed{Offset: -1}, nil); !errors.As(err, &halt) {
			t.Fatalf("run gives %v, want a halt: offset 9 is gone", err)
		}
		m.gap = [2]int64{0, 10}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- testPartition(l, m).run(ctx, source.Committed{Offset: -1}, nil) }()
		m.await(t.Context(), t, "the record behind the gap", func() bool {
			return m.of(0).ledger["0"].row == "next 11: 0 accepted, 0 duplicate (0 conflicts), map[] map[unknown_network:1] map[gap:10]"
		})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A state older than the committed offset halts although a gap is recorded:
// what it lacks cannot be read again.
func TestPartition_HaltsAtAGapBehindTheCommittedOffset(t *testing.T) {
	l, m := newFakeLog(), newMemory()
	for range 10 {
		l.event("ann", "x")
	}
	l.start, m.gap = 8, [2]int64{0, 8}
	p := testPartition(l, m)
	p.state = newState(p.rules, 1, 0, 1, 0)
	var halt *HaltError
	if err := p.enterLog(t.Context(), 5); !errors.As(err, &halt) || p.state.pos != 0 {
		t.Errorf("position %d, %v, want a halt at 0", p.state.pos, err)
	}
}

// Behind a gap the stored events of before it are still neighbours: a session
// goes on over it, and a setting that was applied before it is in force.
func TestPartition_KnowsWhatIsStoredBeforeAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, m := newFakeLog(), newMemory()
		l.control(t, acme)
		l.event("ann", "before")
		p := testPartition(l, m)
		p.state = newState(p.rules, 1, 0, 1, 0) // reads, writes, and is killed before its first checkpoint
		for p.state.pos < 2 {                   // the control record ends a batch
			p.newBatch()
			chunk, err := l.Fetch(t.Context(), 0, p.state.pos)
			if err != nil {
				t.Fatal(err)
			}
			p.decoder.add(&p.batch, chunk, 100)
			if err := errors.Join(p.state.apply(&p.batch, nil), p.flush(t.Context(), true)); err != nil {
				t.Fatal(err)
			}
		}
		l.event("ann", "lost")
		time.Sleep(time.Minute)
		l.event("ann", "behind")
		l.start, m.gap = 3, [2]int64{0, 3}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		defer cancel()
		go func() { done <- testPartition(l, m).run(ctx, source.Committed{Offset: -1}, nil) }()
		limit, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		m.await(limit, t, "one session of both events", func() bool {
			return slices.ContainsFunc(slices.Collect(maps.Values(m.of(0).sessions)), func(s versioned[string]) bool {
				return strings.Contains(s.row, " 2 events")
			})
		})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
