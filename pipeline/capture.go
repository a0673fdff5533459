package pipeline

import (
	"encoding/binary"
	"slices"

	"daybook/pipeline/dedupe"
)

// capture is a snapshot of the state as it was at one position, taken while the
// state goes on. The rule is simple: whoever is about to change a user writes
// him down first (hold), and step writes down the others, a few at a time. The
// goroutine of the partition does both; the ids of repeats are a View, which
// another goroutine encodes. So no lock is needed, and consumption never waits
// for more than one step.
type capture struct {
	s      *state
	pos    int64
	number uint32 // of this capture: user.captured says who is written down
	w      snapshotWriter
	nets   []captured
	at     int // nets[at] is being walked
	users  uint64
}

// captured is a network in a capture. Its users are walked from the last to the
// first: one that leaves is replaced by the last one, which was visited before.
type captured struct {
	net  *network
	ids  dedupe.View
	left int
	from int64 // chains that end before are no part of the snapshot: the state holds them beyond what it must
}

// Kinds of the sections that follow the head of a snapshot, in any order; the
// last one ends it.
const (
	sectionEnd = iota
	sectionUser
	sectionIDs
)

// begin starts a capture. Everything that the records below the position did
// must be durable but for rows of open sessions that are held back; their keys
// are owed: until they are written the position must not be committed.
func (s *state) begin() *capture {
	if s.from != s.pos || len(s.expanded) > 0 || s.capture != nil {
		panic("invariant I3: a snapshot of a state with unwritten rows")
	}
	s.captures++
	c := &capture{s: s, pos: s.pos, number: s.captures}
	for _, k := range s.touched {
		k.owed = true
	}
	s.owed = len(s.touched)
	c.w.head(s)
	c.w.uint(uint64(len(s.networks)))
	for _, n := range s.networks {
		c.w.network(n)
		n.captured = len(c.nets)
		c.nets = append(c.nets, captured{net: n, ids: n.ids.View(), left: len(n.list), from: n.horizon - int64(n.control.GapMs)})
	}
	s.capture = c
	return c
}

// hold writes a user down who is about to change.
func (s *state) hold(u *user) {
	if c := s.capture; c != nil && u.captured != c.number {
		c.user(u)
	}
}

// user writes one user down.
func (c *capture) user(u *user) {
	u.captured = c.number
	if len(u.keys) == 0 || u.net.captured >= len(c.nets) || c.nets[u.net.captured].net != u.net {
		return // came after the capture began
	}
	keys := u.keys
	if from := c.nets[u.net.captured].from; u.known != nil {
		if keys = needed(c.s.rules, keys, from); len(keys) == 0 {
			return
		}
	}
	c.users++
	c.w.b = append(c.w.b, sectionUser)
	c.w.uint(uint64(u.net.captured))
	c.w.user(u.id, keys)
}

// needed gives what the state must hold of keys of which it knows more (past.go):
// the chains that do not end before an instant. Nothing of the others is owed,
// since rows of chains that end before the horizon are not held back.
func needed(r *Rules, keys []*key, from int64) []*key {
	var out []*key
	for _, k := range keys {
		part := key{device: k.device, owed: k.owed}
		part.Segs = slices.Clone(k.Segs)
		if part.Leave(r.Session, from) {
			out = append(out, &part)
		}
	}
	return out
}

// step writes down up to n users, and reports whether none is left. The state
// is then free of the capture.
func (c *capture) step(n int) (done bool) {
	for ; c.at < len(c.nets); c.at++ {
		x := &c.nets[c.at]
		for x.left = min(x.left, len(x.net.list)); x.left > 0; n-- {
			if n == 0 {
				return false
			}
			x.left--
			if u := x.net.list[x.left]; u.captured != c.number {
				c.user(u)
			}
		}
	}
	c.s.capture = nil
	return true
}

// take hands over what is written down so far.
func (c *capture) take() []byte {
	b := c.w.b
	c.w.b = make([]byte, 0, cap(b))
	return b
}

// idsPerSection bounds a section of ids: 16 KB.
const idsPerSection = 512

// rest yields what the views hold and the end, in parts; for the goroutine that
// takes the snapshot when step is done.
func (c *capture) rest(yield func([]byte)) {
	var w snapshotWriter
	total, batch := uint64(0), make([]dedupe.Entry, 0, idsPerSection)
	flush := func(net int) {
		if len(batch) == 0 {
			return
		}
		w.b = append(w.b[:0], sectionIDs)
		w.uint(uint64(net))
		w.uint(uint64(len(batch)))
		for i := range batch {
			w.id(&batch[i])
		}
		total += uint64(len(batch))
		batch = batch[:0]
		yield(w.b)
	}
	for net := range c.nets {
		c.nets[net].ids.Each(func(e *dedupe.Entry) {
			if batch = append(batch, *e); len(batch) == cap(batch) {
				flush(net)
			}
		})
		flush(net)
	}
	w.b = append(w.b[:0], sectionEnd)
	w.uint(c.users)
	w.uint(total)
	yield(w.b)
}

func (w *snapshotWriter) id(e *dedupe.Entry) {
	w.b = binary.LittleEndian.AppendUint64(w.b, e.ID[0])
	w.b = binary.LittleEndian.AppendUint64(w.b, e.ID[1])
	w.b = binary.LittleEndian.AppendUint64(w.b, e.Content)
	w.int(e.TimeMs)
}
