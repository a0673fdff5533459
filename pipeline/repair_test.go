package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"daybook/schemas"
)

// rows yields the stored sessions and slices that a repair judges.
func (t *tables) rows(q schemas.RowsQuery, yield func(*schemas.StoredRow) error) error {
	give := func(id string, row versioned[string], slice bool) error {
		var start, date, end int64
		name, rest, _ := strings.Cut(id, " from ")
		if slice {
			_, _ = fmt.Sscanf(rest, "%d on %d", &start, &date)
			end = (date + 2) * modelDay // a slice touches the span if its date may, in any zone
			if start < date*modelDay-modelDay {
				start = date*modelDay - modelDay
			}
		} else {
			_, _ = fmt.Sscanf(rest, "%d", &start)
			_, _ = fmt.Sscanf(row.row, "to %d,", &end)
		}
		path := strings.Split(name, "/")
		if row.row == "" || row.version > int64(q.Version&(1<<48-1)) || path[0] != q.Network || path[1] != q.Users[0] || start > q.ToMs || end < q.FromMs {
			return nil
		}
		_, _ = fmt.Sscanf(rest, "%d", &start)
		return yield(&schemas.StoredRow{
			User: path[1], Device: path[2], ID: schemas.SessionID(path[0], path[1], path[2], start), StartMs: start, Slice: slice, Date: int32(date),
		})
	}
	for id, row := range t.sessions {
		if err := give(id, row, false); err != nil {
			return err
		}
	}
	for id, row := range t.slices {
		if err := give(id, row, true); err != nil {
			return err
		}
	}
	return nil
}

// Rows that somebody damaged are right again after a repair of their span, in
// batches of every size: one deleted, one changed, ghosts withdrawn.
func TestState_RepairMendsDamage(t *testing.T) {
	base := new(history).gap(2).signals(10, 11, 12, 20, 21).at(22, schemas.KindLoggedOut).signals(30, 31, 39, 40, 41, 60).log
	repair := record{offset: int64(len(base)), repair: &schemas.Repair{Network: "n0", Users: []string{"u0"}, FromMs: 9, ToMs: 45}}
	log := append(slices.Clip(base), repair)
	for n := 1; n <= len(log); n++ {
		w := &world{t: t, store: newTables(), rules: modelRules(4, 3), log: log}
		w.cur = w.resume(4, 0)
		for w.cur.s.pos < int64(len(base)) {
			w.advance(w.cur, min(n, len(base)-int(w.cur.s.pos)), 6, 0, true, true)
		}
		delete(w.store.sessions, "n0/u0/d0 from 10")
		changed := w.store.sessions["n0/u0/d0 from 20"]
		changed.row = "to 29, 7 events"
		w.store.sessions["n0/u0/d0 from 20"] = changed
		delete(w.store.slices, "n0/u0/d0 from 30 on 3")
		w.store.sessions["n0/u0/d9 from 33"] = versioned[string]{1, "to 34, ghost"}
		w.store.slices["n0/u0/d9 from 33 on 4"] = versioned[string]{1, "ghost"}
		w.store.slices["n0/u0/d0 from 39 on 3"] = versioned[string]{1, "on another day"}
		if compare(w.store, modelReference(log, 4)) == "" {
			t.Fatal("the damage does not show")
		}
		w.advance(w.cur, n, 6, 0, true, true)
		if diff := compare(w.store, modelReference(log, 4)); diff != "" {
			t.Errorf("batches of %d: %s", n, diff)
		}
	}
}
