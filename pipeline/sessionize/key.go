package sessionize

import (
	"cmp"
	"maps"
	"slices"
	"sort"
)

// Key is the state of one (network, user, device): its segments in the order
// of time. It is owned by the goroutine of its partition.
//
// Between batches the segments are as long as they can be. While stored events
// have re-entered (Expand), the ones within the windows hold a single event
// each, and ids tells their order within a millisecond.
//
// Most keys have one segment, and there are millions of them: it lies in the key,
// and everything else is elsewhere.
type Key struct {
	one  [1]Segment // the only segment, unless there is more; without an event if there is none
	more *many
}

// many is a key with several segments, or with re-entered ones.
type many struct {
	segs []Segment
	ids  map[int64]string // event id by offset, of re-entered single events; nil outside a batch
	two  [2]Segment       // where segs lie while they are few: of the keys with several most have two
}

// newMany gives a key's form for several segments, of which it takes a copy.
func newMany(segs []Segment) *many {
	m := new(many)
	m.segs = append(m.two[:0], segs...)
	return m
}

// Segs gives the segments in the order of time. They are the key's: a caller
// must not change them, and they are valid until the key changes.
func (k *Key) Segs() []Segment {
	switch {
	case k.more != nil:
		return k.more.segs
	case k.one[0].Events == 0:
		return nil
	}
	return k.one[:]
}

// Append puts a segment behind those of the key.
func (k *Key) Append(s *Segment) {
	if k.more == nil && k.one[0].Events == 0 {
		k.one[0] = *s
		return
	}
	k.expandable().segs = append(k.more.segs, *s)
}

// Clone gives a copy of the key that shares nothing with it.
func (k *Key) Clone() Key {
	c := *k
	if k.more != nil {
		c.more = newMany(k.more.segs)
		c.more.ids = maps.Clone(k.more.ids)
	}
	return c
}

// expandable gives the form for several segments.
func (k *Key) expandable() *many {
	if k.more == nil {
		k.more = newMany(k.Segs())
		k.one[0] = Segment{}
	}
	return k.more
}

// settle takes the form for one segment if that is what is left.
func (k *Key) settle() {
	if m := k.more; m != nil && m.ids == nil && len(m.segs) <= 1 {
		k.one[0], k.more = Segment{}, nil
		if len(m.segs) == 1 {
			k.one[0] = m.segs[0]
		}
	}
}

// ids gives the ids of re-entered events; nil if there are none.
func (k *Key) ids() map[int64]string {
	if k.more == nil {
		return nil
	}
	return k.more.ids
}

// Insert adds an accepted event. It reports false, and changes nothing, if the
// summaries cannot decide where the event leads: Expand the surroundings, then
// insert again. An event whose surroundings are expanded is always decided.
func (k *Key) Insert(r Rules, e *Event, id []byte) bool {
	segs, ids := k.Segs(), k.ids()
	i := sort.Search(len(segs), func(i int) bool { return segs[i].Last() >= e.TimeMs })
	switch {
	case i == len(segs) || segs[i].First > e.TimeMs:
		k.add(r, i, e, id)
	case ids != nil && segs[i].First == e.TimeMs && known(segs, ids, i):
		k.add(r, orderWithin(segs, ids, i, e, id), e, id)
	case !absorb(segs, i, e):
		return false
	default:
		if ids == nil && k.more != nil {
			k.more.segs = coalesce(r, segs, max(i-2, 0), i+2)
			k.settle()
		}
	}
	return true
}

// add puts a segment of its own for e at i, and joins what can be joined unless
// the key is expanded.
func (k *Key) add(r Rules, i int, e *Event, id []byte) {
	if k.more == nil { // often one is left: no memory is asked for then
		segs := make([]Segment, 0, 2)
		segs = slices.Insert(append(segs, k.Segs()...), i, e.segment())
		if segs = coalesce(r, segs, 0, 2); len(segs) == 1 {
			k.one[0] = segs[0]
		} else {
			k.one[0], k.more = Segment{}, newMany(segs)
		}
		return
	}
	m := k.more
	m.segs = slices.Insert(m.segs, i, e.segment())
	if m.ids != nil {
		m.ids[e.Offset] = string(id)
		return
	}
	m.segs = coalesce(r, m.segs, max(i-2, 0), i+2)
	k.settle()
}

