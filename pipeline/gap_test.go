package pipeline

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"daybook/pipeline/source"
	"daybook/schemas"
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

// readUpTo takes the state over the log up to an offset, as a worker does that is
// killed before it commits.
func (p *partition) readUpTo(t *testing.T, l *fakeLog, offset int64) {
	t.Helper()
	for p.state.pos < offset { // a control record ends a batch
		chunk, err := l.Fetch(t.Context(), 0, p.state.pos)
		if err != nil {
			t.Fatal(err)
		}
		var s slab
		s.reset(p.state.pos)
		p.reader.decoder.fill(&s, chunk, int(offset-p.state.pos))
		if err := errors.Join(p.state.apply(&s, nil), p.flush(t.Context(), false)); err != nil {
			t.Fatal(err)
		}
	}
}

// Retention takes records of which some had been read by a worker that was
// killed before it committed them: their rows are stored. Whoever passes the
// gap, from a snapshot or cold, takes what the ledger accounts for as read, knows
// the events as neighbours of what follows, and writes the rows of sessions that
// the other held back.
func TestPartition_KnowsWhatIsStoredInAGap(t *testing.T) {
	for name, c := range map[string]struct {
		snapshot bool // a checkpoint at offset 2 was committed
		torn     bool // of the last flush only the events were written
		ledger   string
	}{
		"from a snapshot":              {true, false, "next 7: 5 accepted, 0 duplicate (0 conflicts), map[] map[] map[control:1 gap:1]"},
		"cold":                         {false, false, "next 7: 5 accepted, 0 duplicate (0 conflicts), map[] map[] map[control:1 gap:1]"},
		"from a snapshot, torn flush":  {true, true, "next 7: 5 accepted, 0 duplicate (0 conflicts), map[] map[] map[control:1 gap:1]"},
		"cold, after a torn flush too": {false, true, "next 7: 5 accepted, 0 duplicate (0 conflicts), map[] map[] map[control:1 gap:1]"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, m := newFakeLog(), newMemory()
				l.control(t, acme)
				l.event("ann", "0")
				p := testPartition(l, m)
				p.state = newState(p.rules, 1, 0, 1, 0)
				p.readUpTo(t, l, 2)
				at := source.Committed{Offset: -1}
				if c.snapshot {
					if err := p.checkpoint(t.Context()); err != nil {
						t.Fatal(err)
					}
					at = source.Committed{Offset: 2, Metadata: p.pointer.String()}
				}
				time.Sleep(time.Second)
				l.event("ann", "1") // her row is held back
				p.readUpTo(t, l, 3)
				l.event("bob", "2")
				l.event("ann", "3")
				if c.torn {
					p.store = tearing{m}
				}
				p.readUpTo(t, l, 5)
				l.event("ann", "lost")
				time.Sleep(time.Minute)
				l.event("ann", "behind")
				l.start, m.gap = 6, [2]int64{0, 6}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				done := make(chan error, 1)
				go func() { done <- testPartition(l, m).run(ctx, at, nil) }()
				time.Sleep(time.Minute)
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
				if got := m.of(0).ledger["0"].row; got != c.ledger {
					t.Errorf("ledger %q, want %q", got, c.ledger)
				}
				var got []string
				for id, s := range m.of(0).sessions {
					_, rest, _ := strings.Cut(s.row, ", ")
					events, _, _ := strings.Cut(rest, ",")
					got = append(got, strings.Split(id, "/")[1]+" "+events)
				}
				slices.Sort(got)
				if want := []string{"ann 4 events", "bob 1 events"}; !slices.Equal(got, want) {
					t.Errorf("sessions %q, want %q", got, want)
				}
			})
		})
	}
}

// tearing is a store that is killed when the events and settings of a flush are in.
type tearing struct{ *memory }

func (s tearing) WriteRows(ctx context.Context, rows schemas.Rows) error {
	f := flushOf(rows)
	return s.memory.WriteRows(ctx, &collected{schemas.Flush{Topic: f.Topic, Epoch: f.Epoch, Partition: f.Partition, From: f.From, Next: f.Next, Events: f.Events, Settings: f.Settings}})
}

// What is stored of records that can still be read is not in force yet: a worker
// may have been further on, and its flush torn.
func TestPartition_DoesNotKnowWhatIsStoredBehindAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, m := newFakeLog(), newMemory()
		l.control(t, acme)
		l.event("ann", "0")
		p := testPartition(l, m)
		p.state = newState(p.rules, 1, 0, 1, 0)
		p.readUpTo(t, l, 2)
		time.Sleep(time.Second)
		l.event("ann", "1") // to be stamped as of here
		time.Sleep(time.Hour)
		later := acme
		later.Position, later.GapMs, later.Zone = 9, schemas.MinGapMs, "Asia/Tokyo"
		l.control(t, later)
		p.store = tearing{m}
		p.readUpTo(t, l, 4)
		l.start, m.gap = 1, [2]int64{0, 1}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- testPartition(l, m).run(ctx, source.Committed{Offset: -1}, nil) }()
		time.Sleep(time.Minute)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if diff := compare(m.of(0), l.truth()); diff != "" {
			t.Error(diff)
		}
	})
}
