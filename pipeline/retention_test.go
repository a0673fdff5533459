package pipeline

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"daybook/schemas"
)

const dayMs = 24 * int64(time.Hour/time.Millisecond)

// aged makes a log of one user in real time, received at caseBase.
type aged struct{ log []record }

func (a *aged) set(retention int32) *aged {
	a.log = append(a.log, record{offset: int64(len(a.log)), control: &schemas.Control{
		Network: "n", Position: int64(len(a.log)), GapMs: schemas.DefaultGapMs, RetentionDays: retention,
	}})
	return a
}

// event happened so long before it was received.
func (a *aged) event(age time.Duration) *aged {
	o := int64(len(a.log))
	ms := caseBase - age.Milliseconds()
	a.log = append(a.log, record{
		offset: o, timeMs: ms, receivedMs: caseBase, device: []byte("d"), class: schemas.ClassWeb,
		event: schemas.Event{Network: []byte("n"), User: []byte("u"), Source: []byte("s"), ID: fmt.Appendf(nil, "%d", o), TimeMs: ms},
	})
	return a
}

// run plays the log in batches of n; between is called before each.
func (a *aged) run(t *testing.T, n int, between func(at int64, s *tables)) *tables {
	t.Helper()
	rules := Standard(2*time.Hour, time.Minute)
	w := &world{t: t, store: newTables(), rules: &rules, log: a.log}
	w.cur = w.resume(4, 0)
	for w.cur.s.pos < int64(len(w.log)) {
		between(w.cur.s.pos, w.store)
		w.advance(w.cur, n, 6, 0, true, true)
	}
	return w.store
}

// A record is too old if its stored neighbours may be gone: judged by received
// time, to the millisecond, by what the log knew at its place (ARCHITECTURE.md
// section 4.5).
func TestState_TooOld(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		a    *aged
		want string // of the ledger
	}{
		"at the edge":                  {new(aged).set(30).event(27 * day), "1 accepted, 0 duplicate (0 conflicts), map[] map[]"},
		"a millisecond older":          {new(aged).set(30).event(27*day + time.Millisecond), "0 accepted, 0 duplicate (0 conflicts), map[] map[too_old:1]"},
		"kept for ever":                {new(aged).set(0).event(9000 * day), "1 accepted, 0 duplicate (0 conflicts), map[] map[]"},
		"raised before it":             {new(aged).set(30).set(40).event(37 * day), "1 accepted, 0 duplicate (0 conflicts), map[] map[]"},
		"raised after it":              {new(aged).set(30).event(37 * day).set(40), "0 accepted, 0 duplicate (0 conflicts), map[] map[too_old:1]"},
		"a repeat of it is as too old": {new(aged).set(30).event(28 * day).event(28 * day), "0 accepted, 0 duplicate (0 conflicts), map[] map[too_old:2]"},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.a.run(t, 10, func(int64, *tables) {}).ledger["0"].row
			if !strings.Contains(got, c.want) {
				t.Errorf("ledger %q, want %q", got, c.want)
			}
		})
	}
}

// The reject names the retention and what to do.
func TestState_TooOldNamesTheRemedy(t *testing.T) {
	rules := Standard(2*time.Hour, time.Minute)
	s := newState(&rules, 1, 0, 1, 0)
	a := new(aged).set(90).event(9000 * time.Hour)
	if err := s.apply(slabOf(0, 2, a.log...), newTables().read(0)); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"kept for 90 days", "older than the last 87", "daybook network set n --retention-days"} {
		if detail := s.rejects[0].Detail; s.rejects[0].Reason != schemas.TooOld || !strings.Contains(detail, part) {
			t.Errorf("%s: %q does not say %q", s.rejects[0].Reason, detail, part)
		}
	}
}