// known says whether all segments of the instant of segment i are single
// events whose ids are known.
func known(segs []Segment, ids map[int64]string, i int) bool {
	at := segs[i].First
	for ; i < len(segs) && segs[i].First == at; i++ {
		if _, ok := ids[segs[i].MinOffset]; !ok || segs[i].Last() != at {
			return false
		}
	}
	return true
}

// orderWithin finds the place of e by (id, offset) among the single events of
// its instant, the first of which is segment i.
func orderWithin(segs []Segment, ids map[int64]string, i int, e *Event, id []byte) int {
	for ; i < len(segs) && segs[i].First == e.TimeMs; i++ {
		other := ids[segs[i].MinOffset]
		if string(id) < other || string(id) == other && e.Offset < segs[i].MinOffset {
			break
		}
	}
	return i
}

// Decides says whether Insert would take e, as things stand and while the key
// is not expanded.
func (k *Key) Decides(e *Event) bool {
	segs := k.Segs()
	i := sort.Search(len(segs), func(i int) bool { return segs[i].Last() >= e.TimeMs })
	return i == len(segs) || segs[i].First > e.TimeMs || absorbs(segs, i, e)
}

// absorbs says whether segment i, whose span e lies in, can take it without loss.
func absorbs(segs []Segment, i int, e *Event) bool {
	s := &segs[i]
	switch {
	case s.Gap != e.Gap || s.Period != e.Period:
		return false // its place among neighbours depends on stamps that the summary dropped
	case MarkOf(e.Kind) != MarkNone && e.TimeMs < s.Last():
		return false // cuts inside
	case e.TimeMs == s.First && (s.Class != e.Class || s.Flags != e.Flags):
		return false // the earliest by (time, id): the summary dropped the id
	case i+1 < len(segs) && segs[i+1].First <= e.TimeMs:
		return false // several stamps in one millisecond
	}
	return true
}

// absorb takes e into segment i, whose span it lies in, if that loses nothing.
func absorb(segs []Segment, i int, e *Event) bool {
	if !absorbs(segs, i, e) {
		return false
	}
	s, mark := &segs[i], MarkOf(e.Kind)
	s.Events++
	if e.Offset < s.MinOffset {
		s.MinOffset, s.Zone = e.Offset, e.Zone
	}
	if mark == MarkNone {
		s.hasSignal(e.TimeMs)
	} else {
		s.Mark = max(s.Mark, mark)
	}
	return true
}

// Extend is the hot path of Insert: a signal at or after the start of the last
// segment that changes nothing but that segment's own session. It gives the
// start of that session, or false if Insert must decide.
func (k *Key) Extend(r Rules, e *Event) (int64, bool) {
	if MarkOf(e.Kind) != MarkNone {
		return 0, false
	}
	s, start, before := &k.one[0], k.one[0].First, []Segment(nil)
	if k.more != nil {
		n := len(k.more.segs)
		if n == 0 || n > 2 || k.more.ids != nil {
			return 0, false
		}
		s, before = &k.more.segs[n-1], k.more.segs[:n-1]
		start = s.First
	}
	if s.Events == 0 || e.TimeMs <= s.First || s.Gap != e.Gap || s.Period != e.Period || s.Mark != MarkNone {
		return 0, false
	}
	last := s.Last()
	if len(before) > 0 { // the chain may begin in a segment of the day before
		if before[0].Mark != MarkNone || max(e.TimeMs, last)-before[0].First > r.CapMs {
			return 0, false
		}
		if joined, _ := r.joined(k.more.segs, 0); joined {
			start = before[0].First
		}
	}
	if e.TimeMs > last {
		if e.TimeMs-last > int64(e.Gap) || r.day(e.TimeMs) != r.day(s.First) {
			return 0, false
		}
		s.span = uint32(e.TimeMs - s.First)
	}
	s.Events++
	s.hasSignal(e.TimeMs)
	if e.Offset < s.MinOffset {
		s.MinOffset, s.Zone = e.Offset, e.Zone
	}
	return start, true
}

