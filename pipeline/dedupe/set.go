// Package dedupe recognises repeats: records whose accepted predecessor has
// the same identity (network, user, source, id) and a time within one hour
// (ARCHITECTURE.md section 4.6). It is a pure stage, owned by the goroutine of
// one partition; a set belongs to one network.
package dedupe

import (
	"math"
	"slices"
	"unsafe"
)

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

// Set is a multimap from identity to accepted events, in one table with linear
// probing: 32 bytes a slot, no pointers. The table lies in pages, so that a View
// of it can be kept while it goes on changing.
type Set struct {
	pages  [][]Entry // of pageSlots slots; a smaller table is one page
	shared []bool    // by page: a View has it, so it is copied before it is written
	slots  int       // in all pages, a power of two
	used   int
	due    int   // number of entries beyond which forgetting is worth a pass
	least  int   // so few are never
	within int64 // ms; two events of one identity at most this far apart are one
}

// pageSlots is the size of a page: 32 KB are copied in 4 µs.
const (
	pageBits  = 10
	pageSlots = 1 << pageBits
)

// NewSet makes an empty set; withinMs is the span of ARCHITECTURE.md section
// 4.6: one hour. Up to least entries are never worth a pass of Forget.
func NewSet(withinMs int64, least int) *Set { return &Set{within: withinMs, least: least} }

// Len gives the number of entries.
func (s *Set) Len() int { return s.used }

// Bytes gives the memory of the entries.
func (s *Set) Bytes() int { return s.slots * int(unsafe.Sizeof(Entry{})) }

// at gives a slot to be read.
func (s *Set) at(i uint64) *Entry { return &s.pages[i>>pageBits][i&(pageSlots-1)] }

// Find judges an event against the entries. Two of them may lie within the
// span, one to either side; one with the same content makes it a repeat, so
// that the verdict does not depend on the order in the table.
func (s *Set) Find(e *Entry) Verdict {
	if s.used == 0 {
		return New
	}
	verdict := New
	mask := uint64(s.slots - 1)
	for i := e.ID[0] & mask; ; i = (i + 1) & mask {
		o := s.at(i)
		if o.TimeMs == empty {
			return verdict
		}
		if o.ID != e.ID || o.TimeMs-e.TimeMs > s.within || e.TimeMs-o.TimeMs > s.within {
			continue
		}
		if o.Content == e.Content {
			return Repeat
		}
		verdict = Conflict
	}
}

// Add puts an accepted event in. The same event may be added again (it
// re-entered from the stored events): that changes nothing.
func (s *Set) Add(e Entry) {
	if s.used >= s.slots/4*3 {
		s.rebuild(max(64, 2*s.slots), math.MinInt64+1)
	}
	mask := uint64(s.slots - 1)
	i := e.ID[0] & mask
	for o := s.at(i); o.TimeMs != empty; o = s.at(i) {
		if o.ID == e.ID && o.TimeMs == e.TimeMs {
			return
		}
		i = (i + 1) & mask
	}
	if n := i >> pageBits; s.shared[n] {
		s.pages[n], s.shared[n] = slices.Clone(s.pages[n]), false
	}
	*s.at(i) = e
	s.used++
}

// Grow makes room for n more entries at once.
func (s *Set) Grow(n int) {
	size := max(64, s.slots)
	for size/4*3 <= s.used+n {
		size *= 2
	}
	if size > s.slots {
		s.rebuild(size, math.MinInt64+1)
	}
}

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
	s.Each(func(e *Entry) {
		if e.TimeMs >= boundMs {
			kept++
		}
	})
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
	old := *s
	s.pages, s.slots, s.used = make([][]Entry, (size+pageSlots-1)/pageSlots), size, 0
	s.shared = make([]bool, len(s.pages))
	for p := range s.pages {
		page := make([]Entry, min(size, pageSlots))
		for i := range page {
			page[i].TimeMs = empty
		}
		s.pages[p] = page
	}
	old.Each(func(e *Entry) {
		if e.TimeMs >= boundMs {
			s.Add(*e)
		}
	})
}

// Each calls f for every entry, in no particular order.
func (s *Set) Each(f func(*Entry)) { each(s.pages, f) }

func each(pages [][]Entry, f func(*Entry)) {
	for _, page := range pages {
		for i := range page {
			if page[i].TimeMs != empty {
				f(&page[i])
			}
		}
	}
}

// View is what a set held at one moment. It can be read while the set goes on,
// by another goroutine, too.
type View struct {
	pages [][]Entry
	used  int
}

// View keeps what the set holds now: no entry is copied until its page changes.
func (s *Set) View() View {
	for i := range s.shared {
		s.shared[i] = true
	}
	return View{slices.Clone(s.pages), s.used}
}

// Len gives the number of entries.
func (v View) Len() int { return v.used }

// Each calls f for every entry, in no particular order.
func (v View) Each(f func(*Entry)) { each(v.pages, f) }
