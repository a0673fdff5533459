package pipeline

import (
	"math"
	"slices"

	"daybook/pipeline/dedupe"
	"daybook/pipeline/sessionize"
)

// past is what the state remembers of times before the horizons, beyond what it
// must: when stored events of a user have re-entered, the user stays with all of
// his chains, the span that was read is noted with him (user.known), and the ids
// of the span are kept here. A later record that lies deep enough in that span is
// decided from memory, so that a history that comes in many batches is read back
// once and not with every batch.
//
// To know more than one must changes no row (ARCHITECTURE.md section 4.5): the
// horizons stand where they stood, a checkpoint holds nothing of it, and it may be
// forgotten at any time between batches. It goes in turns: what came in during one
// turn is forgotten at the end of the next.
type past struct {
	ids   [2]*dedupe.Set // of this turn and the one before; of all networks, whose ids differ
	users [2][]*user     // likewise: those that were read
	turn  uint32
	since int64 // wall clock at which the turn began
}

func newPast(r *Rules) past {
	p := past{turn: 1}
	for i := range p.ids {
		p.ids[i] = dedupe.NewSet(r.Repeat, r.LeastIDs)
	}
	return p
}

// find judges an event as a set does, by all that was kept.
func (p *past) find(n *network, e *dedupe.Entry) dedupe.Verdict {
	return max2(n.ids.Find(e), max2(p.ids[0].Find(e), p.ids[1].Find(e)))
}

// max2 joins two verdicts: same content anywhere makes a repeat.
func max2(a, b dedupe.Verdict) dedupe.Verdict {
	if a == dedupe.New || b == dedupe.Repeat {
		return b
	}
	return a
}

// remembers says whether all that an event at an instant can touch is in the
// state although the instant is before the horizon.
func (s *state) remembers(u *user, ms int64) bool {
	w := s.window(ms)
	return u != nil && u.known() != nil && ms+s.rules.Repeat < u.more.idsTo && sessionize.Covered(u.known(), w)
}

// note keeps what has re-entered with the last batch. The horizons have not
// moved yet.
func (s *state) note() {
	p := &s.past
	for _, x := range s.reentered {
		delete(x.net.late, x.id)
		u := s.user(x.net, []byte(x.id))
		if u == nil {
			continue // nothing of him is stored, or no sessions
		}
		m := u.extra()
		m.known, m.idsTo, m.turn = x.windows, x.idsTo, p.turn
		// What is after the horizon is in the state and stays as long as the user does.
		if last := &m.known[len(m.known)-1]; last.To >= x.net.horizon {
			last.To = math.MaxInt64
		}
		m.noted++
		p.users[0] = append(p.users[0], u)
	}
	s.reentered = s.reentered[:0]
}

// turnPast forgets what came in during the turn before this one, when this one
// is full or has lasted long enough. The horizons have moved.
func (s *state) turnPast() {
	p := &s.past
	if len(p.users[0])+len(p.users[1]) == 0 && p.ids[0].Len()+p.ids[1].Len() == 0 {
		p.since = s.now
		return
	}
	if p.ids[0].Len() < s.rules.PastIDs && s.now-p.since < s.rules.PastFor {
		return
	}
	for _, u := range p.users[1] {
		if u.more.noted--; u.more.turn != p.turn { // else read again since
			s.forget(u)
		}
		u.trim()
		s.users.release(u)
	}
	p.users[1], p.users[0] = p.users[0], nil
	p.ids[1], p.ids[0] = p.ids[0], dedupe.NewSet(s.rules.Repeat, s.rules.LeastIDs)
	p.turn, p.since = p.turn+1, s.now
}

// forget makes the state of a user what it must be again: the chains that an
// event at or after the horizon can touch.
func (s *state) forget(u *user) {
	if u == nil || u.known() == nil {
		return
	}
	s.hold(u) // before: a snapshot leaves out what is known beyond need
	u.more.known = nil
	for _, k := range slices.Collect(u.keys) {
		s.leave(k)
		s.enqueue(k)
	}
}
