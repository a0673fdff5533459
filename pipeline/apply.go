package pipeline

import (
	"fmt"
	"slices"

	"daybook/pipeline/dedupe"
	"daybook/pipeline/sessionize"
	"daybook/pipeline/source"
	"daybook/schemas"
)

// readBack gives the stored events of users below an offset; the state calls
// it for late events and where a summary cannot decide.
type readBack func(windows []schemas.EventsWindow, yield func(*schemas.StoredEvent) error) error

// apply advances the state over a batch: first the stored events that its late
// records need re-enter, then every record, late or not, is applied strictly
// in the order of offsets (ARCHITECTURE.md section 4.5). The horizon does not
// move meanwhile. An error leaves a state that must be dropped.
func (s *state) apply(b *batch, read readBack) error {
	if b.from != s.pos {
		panic("invariant I3: a batch must start where the state ends")
	}
	s.poison.batch(b)
	if err := s.reenterLate(b, read); err != nil {
		return err
	}
	skips := b.skips
	for i := range b.records {
		r := &b.records[i]
		for len(skips) > 0 && skips[0].From < r.offset {
			s.skip(skips[0].From, skips[0].To, skips[0].Why)
			skips = skips[1:]
		}
		s.poison.at(ProbeApply, r.offset, r.value)
		if err := s.record(r, read); err != nil {
			return err
		}
	}
	s.poison.done()
	for _, k := range skips {
		s.skip(k.From, k.To, k.Why)
	}
	s.pos = b.next
	return nil
}

// skip accounts for offsets that hold no event.
func (s *state) skip(from, to int64, why string) {
	for from < to {
		l := s.block(from)
		end := min(to, l.Block+int64(l.Size))
		l.Skipped[why] += uint32(end - from)
		s.counts.skipped[why] += end - from
		l.Next, from = end, end
	}
}

// record applies one record: exactly one class of the ledger takes it (I7).
func (s *state) record(r *record, read readBack) error {
	l := s.block(r.offset)
	l.Next = r.offset + 1
	if r.repair != nil {
		l.Skipped[source.SkipControl]++
		s.counts.skipped[source.SkipControl]++
		return s.repair(r.repair, r.offset)
	}
	if r.control != nil || r.aside != nil {
		l.Skipped[source.SkipControl]++
		s.counts.skipped[source.SkipControl]++
		if r.control != nil {
			s.control(r)
		}
		return nil
	}
	n := s.find(r.event.Network)
	switch {
	case r.reject.Reason != schemas.Accepted:
	case !n.known():
		r.reject = schemas.Reject{Reason: schemas.UnknownNetwork, Field: "network", Remedy: "make it first: daybook network set NAME"}
	case n.control.TooOld(r.timeMs, r.receivedMs):
		r.reject = schemas.Reject{Reason: schemas.TooOld, Field: "time", Remedy: fmt.Sprintf(
			"the stored events of the network are kept for %d days, and it is older than the last %d of them when it was received; "+
				"raise the retention first (daybook network set %s --retention-days N, 0: for ever), then send it again",
			n.control.RetentionDays, n.control.RetentionDays-schemas.RetentionMarginDays, n.id)}
	default:
		return s.event(n, r, l, read)
	}
	l.Rejected[r.reject.Reason.String()]++
	s.rejects = append(s.rejects, r.rejectRow())
	return nil
}

// control puts a setting in force. A greater gap moves the horizon up by the
// difference: chains that left under the smaller one could else be missed. The
// batch ends with the record (batch.go).
func (s *state) control(r *record) {
	n := s.network(r.control.Network)
	old := n.control.GapMs
	if !n.set(r.control) {
		return
	}
	if d := int64(n.control.GapMs - old); d > 0 && n.horizon > never {
		n.horizon += d
	}
	s.settings = append(s.settings, schemas.SettingRow{Offset: r.offset, Control: *r.control})
}

// event takes a valid event of a known network: recorded at all, a repeat, or
// accepted.
func (s *state) event(n *network, r *record, l *schemas.LedgerRow, read readBack) error {
	if n.dark(r.timeMs) || n.dark(r.receivedMs) {
		l.NotRecorded[NotRecordedDisabled]++
		s.counts.notRecorded[NotRecordedDisabled]++
		return nil
	}
	id := dedupe.Entry{ID: schemas.EventIdentity(&r.event), TimeMs: r.timeMs, Content: schemas.ContentHash(&r.event)}
	late := r.timeMs < n.horizon
	verdict := n.ids.Find(&id)
	if late {
		verdict = s.past.find(n, &id)
	}
	switch verdict {
	case dedupe.Conflict:
		l.Conflicts++
		l.Duplicate++
		s.counts.conflicts++
		s.counts.duplicates++
		return nil
	case dedupe.Repeat:
		l.Duplicate++
		s.counts.duplicates++
		return nil
	case dedupe.New:
	}
	l.Accepted++
	s.keepID(n, id)
	if late {
		s.counts.late++
		n.history.late++
		n.history.last = r.timeMs
		r.flags |= schemas.FlagLate
	}
	n.greatest = max(n.greatest, r.timeMs)
	zone := n.zoneOf(r.event.User)
	row := schemas.EventRow{
		Event: &r.event, Offset: r.offset, TimeMs: r.timeMs, ReceivedMs: r.receivedMs, DeviceID: r.device,
		Class: r.class, Flags: r.flags, GapMs: n.control.GapMs, Period: n.period(r.timeMs), Zone: zone, Content: id.Content,
	}
	err := s.presence(n, &row, read)
	s.rows = append(s.rows, row)
	if r.event.Kind == schemas.KindUserFact {
		s.fact(n, r)
	}
	return err
}

// keepID notes an accepted event for the recognition of repeats.
func (s *state) keepID(n *network, id dedupe.Entry) {
	if id.TimeMs < n.horizon-s.rules.Repeat {
		s.past.ids[0].Add(id)
		return
	}
	n.ids.Add(id)
}

// fact takes what the directory says of a user, for the events that follow.
func (s *state) fact(n *network, r *record) {
	id := string(r.event.User)
	f := n.facts[id]
	if len(r.event.FactZone) > 0 && s.rules.ValidZone(r.event.FactZone) {
		f.zone = string(r.event.FactZone)
	}
	if len(r.event.FactName) > 0 {
		f.name = string(r.event.FactName)
	}
	n.facts[id] = f
	s.facts = append(s.facts, schemas.UserFactRow{Offset: r.offset, Network: n.id, User: id, Zone: f.zone, Name: f.name})
	s.users[userRef{n, id}] = struct{}{}
}

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
