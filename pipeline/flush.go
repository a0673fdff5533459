package pipeline

import (
	"maps"
	"slices"

	"daybook/pipeline/sessionize"
	"daybook/schemas"
)

// takeFlush gives everything that the records since the last flush changed, as
// rows of the version that the state's position is, and forgets that it was to
// be written. Throttled are only rows of open sessions that were written less
// than Rewrite ago; force writes those too (before a snapshot). now is the wall
// clock in milliseconds: it decides when a row is written, never what it says.
//
// The horizons move after the flush (settle); sessions of chains that will
// leave then are written with it.
func (s *state) takeFlush(topic string, now int64, force bool) *schemas.Flush {
	s.now = now
	f := &schemas.Flush{
		Topic: topic, Epoch: s.epoch, Partition: s.partition, From: s.from, Next: s.pos,
		Events: s.rows, Rejects: s.rejects, Settings: s.settings, UserFacts: s.facts,
		Sessions: s.sessionRows, Slices: s.sliceRows,
	}
	f.Sessions, f.Slices = append(f.Sessions, s.strays...), append(f.Slices, s.straySlices...)
	s.sessionRows, s.sliceRows, s.strays, s.straySlices = nil, nil, nil, nil
	for _, n := range s.networks {
		n.wanted = max(n.wanted, n.horizon)
		if n.greatest > never {
			n.wanted = max(n.wanted, n.watermark(s.rules)-s.rules.Lateness)
		}
		if n.greatest != n.written {
			f.Progress = append(f.Progress, schemas.ProgressRow{Network: n.id, WatermarkMs: n.watermark(s.rules)})
			n.written = n.greatest
		}
	}
	for u := range s.users {
		x := u.net.facts[u.id]
		f.Users = append(f.Users, schemas.UserRow{Network: u.net.id, User: u.id, Zone: x.zone, Name: x.name})
	}
	clear(s.users)
	budget := s.rules.ForceKeys
	s.touched = slices.DeleteFunc(s.touched, func(k *key) bool {
		all := (force || k.owed) && budget > 0
		if !all && k.held(now-s.rules.Rewrite) {
			return false
		}
		if k.touched = s.flushKey(f, k, now, all); k.touched {
			return false
		}
		if all {
			budget--
		}
		s.settleDebt(k)
		return true
	})
	for first, b := range s.ledger {
		row := *b
		row.NotRecorded, row.Rejected, row.Skipped = clone(b.NotRecorded), clone(b.Rejected), clone(b.Skipped)
		f.Ledger = append(f.Ledger, row)
		if b.Next == first+int64(b.Size) {
			delete(s.ledger, first)
		}
	}
	s.from = s.pos
	s.rows, s.rejects, s.settings, s.facts = nil, nil, nil, nil
	s.rowIndex, s.indexed = nil, 0
	return f
}

// owe marks a key whose newest rows a capture found held back: all of them are
// to be written again, for which of them it was is not kept.
func (s *state) owe(k *key) {
	s.after = s.rules.Session.Build(s.after[:0], k.Segs)
	for i := range s.after {
		k.change(s.after[i].StartMs)
	}
	s.touch(k)
}

// settleDebt notes that nothing of a key is held back any more. A capture that
// has not come to the key yet must still show it as owed: the rows are not
// durable before the flush is.
func (s *state) settleDebt(k *key) {
	if k.owed {
		s.hold(k.user)
		k.owed = false
		s.owed--
	}
}

// clone copies the counts of a ledger row: the block goes on counting while
// the flush is written.
func clone(m map[string]uint32) map[string]uint32 {
	c := make(map[string]uint32, len(m))
	maps.Copy(c, m)
	return c
}

// held says, at a glance, that nothing of a touched key is due: every changed
// session was written after an instant (wall clock, ms) and stays in the state.
// A flush looks at every key that is held back: hundreds of thousands.
func (k *key) held(after int64) bool {
	if len(k.tombs) > 0 || len(k.sliceTombs) > 0 {
		return false
	}
	stays := k.net.wanted - int64(k.net.control.GapMs)
	for i := range k.sessions {
		p := &k.sessions[i]
		if p.dirty && (p.written == 0 || p.written <= after || p.start < stays && (len(k.Segs) > 1 || k.Segs[0].Last < stays)) {
			return false
		}
	}
	return true
}

// flushKey writes what is due of one key; it reports whether something is left.
func (s *state) flushKey(f *schemas.Flush, k *key, now int64, force bool) bool {
	// A tombstone and what replaces it travel in one block.
	force = force || len(k.tombs) > 0 || len(k.sliceTombs) > 0
	s.bury(f, k)
	s.after = s.rules.Session.Build(s.after[:0], k.Segs)
	left := false
	for i := range k.sessions {
		p := &k.sessions[i]
		if !p.dirty {
			continue
		}
		at, ok := slices.BinarySearchFunc(s.after, p.start, func(x sessionize.Session, start int64) int { return cmp(x.StartMs, start) })
		if !ok {
			panic("invariant: a changed session is not in the state")
		}
		x := &s.after[at]
		leaves := x.ChainEnd+int64(k.net.control.GapMs) < k.net.wanted
		if force || leaves || p.written == 0 || now-p.written >= s.rules.Rewrite {
			s.live(f, k, x)
			p.dirty, p.written = false, now
		} else {
			left = true
		}
	}
	return left
}

