package pipeline

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

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

// A cold start resumes before the committed offset, where the gap begins.
func TestPartition_PassesAGapAfterAColdStart(t *testing.T) {
	l, m := newFakeLog(), newMemory()
	for range 10 {
		l.event("ann", "x")
	}
	l.start, m.gap = 8, [2]int64{5, 8}
	p := testPartition(l, m)
	p.state = newState(p.rules, 1, 0, 1, 0)
	if err := p.enterLog(t.Context(), 5); err != nil || p.state.pos != 8 {
		t.Errorf("position %d, %v, want 8", p.state.pos, err)
	}
}
