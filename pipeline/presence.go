package pipeline

import (
	"slices"

	"daybook/pipeline/sessionize"
	"daybook/schemas"
)

// presence puts an accepted event into the sessions of its key.
func (s *state) presence(n *network, row *schemas.EventRow, read readBack) error {
	if !inPresence(row.Event.Kind) {
		return nil
	}
	e := s.sessionEvent(row)
	k := s.keyOf(n, row.Event.User, row.DeviceID)
	if len(k.sliceTombs) == 0 { // else the session may get back a slice that is to be withdrawn
		if start, ok := k.Extend(s.rules.Session, &e); ok {
			k.change(start)
			s.touch(k)
			return nil
		}
	}
	from, until := s.remember(k, e.TimeMs)
	if !k.Insert(s.rules.Session, &e, string(row.Event.ID)) {
		if err := s.reenterOne(n, k.user, row.TimeMs, read); err != nil {
			return err
		}
		from, until = s.remember(k, e.TimeMs) // what re-entered is not new
		if !k.Insert(s.rules.Session, &e, string(row.Event.ID)) {
			panic("invariant: an event is undecided although its surroundings have re-entered")
		}
	}
	s.after = s.rules.Session.BuildPart(s.after[:0], k.Segs, from, until)
	s.diff(k)
	s.enqueue(k)
	return nil
}

// sessionEvent gives what sessionizing needs of an accepted event.
func (s *state) sessionEvent(row *schemas.EventRow) sessionize.Event {
	return sessionize.Event{
		TimeMs: row.TimeMs, Offset: row.Offset, Gap: row.GapMs, Period: row.Period, Zone: s.zones.of(row.Zone),
		Class: row.Class, Flags: row.Flags & sessionFlags, Kind: row.Event.Kind,
	}
}

// remember notes the sessions of a key that an event at an instant can touch;
// it gives the part of the key that they lie in.
func (s *state) remember(k *key, ms int64) (from int, until int64) {
	from, until = k.Around(s.rules.Session, ms)
	s.before = s.rules.Session.BuildPart(s.before[:0], k.Segs, from, until)
	return from, until
}

// sessionFlags are the flags that a session takes from its earliest event.
const sessionFlags = schemas.FlagRobot | schemas.FlagClassUnknown

// inPresence says whether events of a kind belong to presence sessions.
func inPresence(k schemas.Kind) bool {
	return k == schemas.KindSignal || k == schemas.KindLoggedOut || k == schemas.KindBackgrounded
}

// diff notes what the last record did to the sessions of a key: before and
// after are those that it can have touched, in the order of time.
func (s *state) diff(k *key) {
	a, b := s.before, s.after
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].StartMs < b[0].StartMs:
			s.cease(k, &a[0])
			a = a[1:]
		case len(a) == 0 || b[0].StartMs < a[0].StartMs:
			s.exist(k, &b[0])
			b = b[1:]
		default:
			if !sameRow(&a[0], &b[0]) {
				s.shrink(k, &a[0], &b[0])
				s.exist(k, &b[0])
			}
			a, b = a[1:], b[1:]
		}
	}
}

// sameRow says whether two states of a session are written alike.
func sameRow(a, b *sessionize.Session) bool {
	return a.EndMs == b.EndMs && a.Events == b.Events && a.Class == b.Class && a.Flags == b.Flags &&
		a.Zone == b.Zone && a.Gap == b.Gap && a.End == b.End
}

// exist notes a new or changed session: it is to be written, and what was to
// be withdrawn of it stays.
func (s *state) exist(k *key, x *sessionize.Session) {
	k.change(x.StartMs)
	s.touch(k)
	if len(k.tombs) > 0 {
		k.tombs = slices.DeleteFunc(k.tombs, func(t int64) bool { return t == x.StartMs })
	}
	if len(k.sliceTombs) == 0 {
		return
	}
	for _, d := range s.dates(&s.is, x) {
		k.sliceTombs = slices.DeleteFunc(k.sliceTombs, func(t sliceTomb) bool { return t.start == x.StartMs && t.date == d })
	}
}

// cease notes that a session is no more: it gets a tombstone, and every slice
// that it had does, whether this worker wrote them or not.
func (s *state) cease(k *key, x *sessionize.Session) {
	if i, ok := k.published(x.StartMs); ok {
		k.sessions = slices.Delete(k.sessions, i, i+1)
	}
	if !slices.Contains(k.tombs, x.StartMs) {
		k.tombs = append(k.tombs, x.StartMs)
	}
	for _, d := range s.dates(&s.was, x) {
		k.bury(x.StartMs, d)
	}
	s.touch(k)
}

// shrink notes the slices that a session lost when its end moved back or its
// zone changed.
func (s *state) shrink(k *key, was, is *sessionize.Session) {
	if is.EndMs >= was.EndMs && is.Zone == was.Zone {
		return
	}
	left := s.dates(&s.is, is)
	for _, d := range s.dates(&s.was, was) {
		if !slices.Contains(left, d) {
			k.bury(is.StartMs, d)
		}
	}
	s.touch(k)
}

// dates gives the local dates of a session; they stay valid until the scratch
// is used again.
func (s *state) dates(scratch *[]int32, x *sessionize.Session) []int32 {
	*scratch = s.rules.Dates((*scratch)[:0], s.zones.name(x.Zone), x.StartMs, x.EndMs)
	return *scratch
}

// bury notes the tombstone of a slice.
func (k *key) bury(start int64, date int32) {
	t := sliceTomb{start, date}
	if !slices.Contains(k.sliceTombs, t) {
		k.sliceTombs = append(k.sliceTombs, t)
	}
}

// change marks the session that starts at an instant as to be written.
func (k *key) change(start int64) {
	i, ok := k.published(start)
	if ok {
		k.sessions[i].dirty = true
		return
	}
	k.sessions = slices.Insert(k.sessions, i, published{start: start, dirty: true})
}

// published finds what was done about the session that starts at an instant,
// or its place.
func (k *key) published(start int64) (int, bool) {
	return slices.BinarySearchFunc(k.sessions, start, func(p published, start int64) int { return cmp(p.start, start) })
}

// touch puts a key on the list of those that the next flush looks at.
func (s *state) touch(k *key) {
	if !k.touched {
		k.touched = true
		s.touched = append(s.touched, k)
	}
}