// coalesce joins neighbours among the segments [from, to] where that loses
// nothing: one chain, one UTC day, one stamp, and a boundary that no later
// event can cut.
func coalesce(r Rules, segs []Segment, from, to int) []Segment {
	for i := from; i < min(to, len(segs)-1); {
		a, b := &segs[i], &segs[i+1]
		joined, _ := r.joined(segs, i)
		if !joined || a.Gap != b.Gap || a.Period != b.Period || r.day(a.First) != r.day(b.First) ||
			a.Last() == b.First && a.Mark != MarkNone && b.Last() > a.Last() {
			i++
			continue
		}
		if a.Last() == b.Last() { // one instant: a mark of either stands at its end
			b.Mark = max(a.Mark, b.Mark)
		}
		if b.MinOffset < a.MinOffset {
			a.MinOffset, a.Zone = b.MinOffset, b.Zone
		}
		if !a.SetTimes(b.Last(), min(a.FirstSignal(), b.FirstSignal())) {
			panic("invariant: a segment spans more than its day")
		}
		a.Events += b.Events
		a.Mark = b.Mark
		segs = slices.Delete(segs, i+1, i+2)
		to--
	}
	return segs
}

// Expand replaces what the key knows in the windows (of Cover) by single events. Every
// segment that touches a window must lie in it; events must be all accepted
// events of the key in the windows, in any order; some may come twice.
func (k *Key) Expand(windows []Window, events []StoredEvent) {
	m := k.expandable()
	if m.ids == nil {
		m.ids = make(map[int64]string)
	}
	slices.SortFunc(events, func(a, b StoredEvent) int {
		return cmp.Or(cmp.Compare(a.TimeMs, b.TimeMs), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Offset, b.Offset))
	})
	kept := slices.DeleteFunc(m.segs, func(s Segment) bool { return Within(windows, s.First) })
	segs := make([]Segment, 0, len(kept)+len(events)+1) // one more: a record follows
	for i := range events {
		e := &events[i]
		if i > 0 && e.Offset == events[i-1].Offset {
			continue // read twice: an insert was repeated
		}
		for len(kept) > 0 && kept[0].First <= e.TimeMs {
			segs, kept = append(segs, kept[0]), kept[1:]
		}
		segs = append(segs, e.segment())
		m.ids[e.Offset] = e.ID
	}
	m.segs = append(segs, kept...)
}

// Around gives the part of the key whose sessions an event at an instant can
// touch, for Rules.BuildPart: the segment that it begins with, and the instant
// that the last of its chains begins at or before. It holds before and after the
// event came in. A chain is touched if the event falls into it or beside it, or
// voids a mark of it.
func (k *Key) Around(r Rules, ms int64) (from int, until int64) {
	segs := k.Segs()
	i := sort.Search(len(segs), func(i int) bool { return segs[i].Last() >= ms })
	until = ms
	// Beside it: what follows may join even where the event's instant ended a chain.
	if next := i + sort.Search(len(segs)-i, func(n int) bool { return segs[i+n].Last() > ms }); next < len(segs) {
		end, _ := r.chainEnd(segs, next)
		until = max(ms, segs[end].Last())
	}
	from = max(i-1, 0)
	for from > 0 && segs[from-1].Last() >= ms-r.GraceMs {
		from--
	}
	for from > 0 {
		if joined, _ := r.joined(segs, from-1); !joined {
			break
		}
		from--
	}
	return from, until
}

// Expanded says whether the key holds re-entered single events.
func (k *Key) Expanded() bool { return k.ids() != nil }

// Collapse ends an expansion: it joins what can be joined.
func (k *Key) Collapse(r Rules) {
	if m := k.more; m != nil {
		m.ids, m.segs = nil, coalesce(r, m.segs, 0, len(m.segs))
		k.settle()
	}
}

// Leave drops the leading chains whose last event is before the bound, and
// reports whether the key still holds any segment. A chain leaves as a whole.
func (k *Key) Leave(r Rules, bound int64) bool {
	segs, gone := k.Segs(), 0
	for i := 0; i < len(segs); {
		j, _ := r.chainEnd(segs, i)
		if segs[j].Last() >= bound {
			break
		}
		i, gone = j+1, j+1
	}
	switch {
	case gone == 0:
	case k.more == nil:
		k.one[0] = Segment{}
	default:
		k.more.segs = slices.Delete(segs, 0, gone)
		k.settle()
	}
	return gone < len(segs)
}

// FirstChainEnd gives the last event of the key's first chain; the key must
// hold a segment.
func (k *Key) FirstChainEnd(r Rules) int64 {
	segs := k.Segs()
	j, _ := r.chainEnd(segs, 0)
	return segs[j].Last()
}

// StoredEvent is an event read back, with the id that orders it.
type StoredEvent struct {
	Event

	ID string
}
