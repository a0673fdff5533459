package sessionize

import (
	"math"

	"daybook/schemas"
)

// Rules are the constants of SEMANTICS.md section 9. Tests scale them down.
type Rules struct {
	DayMs   int64 // UTC day, at whose ends a long chain is cut
	CapMs   int64 // longest span of a chain that is one session
	GraceMs int64 // a backgrounded mark is void if a signal follows within
}

// Standard returns the rules of SEMANTICS.md: cut at 00:00 UTC beyond 24 h,
// 60 s of grace for switching apps.
func Standard() Rules {
	return Rules{DayMs: 86_400_000, CapMs: 86_400_000, GraceMs: 60_000}
}

// Mark is a cut mark at a segment's last millisecond.
type Mark uint8

// The marks; a greater one wins where two share a millisecond.
const (
	MarkNone Mark = iota
	MarkBackgrounded
	MarkLoggedOut
)

// MarkOf gives the mark that an event of this kind is.
func MarkOf(k schemas.Kind) Mark {
	switch k {
	case schemas.KindLoggedOut:
		return MarkLoggedOut
	case schemas.KindBackgrounded:
		return MarkBackgrounded
	case schemas.KindSignal, schemas.KindUserFact, schemas.KindOther:
	}
	return MarkNone
}

// NoSignal stands for the first signal of a segment that holds marks only.
const NoSignal = math.MaxInt64

// Segment is a run of neighbouring events of one key that share chain, UTC day
// and stamp. It takes 40 bytes without a pointer, because there are millions:
// times within the day count from the first one.
type Segment struct {
	First     int64               // ms, of the earliest event
	MinOffset int64               // lowest offset of its events
	span      uint32              // ms from First to the latest event, inclusive
	signal    uint32              // ms from First to the earliest event that is no mark; noSignal if none
	Events    uint32              // 0: no segment
	Gap       int32               // stamp of all its events, ms
	Period    uint16              // stamp of all its events
	Zone      uint16              // symbol of the zone stamp of the event with MinOffset
	Class     schemas.DeviceClass // of the earliest event by (time, id)
	Flags     schemas.EventFlags  // of the earliest event by (time, id)
	Mark      Mark                // at Last, whether void or not
}

const noSignal = math.MaxUint32

// Last gives the time of the latest event, inclusive, in ms.
func (s *Segment) Last() int64 { return s.First + int64(s.span) }

// FirstSignal gives the time of the earliest event that is no mark, in ms;
// NoSignal if there is none.
func (s *Segment) FirstSignal() int64 {
	if s.signal == noSignal {
		return NoSignal
	}
	return s.First + int64(s.signal)
}

// SetTimes sets the times of the latest event and of the earliest one that is no
// mark; First must be set. It reports whether they are times of one segment.
func (s *Segment) SetTimes(last, firstSignal int64) bool {
	s.span, s.signal = uint32(last-s.First), noSignal
	if firstSignal != NoSignal {
		s.signal = uint32(firstSignal - s.First)
	}
	return s.Last() == last && s.FirstSignal() == firstSignal
}

// hasSignal notes a signal at an instant within the segment.
func (s *Segment) hasSignal(ms int64) { s.signal = min(s.signal, uint32(ms-s.First)) }

// Event is what sessionizing needs to know of one accepted event.
type Event struct {
	TimeMs int64
	Offset int64
	Gap    int32
	Period uint16
	Zone   uint16
	Class  schemas.DeviceClass
	Flags  schemas.EventFlags
	Kind   schemas.Kind
}

// segment makes the segment that holds e alone.
func (e *Event) segment() Segment {
	s := Segment{
		First: e.TimeMs, MinOffset: e.Offset, signal: noSignal, Events: 1,
		Gap: e.Gap, Period: e.Period, Zone: e.Zone, Class: e.Class, Flags: e.Flags, Mark: MarkOf(e.Kind),
	}
	if s.Mark == MarkNone {
		s.signal = 0
	}
	return s
}

