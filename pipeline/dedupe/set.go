// Package dedupe recognises repeats: records whose accepted predecessor has
// the same identity (network, user, source, id) and a time within one hour
// (ARCHITECTURE.md section 4.6). It is a pure stage, owned by the goroutine of
// one partition; a set belongs to one network.
package dedupe

import "math"

// Verdict says what a record is to those accepted before it.
type Verdict uint8

// The verdicts.
const (
	New      Verdict = iota
	Repeat           // same identity, same content
	Conflict         // same identity, other content: a repeat all the same, counted apart
)

// Entry is one accepted event. An identity may have several, more than an hour apart.
type Entry struct {
	ID      [2]uint64 // schemas.EventIdentity
	TimeMs  int64     // event time
	Content uint64    // schemas.ContentHash
}

// empty marks a free slot; no event has this time (time_out_of_range).
const empty = math.MinInt64

// Set is a multimap from identity to accepted events, in one flat table with
// linear probing: 32 bytes a slot, no pointers.
type Set struct {
	slots  []Entry
	used   int
	due    int   // number of entries beyond which forgetting is worth a pass
	least  int   // so few are never
	within int64 // ms; two events of one identity at most this far apart are one
}

// NewSet makes an empty set; withinMs is the span of ARCHITECTURE.md section
// 4.6: one hour. Up to least entries are never worth a pass of Forget.
func NewSet(withinMs int64, least int) *Set { return &Set{within: withinMs, least: least} }

// Len gives the number of entries.
func (s *Set) Len() int { return s.used }

// Find judges an event against the entries. Two of them may lie within the
// span, one to either side; one with the same content makes it a repeat, so
// that the verdict does not depend on the order in the table.
func (s *Set) Find(e *Entry) Verdict {
	if s.used == 0 {
		return New
	}
	verdict := New
	mask := uint64(len(s.slots) - 1)
	for i := e.ID[0] & mask; s.slots[i].TimeMs != empty; i = (i + 1) & mask {
		o := &s.slots[i]
		if o.ID != e.ID || o.TimeMs-e.TimeMs > s.within || e.TimeMs-o.TimeMs > s.within {
			continue
		}
		if o.Content == e.Content {
			return Repeat
		}
		verdict = Conflict
	}
	return verdict
}

// Add puts an accepted event in. The same event may be added again (it
// re-entered from the stored events): that changes nothing.
func (s *Set) Add(e Entry) {
	if s.used >= len(s.slots)/4*3 {
		s.grow()
	}
	mask := uint64(len(s.slots) - 1)
	i := e.ID[0] & mask
	for ; s.slots[i].TimeMs != empty; i = (i + 1) & mask {
		if s.slots[i].ID == e.ID && s.slots[i].TimeMs == e.TimeMs {
			return
		}
	}
	s.slots[i] = e
	s.used++
}

// grow doubles the table.
func (s *Set) grow() { s.rebuild(max(64, 2*len(s.slots)), math.MinInt64+1) }

// Forget drops the entries before the bound (ms) if there are half as many
// again as the last pass left, so that it costs an entry the same however
// large the table is. One that stays longer changes no verdict, because repeats
// are judged by time.
func (s *Set) Forget(boundMs int64) {
	if s.used > max(s.due, s.least) {
		s.ForgetAll(boundMs)
	}
}

// ForgetAll drops all entries before the bound (ms). The table shrinks with
// what is left.
func (s *Set) ForgetAll(boundMs int64) {
	kept := 0
	for i := range s.slots {
		if s.slots[i].TimeMs >= boundMs && s.slots[i].TimeMs != empty {
			kept++
		}
	}
	s.due = kept + kept/2
	if kept == s.used {
		return
	}
	size := 64
	for size/2 < kept {
		size *= 2
	}
	s.rebuild(size, boundMs)
}

// rebuild moves the entries at or after the bound to a table of this size.
func (s *Set) rebuild(size int, boundMs int64) {
	old := s.slots
	s.slots, s.used = make([]Entry, size), 0
	for i := range s.slots {
		s.slots[i].TimeMs = empty
	}
	for i := range old {
		if old[i].TimeMs >= boundMs && old[i].TimeMs != empty {
			s.Add(old[i])
		}
	}
}

// Each calls f for every entry, in no particular order.
func (s *Set) Each(f func(*Entry)) {
	for i := range s.slots {
		if s.slots[i].TimeMs != empty {
			f(&s.slots[i])
		}
	}
}
