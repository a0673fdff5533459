package pipeline

import (
	"fmt"
	"testing"

	"daybook/schemas"
)

// history is a log of one user and device in the scaled time of the model.
type history struct {
	log       []record
	positions int64
}

func (h *history) gap(g int32) *history { return h.set(schemas.Control{GapMs: g}) }

// set puts a control in force.
func (h *history) set(c schemas.Control) *history {
	c.Network, c.Position = "n0", h.positions
	h.log = append(h.log, record{offset: int64(len(h.log)), control: &c})
	h.positions++
	return h
}

// named gives the last event an id of its own: it orders what shares an instant.
func (h *history) named(id string) *history {
	h.log[len(h.log)-1].event.ID = []byte(id)
	return h
}

func (h *history) at(ms int64, kind schemas.Kind) *history {
	o := int64(len(h.log))
	h.log = append(h.log, record{
		offset: o, timeMs: ms, receivedMs: ms, device: []byte("d0"), class: schemas.ClassWeb,
		event: schemas.Event{Network: []byte("n0"), User: []byte("u0"), Source: []byte("s"), ID: fmt.Appendf(nil, "id%02d", o), TimeMs: ms, Kind: kind},
	})
	return h
}

// signals appends signals at instants.
func (h *history) signals(ms ...int64) *history {
	for _, m := range ms {
		h.at(m, schemas.KindSignal)
	}
	return h
}

// TestState_Histories plays counter-examples that were found when a rule of
// ARCHITECTURE.md section 4 was taken back, in batches of every size.
func TestState_Histories(t *testing.T) {
	for name, c := range map[string]struct {
		h        *history
		lateness int64
	}{
		// The chain of 26 left under gap 2; the greater gap would join 29 to it.
		"a raised gap raises the horizon": {new(history).gap(2).signals(26, 41).gap(3).signals(29), 12},
		// A late logout and an on-time signal in one batch.
		"strict order of offsets within a batch": {new(history).gap(2).signals(18, 20).at(18, schemas.KindLoggedOut).signals(19), 1},
		// 43 is in memory, 41 at the end of the window.
		"what was read is united with what the state holds": {new(history).gap(2).signals(41, 43, 22), 1},
		// 19 must not come without the logout that is between two windows.
		"holes at the windows' edges are read": {new(history).gap(2).at(20, schemas.KindLoggedOut).signals(19, 21, 22, 0), 2},
		// An always-on chain leaves as a whole, or the cap is judged by its rest.
		"a chain leaves as a whole": {new(history).gap(2).signals(31, 36, 38, 34, 33, 40, 39), 3},
		// Two sessions would begin in one instant.
		// The first event of 11 is in another period than both of 10 but belongs to
		// the last of them, by id.
		"events of an instant keep their own periods": {new(history).gap(2).signals(10).named("a").
			set(schemas.Control{GapMs: 2, Dark: []schemas.Dark{{FromMs: 3, ToMs: 4}}}).signals(10).named("b").signals(11, 30, 31), 9},
		// The event with the greatest id of the last instant says the session's gap.
		"events of an instant keep their own gaps": {new(history).gap(2).signals(8).gap(3).signals(9).named("c").gap(2).signals(9).named("a").
			signals(9).named("d"), 9},
		// 20 to 22 shows days 2 and 3 in the east. 24 joins it to 26, which came first,
		// in the west: there it is day 2 only, until 27.
		"a slice that was lost and came back is not withdrawn": {new(history).
			set(schemas.Control{GapMs: 3, Zone: "west"}).signals(26).
			set(schemas.Control{GapMs: 3, Zone: "east"}).signals(20, 22, 24, 27), 30},
		"a cut falls after the last event of the instant": {new(history).gap(2).signals(10).at(10, schemas.KindLoggedOut).signals(10, 11), 5},
	} {
		t.Run(name, func(t *testing.T) {
			for n := 1; n <= len(c.h.log); n++ {
				w := &world{t: t, store: newTables(), rules: modelRules(4, c.lateness), log: c.h.log}
				w.cur = w.resume(4, 0)
				for w.cur.s.pos < int64(len(w.log)) {
					w.advance(w.cur, n, 6, 0, true, true)
				}
				if diff := compare(w.store, modelReference(w.log, 4)); diff != "" {
					t.Errorf("batches of %d: %s", n, diff)
				}
			}
		})
	}
}