// Session is a presence session as derived from segments.
type Session struct {
	StartMs   int64
	EndMs     int64
	ChainEnd  int64 // last event of the chain that it is part of
	MinOffset int64
	Events    uint32
	Gap       int32 // stamp of its last event
	Zone      uint16
	Class     schemas.DeviceClass
	Flags     schemas.EventFlags
	End       schemas.EndReason
}

// Build appends the sessions of the segments, in the order of time, to dst.
func (r Rules) Build(dst []Session, segs []Segment) []Session {
	return r.BuildPart(dst, segs, 0, math.MaxInt64)
}

// BuildPart does so for the chains from a segment on that begin at or before an
// instant. A chain must begin with that segment.
func (r Rules) BuildPart(dst []Session, segs []Segment, from int, until int64) []Session {
	for i := from; i < len(segs) && segs[i].First <= until; {
		j, end := r.chainEnd(segs, i)
		dst = r.pieces(dst, segs[i:j+1], end)
		i = j + 1
	}
	return dst
}

// chainEnd gives the last segment of the chain that starts at i, and why the
// chain ends there.
func (r Rules) chainEnd(segs []Segment, i int) (int, schemas.EndReason) {
	for {
		joined, why := r.joined(segs, i)
		if !joined {
			return i, why
		}
		i++
	}
}

// pieces appends the sessions of one chain: one if it spans at most the cap,
// else one a UTC day.
func (r Rules) pieces(dst []Session, chain []Segment, end schemas.EndReason) []Session {
	last := &chain[len(chain)-1]
	capped := last.Last()-chain[0].First > r.CapMs
	for i := 0; i < len(chain); {
		first := &chain[i]
		s := Session{
			StartMs: first.First, ChainEnd: last.Last(), MinOffset: math.MaxInt64,
			Class: first.Class, Flags: first.Flags, End: end,
		}
		for ; i < len(chain) && (!capped || r.day(chain[i].First) == r.day(first.First)); i++ {
			c := &chain[i]
			s.EndMs, s.Gap = c.Last(), c.Gap
			s.Events += c.Events
			if c.MinOffset < s.MinOffset {
				s.MinOffset, s.Zone = c.MinOffset, c.Zone
			}
		}
		if i < len(chain) {
			s.End = schemas.EndCap
		}
		dst = append(dst, s)
	}
	return dst
}

// joined says whether segments i and i+1 belong to one chain; if not, why the
// chain ends at i.
func (r Rules) joined(segs []Segment, i int) (bool, schemas.EndReason) {
	a := &segs[i]
	if i+1 < len(segs) && segs[i+1].First == a.Last() {
		return true, 0 // nothing cuts between two events of one instant
	}
	switch r.cut(segs, i) {
	case MarkLoggedOut:
		return false, schemas.EndLoggedOut
	case MarkBackgrounded:
		return false, schemas.EndBackgrounded
	case MarkNone:
	}
	if i+1 == len(segs) {
		return false, schemas.EndInactivity
	}
	b := &segs[i+1]
	switch {
	case b.First-a.Last() > int64(b.Gap): // exactly the gap continues
		return false, schemas.EndInactivity
	case a.Period != b.Period:
		return false, schemas.EndRecording
	}
	return true, 0
}

// cut gives the mark in force after segment i, which must be the last one of
// its last instant.
func (r Rules) cut(segs []Segment, i int) Mark {
	at, m := segs[i].Last(), MarkNone
	for k := i; k >= 0 && segs[k].Last() == at; k-- {
		m = max(m, segs[k].Mark)
	}
	if m != MarkBackgrounded {
		return m
	}
	for k := i + 1; k < len(segs) && segs[k].First <= at+r.GraceMs; k++ {
		if segs[k].FirstSignal() <= at+r.GraceMs {
			return MarkNone
		}
	}
	return m
}

// day numbers the UTC day of an instant.
func (r Rules) day(ms int64) int64 {
	d := ms / r.DayMs
	if ms%r.DayMs < 0 {
		d--
	}
	return d
}
