package pipeline

import (
	"maps"
	"math"
	"slices"

	"daybook/pipeline/sessionize"
	"daybook/schemas"
)

// owe marks a key whose newest rows a capture found held back: all of them are
// to be written again, for which of them it was is not kept.
func (s *state) owe(k *key) {
	s.after = s.rules.Session.Build(s.after[:0], k.Segs())
	for i := range s.after {
		k.change(s.after[i].StartMs)
	}
	s.touch(k)
}

// owes says whether a key was held back already when the last capture was begun.
func (s *state) owes(k *key) bool { return k.touched && k.touchAt != s.captures }

// clear notes that nothing of a key is held back any more. A capture that has not
// come to the key yet must still show it as owed: the rows are not durable before
// the flush is.
func (s *state) clear(k *key) {
	if s.owes(k) {
		s.hold(k.user)
		s.owed--
	}
	k.touched, k.list = false, listNone
	s.touched--
}

// held says, at a glance, that nothing of a touched key is due: every changed
// session was written after an instant (wall clock, ms) and stays in the state.
// A flush looks at every key that is held back: hundreds of thousands.
func (k *key) held(after int64) bool {
	if k.more != nil && len(k.more.tombs)+len(k.more.sliceTombs) > 0 {
		return false
	}
	segs := k.Segs()
	stays := k.net().wanted - int64(k.net().control.GapMs)
	ps := k.sessions()
	for i := range ps {
		p := &ps[i]
		if p.dirty() && (p.written() == 0 || p.written() <= after || p.start < stays && (len(segs) > 1 || segs[0].Last() < stays)) {
			return false
		}
	}
	return true
}

// tellUsers writes the users that entered the state or of whom something changed,
// with what is known of them now.
func (s *state) tellUsers(f *schemas.Flush) {
	if len(s.told) > 0 {
		for _, u := range s.entered {
			s.told[u] = struct{}{}
		}
		s.entered = slices.AppendSeq(s.entered[:0], maps.Keys(s.told))
		clear(s.told)
	}
	for _, u := range s.entered {
		x := u.net.facts[u.id]
		f.Users = append(f.Users, schemas.UserRow{Network: u.net.id, User: u.id, Zone: x.zone, Name: x.name})
	}
	clear(s.entered)
	s.entered = s.entered[:0]
}

