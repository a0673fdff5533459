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
		if i%prefetchRun == 0 {
			s.prefetch(b.records[i:min(i+prefetchRun, len(b.records))])
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
	if r.lookup.net != n {
		s.look(n, r)
	}
	id := r.lookup.id
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
	err := s.presence(n, r.lookup.user, &row, read)
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
	s.told[userRef{n, id}] = struct{}{}
}