// Somebody deletes the stored events that are older than the retention. What
// comes afterwards, down to the edge, withdraws and changes nothing that was
// true: not a chain that runs over the edge, not a session near it.
func TestState_DeletedEventsWithdrawNothing(t *testing.T) {
	const day = 24 * time.Hour
	a := new(aged).set(30)
	for age := 31*day + 30*time.Minute; age > 26*day; age -= 20 * time.Minute {
		a.event(age) // a chain without end, over the edge
	}
	a.event(40 * day).event(32 * day).event(0)
	edge := int64(len(a.log))
	for _, age := range []time.Duration{27 * day, 27*day - time.Minute, 26*day + 10*time.Minute, 25 * day, 26*day - 25*time.Minute} {
		a.event(age)
	}
	// 40 and 32 days are too old by now: they came while events were kept for ever.
	a.log[0].control.RetentionDays = 0
	raised := record{control: &schemas.Control{Network: "n", Position: 1, GapMs: schemas.DefaultGapMs, RetentionDays: 30}}
	a.log = append(a.log[:edge:edge], append([]record{raised}, a.log[edge:]...)...)
	for i := range a.log {
		a.log[i].offset = int64(i)
	}
	for _, n := range []int{1, 3, 1000} {
		whole := a.run(t, n, func(int64, *tables) {})
		deleted := 0
		cut := a.run(t, n, func(at int64, s *tables) {
			if at <= edge {
				return
			}
			for id, e := range s.events {
				if e.TimeMs < caseBase-30*dayMs {
					delete(s.events, id)
					deleted++
				}
			}
		})
		if deleted == 0 {
			t.Fatal("no stored event was deleted: the test tests nothing")
		}
		cut.events = whole.events
		for id, s := range whole.sessions {
			if got := cut.sessions[id].row; got != s.row {
				t.Errorf("batches of %d: session %s is %q, want %q", n, id, got, s.row)
			}
		}
		for id, s := range whole.slices {
			if got := cut.slices[id].row; got != s.row {
				t.Errorf("batches of %d: slice %s is %q, want %q", n, id, got, s.row)
			}
		}
	}
}

// A repair of a span whose stored events were deleted withdraws nothing there:
// that no event supports a row says nothing then. What the events still reach is
// repaired.
func TestState_RepairLeavesWhatHasNoEventsAnyMore(t *testing.T) {
	const day = 24 * time.Hour
	a := new(aged).set(0).event(40 * day).event(31 * day).event(27*day + time.Minute).event(26 * day).event(0).set(30)
	end := int64(len(a.log))
	for _, span := range [][2]time.Duration{{41 * day, 25 * day}, {41 * day, 35 * day}} {
		a.log = append(a.log[:end:end], record{offset: end, recordMs: caseBase, repair: &schemas.Repair{
			Network: "n", Users: []string{"u"}, FromMs: caseBase - span[0].Milliseconds(), ToMs: caseBase - span[1].Milliseconds(),
		}})
		var whole map[string]versioned[string]
		got := a.run(t, 1, func(at int64, s *tables) {
			if at < end {
				return
			}
			whole = maps.Clone(s.sessions)
			for id, e := range s.events {
				if e.TimeMs < caseBase-30*dayMs {
					delete(s.events, id)
				}
			}
			s.sessions["n/u/d from "+strconv.FormatInt(caseBase-26*dayMs+dayMs/2, 10)] = versioned[string]{1, fmt.Sprintf("to %d, ghost", caseBase-26*dayMs+dayMs/2)}
		})
		for id, s := range whole {
			if row := got.sessions[id].row; row != s.row {
				t.Errorf("repair of %s to %s ago: session %s is %q, want %q", span[0], span[1], id, row, s.row)
			}
		}
		ghost := 0
		for _, s := range got.sessions {
			if strings.HasSuffix(s.row, "ghost") {
				ghost++
			}
		}
		if want := map[time.Duration]int{25 * day: 0, 35 * day: 1}[span[1]]; ghost != want {
			t.Errorf("repair of %s to %s ago: %d ghosts, want %d", span[0], span[1], ghost, want)
		}
	}
}