// flushKey writes what is due of one key; it reports whether something is left.
func (s *state) flushKey(f *schemas.Flush, k *key, now int64, force bool) bool {
	// A tombstone and what replaces it travel in one block.
	force = force || k.more != nil && len(k.more.tombs)+len(k.more.sliceTombs) > 0
	s.bury(f, k)
	s.after = s.rules.Session.Build(s.after[:0], k.Segs())
	left := false
	ps := k.sessions()
	for i := range ps {
		p := &ps[i]
		if !p.dirty() {
			continue
		}
		at, ok := slices.BinarySearchFunc(s.after, p.start, func(x sessionize.Session, start int64) int { return cmp(x.StartMs, start) })
		if !ok {
			panic("invariant: a changed session is not in the state")
		}
		x := &s.after[at]
		leaves := x.ChainEnd+int64(k.net().control.GapMs) < k.net().wanted
		if force || leaves || p.written() == 0 || now-p.written() >= s.rules.Rewrite {
			s.live(f, k, x)
			p.wrote(now)
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
	m := k.more
	if m == nil {
		return
	}
	for _, start := range m.tombs {
		f.Sessions = append(f.Sessions, schemas.SessionRow{
			ID: k.id(start), Network: k.net().id, User: k.user.name(), Device: k.device(), StartMs: start, EndMs: start, Zone: "UTC", Deleted: true,
		})
	}
	for _, t := range m.sliceTombs {
		f.Slices = append(f.Slices, schemas.SliceRow{
			Session: k.id(t.start), Network: k.net().id, User: k.user.name(), Device: k.device(), Date: t.date, SessionStart: t.start, Zone: "UTC", Deleted: true,
		})
	}
	m.tombs, m.sliceTombs = nil, nil
	k.trim()
}

// id gives the identity of the key's session that starts at an instant.
func (k *key) id(start int64) [16]byte {
	return schemas.SessionID(k.net().id, k.user.name(), k.device(), start)
}

// live writes a session and its slices.
func (s *state) live(f *schemas.Flush, k *key, x *sessionize.Session) {
	id, zone := k.id(x.StartMs), s.zones.name(x.Zone)
	f.Sessions = append(f.Sessions, schemas.SessionRow{
		ID: id, Network: k.net().id, User: k.user.name(), Device: k.device(), StartMs: x.StartMs, EndMs: x.EndMs, Events: x.Events,
		Class: x.Class, Flags: x.Flags, Zone: zone, GapMs: x.Gap, End: x.End,
	})
	s.parts = s.rules.Split(s.parts[:0], zone, x.StartMs, x.EndMs)
	for i := range s.parts {
		p := &s.parts[i]
		at := len(s.runs)
		s.runs = append(s.runs, p.Runs...)
		f.Slices = append(f.Slices, schemas.SliceRow{
			Session: id, Network: k.net().id, User: k.user.name(), Device: k.device(), Class: x.Class, Flags: x.Flags, Zone: zone,
			Date: p.Date, Runs: s.runs[at:len(s.runs):len(s.runs)], Seconds: p.Seconds, SessionStart: x.StartMs,
			ContinuesFrom: i > 0, ContinuesTo: i+1 < len(s.parts),
		})
	}
}

// leave drops the chains of a key whose last event plus gap is before the
// horizon. A user of whom more is known stays as he is until that is forgotten:
// a chain that left between two that stay would make neighbours of them.
func (s *state) leave(k *key) {
	if k.user.known() != nil {
		return
	}
	bound := k.net().horizon - int64(k.net().control.GapMs)
	holds := k.Leave(s.rules.Session, bound)
	k.keepSessions(func(_ int, p *published) bool {
		gone := !holds || p.start < k.Segs()[0].First
		if gone && p.dirty() {
			panic("invariant: a changed session leaves the state unwritten")
		}
		return !gone
	})
	if !holds {
		s.drop(k)
	}
}

// enqueue notes when to look whether a key can leave, unless the user is looked
// at anyway.
func (s *state) enqueue(k *key) {
	u := k.user
	if !k.live || k.Expanded() || u.known() != nil {
		return
	}
	p, i := s.users.page(u.at)
	if p.next[i] != notQueued {
		return
	}
	n := u.net
	due := (k.FirstChainEnd(s.rules.Session) + int64(n.control.GapMs)) / s.rules.ExpiryBucket
	first, ok := n.expiry[due]
	if p.next[i] = queuedLast; ok {
		p.next[i] = first + queuedAfter
	}
	n.expiry[due] = u.at
	n.nextDue = min(n.nextDue, due)
}

// expire looks at the users that are due. A key may stay longer than it must:
// what it holds is then still true.
func (s *state) expire(n *network) {
	now := n.horizon / s.rules.ExpiryBucket
	if n.nextDue >= now {
		return
	}
	var due []int64
	n.nextDue = math.MaxInt64
	for bucket := range n.expiry {
		if bucket < now {
			due = append(due, bucket)
		} else {
			n.nextDue = min(n.nextDue, bucket)
		}
	}
	slices.Sort(due)
	for _, bucket := range due {
		at := n.expiry[bucket]
		delete(n.expiry, bucket)
		for last := false; !last; {
			p, i := s.users.page(at)
			u := &p.users[i]
			if last = p.next[i] == queuedLast; !last {
				at = p.next[i] - queuedAfter
			}
			p.next[i] = notQueued
			if u.gone() {
				s.users.release(u)
				continue
			}
			s.hold(u)
			s.leaving = s.leaving[:0]
			for k := range u.keys {
				s.leaving = append(s.leaving, k)
			}
			for _, k := range s.leaving {
				s.leave(k)
				s.enqueue(k)
			}
		}
	}
}