func cmp(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// bury writes the tombstones of a key.
func (s *state) bury(f *schemas.Flush, k *key) {
	for _, start := range k.tombs {
		f.Sessions = append(f.Sessions, schemas.SessionRow{
			ID: k.id(start), Network: k.net.id, User: k.user.id, Device: k.device, StartMs: start, EndMs: start, Zone: "UTC", Deleted: true,
		})
	}
	for _, t := range k.sliceTombs {
		f.Slices = append(f.Slices, schemas.SliceRow{
			Session: k.id(t.start), Network: k.net.id, User: k.user.id, Device: k.device, Date: t.date, SessionStart: t.start, Zone: "UTC", Deleted: true,
		})
	}
	k.tombs, k.sliceTombs = k.tombs[:0], k.sliceTombs[:0]
}

// id gives the identity of the key's session that starts at an instant.
func (k *key) id(start int64) [16]byte {
	return schemas.SessionID(k.net.id, k.user.id, k.device, start)
}

// live writes a session and its slices.
func (s *state) live(f *schemas.Flush, k *key, x *sessionize.Session) {
	id, zone := k.id(x.StartMs), s.zones.name(x.Zone)
	f.Sessions = append(f.Sessions, schemas.SessionRow{
		ID: id, Network: k.net.id, User: k.user.id, Device: k.device, StartMs: x.StartMs, EndMs: x.EndMs, Events: x.Events,
		Class: x.Class, Flags: x.Flags, Zone: zone, GapMs: x.Gap, End: x.End,
	})
	s.parts = s.rules.Split(s.parts[:0], zone, x.StartMs, x.EndMs)
	for i := range s.parts {
		p := &s.parts[i]
		at := len(s.runs)
		s.runs = append(s.runs, p.Runs...)
		f.Slices = append(f.Slices, schemas.SliceRow{
			Session: id, Network: k.net.id, User: k.user.id, Device: k.device, Class: x.Class, Flags: x.Flags, Zone: zone,
			Date: p.Date, Runs: s.runs[at:len(s.runs):len(s.runs)], Seconds: p.Seconds, SessionStart: x.StartMs,
			ContinuesFrom: i > 0, ContinuesTo: i+1 < len(s.parts),
		})
	}
}

// clean says whether everything that changed has been handed to a flush, and
// no row is held back.
func (s *state) clean() bool { return len(s.touched) == 0 && s.from == s.pos }

// settle moves the horizons after a flush is durable, and lets go what no
// event at or after them can touch.
func (s *state) settle() {
	s.note()
	for _, n := range s.networks {
		n.horizon = max(n.horizon, n.wanted)
	}
	for _, k := range s.expanded {
		k.Collapse(s.rules.Session)
		s.leave(k)
		s.enqueue(k)
	}
	s.expanded = s.expanded[:0]
	for _, n := range s.networks {
		n.ids.Forget(n.horizon - s.rules.Repeat)
		s.expire(n)
	}
	s.turnPast()
}

// leave drops the chains of a key whose last event plus gap is before the
// horizon. A user of whom more is known stays as he is until that is forgotten:
// a chain that left between two that stay would make neighbours of them.
func (s *state) leave(k *key) {
	if k.user.known != nil {
		return
	}
	bound := k.net.horizon - int64(k.net.control.GapMs)
	holds := k.Leave(s.rules.Session, bound)
	k.sessions = slices.DeleteFunc(k.sessions, func(p published) bool {
		gone := !holds || p.start < k.Segs[0].First
		if gone && p.dirty {
			panic("invariant: a changed session leaves the state unwritten")
		}
		return gone
	})
	if !holds {
		s.drop(k)
	}
}

// enqueue notes when to look whether a key can leave.
func (s *state) enqueue(k *key) {
	if k.queued || k.dead || k.Expanded() || k.user.known != nil {
		return
	}
	k.queued = true
	due := (k.FirstChainEnd(s.rules.Session) + int64(k.net.control.GapMs)) / s.rules.ExpiryBucket
	k.net.expiry[due] = append(k.net.expiry[due], k)
	k.net.nextDue = min(k.net.nextDue, due)
}

// expire looks at the keys that are due. A key may stay longer than it must:
// what it holds is then still true.
func (s *state) expire(n *network) {
	now := n.horizon / s.rules.ExpiryBucket
	if n.nextDue >= now {
		return
	}
	var due []*key
	n.nextDue = 1<<63 - 1
	for bucket, keys := range n.expiry {
		if bucket < now {
			due = append(due, keys...)
			delete(n.expiry, bucket)
		} else {
			n.nextDue = min(n.nextDue, bucket)
		}
	}
	for _, k := range due {
		k.queued = false
		if k.dead {
			continue
		}
		s.hold(k.user)
		s.leave(k)
		s.enqueue(k)
	}
}

// maxReuse is how many rows' memory is kept for the next flush: a batch makes
// fewer, a checkpoint may write every open session at once.
const maxReuse = 65_536

// reuse takes back the memory of a flush that is durable.
func (s *state) reuse(f *schemas.Flush) {
	if len(s.rows) == 0 {
		clear(f.Events)
		s.rows = f.Events[:0]
	}
	if cap(f.Sessions) <= maxReuse {
		clear(f.Sessions)
		s.sessionRows = f.Sessions[:0]
	}
	if cap(f.Slices) <= maxReuse {
		clear(f.Slices)
		s.sliceRows = f.Slices[:0]
	}
	if s.runs = s.runs[:0]; cap(s.runs) > maxReuse {
		s.runs = nil
	}
}
