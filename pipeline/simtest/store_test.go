package simtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"daybook/schemas"
)

// tables is what storage holds. Of the replaceable rows the newest version
// counts, of events the lowest offset; no identity may ever get two contents of
// one version.
type tables struct {
	events  map[eventID]*stored
	rows    map[rowID]version
	history map[rowVersion]string
}

type eventID struct {
	network, user, source, id string
	timeMs                    int64
}

type stored struct {
	event     schemas.StoredEvent
	received  int64
	partition int32
	at        time.Time // when it was inserted
}

// rowID is a table and an identity within it.
type rowID struct{ table, id string }

type version struct {
	next int64
	text string // "" is a tombstone
}

type rowVersion struct {
	row  rowID
	next int64
}

func newTables() *tables {
	return &tables{events: make(map[eventID]*stored), rows: make(map[rowID]version), history: make(map[rowVersion]string)}
}

// simStore is pipeline.Store as one incarnation sees it.
type simStore struct{ inc *incarnation }

var errStorage = errors.New("simulated: storage fails")

// NewRows implements pipeline.Store.
func (s simStore) NewRows() schemas.Rows { return &flushed{} }

// WriteRows implements pipeline.Store. Events come first, what is counted last; a
// request that was sent may arrive although who sent it is dead.
func (s simStore) WriteRows(ctx context.Context, given schemas.Rows) error {
	rows := given.(*flushed)
	w, a := s.inc.w, s.inc.actor(rows.partition, roleWrite)
	do, err := a.call(ctx, pointWrite, time.Millisecond, 40*time.Millisecond)
	if err != nil {
		return errStorage
	}
	down := time.Until(w.downUntil) > 0
	wait := s.inc.faultFor
	switch do {
	case doDown:
		w.downUntil, down = time.Now().Add(wait), true
	case doTorn:
		w.insert(a, rows, a.draw()|1)
	case doDelayed:
		w.pending++
		w.after(s.inc, roleLate, wait, func() {
			w.pending--
			w.insert(a, rows, 0)
		})
	}
	switch {
	case do == doTorn && w.mutant == tornAck:
		w.mu.Unlock()
		return nil
	case down, do == doTorn, do == doDelayed:
		w.mu.Unlock()
		return errStorage
	case do == doSlow:
		w.mu.Unlock()
		if err := a.nap(ctx, wait, wait); err != nil {
			return errStorage
		}
		w.mu.Lock()
	}
	if w.mutant == earlyAck {
		w.pending++
		w.after(s.inc, roleLate, time.Second, func() {
			if w.pending--; !s.inc.dead { // what a process has not sent is gone with it
				w.insert(a, rows, 0)
			}
		})
	} else {
		w.insert(a, rows, 0)
	}
	w.mu.Unlock()
	if do == doAnswer {
		return errStorage
	}
	return nil
}

// flushed is a flush as rows of its own: schemas.Rows.
type flushed struct {
	next      int64
	partition int32
	events    []stored
	rows      []row
}

type row struct {
	id   rowID
	text string
	next int64 // version
}

// insert stores a flush; if torn is not 0 only some of its rows, drawn from it.
func (w *world) insert(a *actor, f *flushed, torn uint64) {
	w.note(a, "inserts to %d: %d events, %d rows, torn %t", f.next, len(f.events), len(f.rows), torn != 0)
	lost := func(id string) bool {
		if torn == 0 {
			return false
		}
		h := torn
		for i := range len(id) {
			h = mix(h, uint64(id[i]))
		}
		return h%2 == 0
	}
	for i := range f.events {
		e := &f.events[i]
		id := eventID{e.event.Network, e.event.User, e.event.Source, e.event.ID, e.event.TimeMs}
		if lost(id.id) {
			continue
		}
		if old := w.store.events[id]; old == nil || e.event.Offset < old.event.Offset {
			x := *e
			x.at = time.Now()
			w.store.events[id] = &x
		}
	}
	for _, r := range f.rows {
		if lost(r.id.id) {
			continue
		}
		w.put(r)
	}
}

// put stores a version of a row.
func (w *world) put(r row) {
	next := r.next
	v := rowVersion{r.id, next}
	if old, ok := w.store.history[v]; ok && old != r.text {
		w.fail("%s %s has two contents of version %d: %q and %q", r.id.table, r.id.id, next, old, r.text)
	}
	w.store.history[v] = r.text
	if r.text == "" && w.mutant == noTombs {
		return
	}
	if old, ok := w.store.rows[r.id]; !ok || next >= old.next || w.mutant == lastWins {
		w.store.rows[r.id] = version{next, r.text}
	}
}

