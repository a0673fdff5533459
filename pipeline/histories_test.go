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

func (h *history) gap(g int32) *history {
	h.log = append(h.log, record{offset: int64(len(h.log)), control: &schemas.Control{Network: "n0", Position: h.positions, GapMs: g}})
	h.positions++
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
		"a cut falls after the last event of the instant": {new(history).gap(2).signals(10).at(10, schemas.KindLoggedOut).signals(10, 11), 5},
	} {
		t.Run(name, func(t *testing.T) {
			for n := 1; n <= len(c.h.log); n++ {
				w := &world{t: t, store: newTables(), rules: modelRules(4, c.lateness), log: c.h.log}
				w.cur = w.resume(4, 0)
				for w.cur.s.pos < int64(len(w.log)) {
					w.advance(w.cur, n, 6, 0, true, true)
				}
				if diff := compare(w.store, reference(w.log, 4)); diff != "" {
					t.Errorf("batches of %d: %s", n, diff)
				}
			}
		})
	}
}
