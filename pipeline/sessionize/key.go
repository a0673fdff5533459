package sessionize

import (
	"cmp"
	"slices"
	"sort"
)

// Key is the state of one (network, user, device): its segments in the order
// of time. It is owned by the goroutine of its partition.
//
// Between batches the segments are as long as they can be. While stored events
// have re-entered (Expand), the ones within the windows hold a single event
// each, and ids tells their order within a millisecond.
type Key struct {
	Segs []Segment

	ids map[int64]string // event id by offset, of re-entered single events; nil outside a batch
}

// Insert adds an accepted event. It reports false, and changes nothing, if the
// summaries cannot decide where the event leads: Expand the surroundings, then
// insert again. An event whose surroundings are expanded is always decided.
func (k *Key) Insert(r Rules, e *Event, id string) bool {
	i := sort.Search(len(k.Segs), func(i int) bool { return k.Segs[i].Last >= e.TimeMs })
	if i == len(k.Segs) || k.Segs[i].First > e.TimeMs {
		k.add(i, e, id)
	} else if k.ids != nil && k.Segs[i].First == e.TimeMs && k.known(i) {
		k.add(k.orderWithin(i, e, id), e, id)
	} else if !k.absorb(i, e) {
		return false
	}
	if k.ids == nil {
		k.coalesce(r, max(i-2, 0), i+2)
	}
	return true
}

// add puts a segment of its own for e at i.
func (k *Key) add(i int, e *Event, id string) {
	k.Segs = slices.Insert(k.Segs, i, e.segment())
	if k.ids != nil {
		k.ids[e.Offset] = id
	}
}

// known says whether all segments of the instant of segment i are single
// events whose ids are known.
func (k *Key) known(i int) bool {
	at := k.Segs[i].First
	for ; i < len(k.Segs) && k.Segs[i].First == at; i++ {
		if _, ok := k.ids[k.Segs[i].MinOffset]; !ok || k.Segs[i].Last != at {
			return false
		}
	}
	return true
}

// orderWithin finds the place of e by (id, offset) among the single events of
// its instant, the first of which is segment i.
func (k *Key) orderWithin(i int, e *Event, id string) int {
	for ; i < len(k.Segs) && k.Segs[i].First == e.TimeMs; i++ {
		other := k.ids[k.Segs[i].MinOffset]
		if id < other || id == other && e.Offset < k.Segs[i].MinOffset {
			break
		}
	}
	return i
}

// Decides says whether Insert would take e, as things stand and while the key
// is not expanded.
func (k *Key) Decides(e *Event) bool {
	i := sort.Search(len(k.Segs), func(i int) bool { return k.Segs[i].Last >= e.TimeMs })
	return i == len(k.Segs) || k.Segs[i].First > e.TimeMs || k.absorbs(i, e)
}

// absorbs says whether segment i, whose span e lies in, can take it without loss.
func (k *Key) absorbs(i int, e *Event) bool {
	s := &k.Segs[i]
	switch {
	case s.Gap != e.Gap || s.Period != e.Period:
		return false // its place among neighbours depends on stamps that the summary dropped
	case MarkOf(e.Kind) != MarkNone && e.TimeMs < s.Last:
		return false // cuts inside
	case e.TimeMs == s.First && (s.Class != e.Class || s.Flags != e.Flags):
		return false // the earliest by (time, id): the summary dropped the id
	case i+1 < len(k.Segs) && k.Segs[i+1].First <= e.TimeMs:
		return false // several stamps in one millisecond
	}
	return true
}

// absorb takes e into segment i, whose span it lies in, if that loses nothing.
func (k *Key) absorb(i int, e *Event) bool {
	if !k.absorbs(i, e) {
		return false
	}
	s, mark := &k.Segs[i], MarkOf(e.Kind)
	s.Events++
	if e.Offset < s.MinOffset {
		s.MinOffset, s.Zone = e.Offset, e.Zone
	}
	if mark == MarkNone {
		s.FirstSignal = min(s.FirstSignal, e.TimeMs)
	} else {
		s.Mark = max(s.Mark, mark)
	}
	return true
}

// Extend is the hot path of Insert: a signal at or after the start of the last
// segment that changes nothing but that segment's own session. It gives the
// start of that session, or false if Insert must decide.
func (k *Key) Extend(r Rules, e *Event) (int64, bool) {
	n := len(k.Segs)
	if n == 0 || k.ids != nil || MarkOf(e.Kind) != MarkNone {
		return 0, false
	}
	s := &k.Segs[n-1]
	if e.TimeMs <= s.First || s.Gap != e.Gap || s.Period != e.Period || s.Mark != MarkNone {
		return 0, false
	}
	start := s.First
	if n > 1 { // the chain may begin in a segment of the day before
		if n > 2 || k.Segs[0].Mark != MarkNone || max(e.TimeMs, s.Last)-k.Segs[0].First > r.CapMs {
			return 0, false
		}
		if joined, _ := r.joined(k.Segs, 0); joined {
			start = k.Segs[0].First
		}
	}
	if e.TimeMs > s.Last {
		if e.TimeMs-s.Last > int64(e.Gap) || r.day(e.TimeMs) != r.day(s.First) {
			return 0, false
		}
		s.Last = e.TimeMs
	}
	s.Events++
	s.FirstSignal = min(s.FirstSignal, e.TimeMs)
	if e.Offset < s.MinOffset {
		s.MinOffset, s.Zone = e.Offset, e.Zone
	}
	return start, true
}