// StoredEvents implements pipeline.Store. Some come twice, as they may.
func (s simStore) StoredEvents(ctx context.Context, q schemas.EventsQuery, yield func(*schemas.StoredEvent) error) error {
	w, a := s.inc.w, s.inc.actor(q.Partition, roleMain)
	do, err := a.call(ctx, pointRead, time.Millisecond, 20*time.Millisecond)
	if err != nil {
		return errStorage
	}
	found := w.find(q)
	w.note(a, "reads %d windows below %d: %d events", len(q.Windows), q.BelowOffset, len(found))
	w.mu.Unlock()
	if do == doTorn {
		found = found[:len(found)/2]
	}
	for i := range found {
		if err := yield(&found[i]); err != nil {
			return err
		}
	}
	if do == doTorn {
		return errStorage
	}
	return nil
}

// find gives the events of a query, sorted; the caller holds the lock.
func (w *world) find(q schemas.EventsQuery) []schemas.StoredEvent {
	var found []schemas.StoredEvent
	for _, e := range w.store.events {
		x := &e.event
		in := slices.ContainsFunc(q.Windows, func(v schemas.EventsWindow) bool {
			return v.Network == x.Network && v.User == x.User && v.FromMs <= x.TimeMs && x.TimeMs <= v.ToMs
		})
		if !in || e.partition != q.Partition || x.Offset >= q.BelowOffset {
			continue
		}
		if w.mutant == staleReads && time.Since(e.at) < 5*time.Second {
			continue
		}
		found = append(found, *x)
	}
	slices.SortFunc(found, func(a, b schemas.StoredEvent) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.TimeMs, b.TimeMs), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Offset, b.Offset))
	})
	return found
}

// ColdState implements pipeline.Store.
func (s simStore) ColdState(ctx context.Context, _ uint16, partition int32, below int64) (*schemas.ColdState, error) {
	w, a := s.inc.w, s.inc.actor(partition, roleMain)
	if _, err := a.call(ctx, pointCold, time.Millisecond, 20*time.Millisecond); err != nil {
		return nil, errStorage
	}
	defer w.mu.Unlock()
	w.note(a, "cold state below %d", below)
	c := &schemas.ColdState{}
	networks := make(map[string]*schemas.ColdNetwork)
	for _, e := range w.store.events {
		if e.partition != partition || w.mutant == staleReads && time.Since(e.at) < 5*time.Second {
			continue
		}
		n := networks[e.event.Network]
		if n == nil {
			n = &schemas.ColdNetwork{Network: e.event.Network, GreatestMs: math.MinInt64, WatermarkMs: math.MinInt64}
			networks[e.event.Network] = n
		}
		n.GreatestMs = max(n.GreatestMs, e.event.TimeMs)
		if e.event.Offset < below {
			n.WatermarkMs = max(n.WatermarkMs, e.event.TimeMs)
		}
	}
	for _, n := range networks {
		c.Networks = append(c.Networks, *n)
	}
	if w.mutant == newestOnly {
		below = math.MaxInt64
	}
	if c.Settings, c.Facts = w.coldHistory(partition, below); w.mutant == emptyCold {
		c.Settings = nil
	}
	slices.SortFunc(c.Networks, func(a, b schemas.ColdNetwork) int { return cmp.Compare(a.Network, b.Network) })
	return c, nil
}

// StoredRows implements pipeline.Store: no traffic here asks for a repair.
func (s simStore) StoredRows(context.Context, schemas.RowsQuery, func(*schemas.StoredRow) error) error {
	return errStorage
}

// Ahead implements pipeline.Store: nothing is given up here.
func (s simStore) Ahead(context.Context, uint16, int32, int64) (*schemas.Ahead, error) {
	return nil, errStorage
}

// GapEnd implements pipeline.Store: nothing is given up here.
func (s simStore) GapEnd(ctx context.Context, _ uint16, partition int32, _ int64) (int64, error) {
	if err := s.inc.actor(partition, roleMain).nap(ctx, time.Millisecond, 10*time.Millisecond); err != nil {
		return 0, errStorage
	}
	return 0, nil
}

// Report implements pipeline.Store: it tells how far the partitions are.
func (s simStore) Report(_ context.Context, statuses []schemas.PartitionStatus) error {
	s.inc.w.mu.Lock()
	defer s.inc.w.mu.Unlock()
	for i := range statuses {
		s.inc.next[statuses[i].Partition] = statuses[i].Next
		if statuses[i].Released {
			delete(s.inc.next, statuses[i].Partition)
		}
	}
	return nil
}

// eventText is what is stored of an event, beside its identity.
func eventText(e *schemas.StoredEvent, received int64) string {
	return fmt.Sprintf("offset %d, %s, kind %d, %s %d, gap %d, period %d, %s, received %d, content %x", e.Offset, e.Device, e.Kind, e.Class, e.Flags, e.GapMs, e.Period, e.Zone, received, e.Content)
}
