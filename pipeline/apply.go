package pipeline

import (
	"fmt"

	"daybook/pipeline/dedupe"
	"daybook/pipeline/source"
	"daybook/schemas"
)

// readBack gives the stored events of users below an offset; the state calls
// it for late events and where a summary cannot decide.
type readBack func(windows []schemas.EventsWindow, yield func(*schemas.StoredEvent) error) error

// advance applies records of a slab from its mark on, at most most of them,
// strictly in the order of offsets (ARCHITECTURE.md section 4.5). The horizon does
// not move meanwhile. It stops before a record that cannot be decided from memory:
// the batch ends there, so that all that lies before becomes durable, and the next
// one reads back first. An error leaves a state that must be dropped.
func (s *state) advance(sl *slab, most int) (stopped bool, err error) {
	if sl.pos != s.pos {
		panic("invariant I3: records must follow on the state's position")
	}
	for i := 0; !sl.done() && i < most; i++ {
		if i%prefetchRun == 0 {
			run := sl.records[sl.at:][:min(prefetchRun, most-i, sl.left())]
			s.hand.run(run)
			s.prefetch(run)
		}
		r := &sl.records[sl.at]
		s.skips(sl, r.offset)
		s.hand.at(ProbeApply, r.offset, r.value)
		decided, err := s.record(r)
		if err != nil {
			return false, err
		}
		if !decided {
			if r.offset < s.examined && r.offset == s.stopped {
				panic("invariant: an event is undecided although its surroundings have re-entered")
			}
			s.stopped, stopped = r.offset, true
			break
		}
		sl.at++
	}
	s.hand.done()
	s.pos = sl.next
	if !sl.done() {
		s.pos = sl.records[sl.at].offset
	}
	s.skips(sl, s.pos)
	sl.pos = s.pos
	return stopped, nil
}

// skips accounts for the offsets of a slab below one that hold no event.
func (s *state) skips(sl *slab, below int64) {
	for ; sl.skipped < len(sl.skips) && sl.skips[sl.skipped].From < below; sl.skipped++ {
		k := &sl.skips[sl.skipped]
		s.skip(k.From, k.To, k.Why)
	}
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

// record applies one record: exactly one class of the ledger takes it (I7). It
// reports false, and has changed nothing, if memory cannot decide it.
func (s *state) record(r *record) (decided bool, err error) {
	switch {
	case r.repair != nil:
		if r.offset >= s.examined {
			return false, nil
		}
		s.pass(r)
		return true, s.repair(r.repair, r.offset)
	case r.control != nil:
		s.pass(r)
		s.control(r)
		return true, nil
	case r.aside != nil:
		s.pass(r)
		return true, nil
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
		return s.event(n, r), nil
	}
	s.counted(r.offset).Rejected[r.reject.Reason.String()]++
	s.rejects = append(s.rejects, r.rejectRow())
	return true, nil
}

// counted gives the ledger row that takes a record.
func (s *state) counted(offset int64) *schemas.LedgerRow {
	l := s.block(offset)
	l.Next = offset + 1
	return l
}

// pass accounts for a record that is no event.
func (s *state) pass(r *record) {
	s.counted(r.offset).Skipped[source.SkipControl]++
	s.counts.skipped[source.SkipControl]++
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
// accepted. It reports false, and has changed nothing, if that cannot be told
// without stored events: it is late and they are not remembered, or the summary of
// its key cannot decide.
func (s *state) event(n *network, r *record) (decided bool) {
	if n.dark(r.timeMs) || n.dark(r.receivedMs) {
		s.counted(r.offset).NotRecorded[NotRecordedDisabled]++
		s.counts.notRecorded[NotRecordedDisabled]++
		return true
	}
	late := r.timeMs < n.horizon
	if late && r.offset >= s.examined && !s.remembers(s.user(n, r.event.User), r.timeMs) {
		return false
	}
	if r.lookup.net != n {
		s.look(n, r)
	}
	id := r.lookup.id
	verdict := n.ids.Find(&id)
	if late {
		verdict = s.past.find(n, &id)
	}
	if verdict != dedupe.New {
		s.repeat(r.offset, verdict)
		return true
	}
	flags := r.flags
	if late {
		flags |= schemas.FlagLate
	}
	row := schemas.EventRow{
		Event: &r.event, Offset: r.offset, TimeMs: r.timeMs, ReceivedMs: r.receivedMs, DeviceID: r.device,
		Class: r.class, Flags: flags, GapMs: n.control.GapMs, Period: n.period(r.timeMs), Zone: n.zoneOf(r.event.User), Content: id.Content,
	}
	if !s.presence(n, r.lookup.user, &row) {
		return false
	}
	s.counted(r.offset).Accepted++
	s.keepID(n, id)
	if late {
		s.counts.late++
		n.history.late++
		n.history.last = r.timeMs
	}
	n.greatest = max(n.greatest, r.timeMs)
	s.rows = append(s.rows, row)
	if r.event.Kind == schemas.KindUserFact {
		s.fact(n, r)
	}
	return true
}

// repeat accounts for a record that is one.
func (s *state) repeat(offset int64, verdict dedupe.Verdict) {
	l := s.counted(offset)
	l.Duplicate++
	s.counts.duplicates++
	if verdict == dedupe.Conflict {
		l.Conflicts++
		s.counts.conflicts++
	}
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
	s.told[userRef{n, id}] = struct{}{}
}
