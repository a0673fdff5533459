package pipeline

import (
	"slices"

	"daybook/pipeline/sessionize"
	"daybook/schemas"
)

// presence puts an accepted event into the sessions of its key; user is the hash
// of the user. It reports false, and has changed nothing, if the summaries of the
// key cannot decide.
func (s *state) presence(n *network, user uint64, row *schemas.EventRow) (decided bool) {
	if !inPresence(row.Event.Kind) {
		return true
	}
	e := s.sessionEvent(row)
	k := s.keyBy(n, user, row.Event.User, row.DeviceID)
	if k.more == nil || len(k.more.sliceTombs) == 0 { // else the session may get back a slice that is to be withdrawn
		if start, ok := k.Extend(s.rules.Session, &e); ok {
			if p := k.published(start); !p.dirty() { // else it waits for a flush already
				p.done |= 1
				s.touch(k)
			}
			return true
		}
	}
	from, until := s.remember(k, e.TimeMs)
	if !k.Insert(s.rules.Session, &e, row.Event.ID) {
		return false
	}
	s.after = s.rules.Session.BuildPart(s.after[:0], k.Segs(), from, until)
	s.diff(k)
	s.enqueue(k)
	return true
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
	s.before = s.rules.Session.BuildPart(s.before[:0], k.Segs(), from, until)
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
	m := k.more
	if m == nil {
		return
	}
	m.tombs = slices.DeleteFunc(m.tombs, func(t int64) bool { return t == x.StartMs })
	if len(m.sliceTombs) == 0 {
		return
	}
	for _, d := range s.dates(&s.is, x) {
		m.sliceTombs = slices.DeleteFunc(m.sliceTombs, func(t sliceTomb) bool { return t.start == x.StartMs && t.date == d })
	}
}

// cease notes that a session is no more: it gets a tombstone, and every slice
// that it had does, whether this worker wrote them or not.
func (s *state) cease(k *key, x *sessionize.Session) {
	k.unpublish(x.StartMs)
	if m := k.extra(); !slices.Contains(m.tombs, x.StartMs) {
		m.tombs = append(m.tombs, x.StartMs)
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
	if m := k.extra(); !slices.Contains(m.sliceTombs, t) {
		m.sliceTombs = append(m.sliceTombs, t)
	}
}

// extra gives what few keys have, making it if needed.
func (k *key) extra() *keyMore {
	if k.more == nil {
		k.more, _ = keyMores.Get().(*keyMore)
	}
	return k.more
}

// sessions gives what was done about the key's sessions, by start.
func (k *key) sessions() []published {
	switch {
	case k.more != nil && len(k.more.sessions) > 0:
		return k.more.sessions
	case k.one[0].done == 0:
		return nil
	}
	return k.one[:]
}

// published finds what was done about the session that starts at an instant,
// making it if needed.
func (k *key) published(start int64) *published {
	ps := k.sessions()
	if len(ps) == 0 {
		k.one[0].start = start
		return &k.one[0]
	}
	i, ok := findPublished(ps, start)
	if ok {
		return &ps[i]
	}
	m := k.extra()
	if len(m.sessions) == 0 {
		ps = append(m.two[:0], ps...)
		k.one[0] = published{}
	}
	m.sessions = slices.Insert(ps, i, published{start: start})
	return &m.sessions[i]
}

// unpublish forgets what was done about a session.
func (k *key) unpublish(start int64) {
	if i, ok := findPublished(k.sessions(), start); ok {
		k.keepSessions(func(j int, _ *published) bool { return j != i })
	}
}

// keepSessions forgets what was done about other sessions.
func (k *key) keepSessions(keep func(i int, p *published) bool) {
	ps := k.sessions()
	kept := ps[:0]
	for i := range ps {
		if keep(i, &ps[i]) {
			kept = append(kept, ps[i])
		}
	}
	switch m := k.more; {
	case len(kept) == len(ps):
	case len(kept) == 0:
		k.one[0] = published{}
		if m != nil {
			m.sessions = nil
		}
	case len(kept) == 1: // so it was not the only one
		k.one[0], m.sessions = kept[0], nil
	default:
		m.sessions = kept
	}
	k.trim()
}

// trim lets go the memory of what few keys have, if it is empty; nobody may hold
// anything of it then.
func (k *key) trim() {
	if m := k.more; m != nil && len(m.sessions)+len(m.tombs)+len(m.sliceTombs) == 0 {
		k.more = nil
		*m = keyMore{}
		keyMores.Put(m)
	}
}

func findPublished(ps []published, start int64) (int, bool) {
	return slices.BinarySearchFunc(ps, start, func(p published, start int64) int { return cmp(p.start, start) })
}

// change marks the session that starts at an instant as to be written.
func (k *key) change(start int64) { k.published(start).done |= 1 }