// coalesce joins neighbours among the segments [from, to] where that loses
// nothing: one chain, one UTC day, one stamp, and a boundary that no later
// event can cut.
func (k *Key) coalesce(r Rules, from, to int) {
	for i := from; i < min(to, len(k.Segs)-1); {
		a, b := &k.Segs[i], &k.Segs[i+1]
		joined, _ := r.joined(k.Segs, i)
		if !joined || a.Gap != b.Gap || a.Period != b.Period || r.day(a.First) != r.day(b.First) ||
			a.Last == b.First && a.Mark != MarkNone && b.Last > a.Last {
			i++
			continue
		}
		if a.Last == b.Last { // one instant: a mark of either stands at its end
			b.Mark = max(a.Mark, b.Mark)
		}
		if b.MinOffset < a.MinOffset {
			a.MinOffset, a.Zone = b.MinOffset, b.Zone
		}
		a.FirstSignal = min(a.FirstSignal, b.FirstSignal)
		a.Events += b.Events
		a.Last, a.Mark = b.Last, b.Mark
		k.Segs = slices.Delete(k.Segs, i+1, i+2)
		to--
	}
}

// Expand replaces what the key knows in the windows (of Cover) by single events. Every
// segment that touches a window must lie in it; events must be all accepted
// events of the key in the windows, in any order; some may come twice.
func (k *Key) Expand(windows []Window, events []StoredEvent) {
	if k.ids == nil {
		k.ids = make(map[int64]string)
	}
	slices.SortFunc(events, func(a, b StoredEvent) int {
		return cmp.Or(cmp.Compare(a.TimeMs, b.TimeMs), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Offset, b.Offset))
	})
	kept := slices.DeleteFunc(k.Segs, func(s Segment) bool { return Within(windows, s.First) })
	k.Segs = make([]Segment, 0, len(kept)+len(events)+1) // one more: a record follows
	for i := range events {
		e := &events[i]
		if i > 0 && e.Offset == events[i-1].Offset {
			continue // read twice: an insert was repeated
		}
		for len(kept) > 0 && kept[0].First <= e.TimeMs {
			k.Segs, kept = append(k.Segs, kept[0]), kept[1:]
		}
		k.Segs = append(k.Segs, e.segment())
		k.ids[e.Offset] = e.ID
	}
	k.Segs = append(k.Segs, kept...)
}

// Around gives the part of the key whose sessions an event at an instant can
// touch, for Rules.BuildPart: the segment that it begins with, and the instant
// that the last of its chains begins at or before. It holds before and after the
// event came in. A chain is touched if the event falls into it or beside it, or
// voids a mark of it.
func (k *Key) Around(r Rules, ms int64) (from int, until int64) {
	i := sort.Search(len(k.Segs), func(i int) bool { return k.Segs[i].Last >= ms })
	until = ms
	// Beside it: what follows may join even where the event's instant ended a chain.
	if next := i + sort.Search(len(k.Segs)-i, func(n int) bool { return k.Segs[i+n].Last > ms }); next < len(k.Segs) {
		end, _ := r.chainEnd(k.Segs, next)
		until = max(ms, k.Segs[end].Last)
	}
	from = max(i-1, 0)
	for from > 0 && k.Segs[from-1].Last >= ms-r.GraceMs {
		from--
	}
	for from > 0 {
		if joined, _ := r.joined(k.Segs, from-1); !joined {
			break
		}
		from--
	}
	return from, until
}

// Expanded says whether the key holds re-entered single events.
func (k *Key) Expanded() bool { return k.ids != nil }

// Collapse ends an expansion: it joins what can be joined.
func (k *Key) Collapse(r Rules) {
	k.ids = nil
	k.coalesce(r, 0, len(k.Segs))
}

// Leave drops the leading chains whose last event is before the bound, and
// reports whether the key still holds any segment. A chain leaves as a whole.
func (k *Key) Leave(r Rules, bound int64) bool {
	gone := 0
	for i := 0; i < len(k.Segs); {
		j, _ := r.chainEnd(k.Segs, i)
		if k.Segs[j].Last >= bound {
			break
		}
		i, gone = j+1, j+1
	}
	if gone > 0 {
		k.Segs = slices.Delete(k.Segs, 0, gone)
	}
	return len(k.Segs) > 0
}

// FirstChainEnd gives the last event of the key's first chain; the key must
// hold a segment.
func (k *Key) FirstChainEnd(r Rules) int64 {
	j, _ := r.chainEnd(k.Segs, 0)
	return k.Segs[j].Last
}

// StoredEvent is an event read back, with the id that orders it.
type StoredEvent struct {
	Event

	ID string
}
