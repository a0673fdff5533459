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
	number uint32 // of this capture: userPage.captured says who is written down
	w      snapshotWriter
	nets   []captured
	at     uint32 // place of the next user to be looked at
	end    uint32 // places from here on are of users who came later
	users  uint64
	keys   []keyImage // of one user
}

// captured is a network in a capture.
type captured struct {
	net  *network
	ids  dedupe.View
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
	c := &capture{s: s, pos: s.pos, number: s.captures, end: uint32(len(s.users.pages)) << pageUserBits}
	s.owed = s.touched
	c.w.head(s)
	c.w.uint(uint64(len(s.networks)))
	for _, n := range s.order {
		c.w.network(n)
		n.captured = len(c.nets)
		c.nets = append(c.nets, captured{net: n, ids: n.ids.View(), from: n.horizon - int64(n.control.GapMs)})
	}
	s.capture = c
	return c
}

// hold writes a user down who is about to change.
func (s *state) hold(u *user) {
	if c := s.capture; c != nil {
		if p, i := s.users.page(u.at); p.captured[i] != c.number {
			c.user(u)
		}
	}
}

// user writes one user down. Of users of whom more is known (past.go) only what
// the state must hold is written: the chains that do not end before an instant.
// Nothing of the others is owed, since rows of chains that end before the horizon
// are not held back.
func (c *capture) user(u *user) {
	c.s.users.captured(u, c.number)
	if u.gone() || u.net.captured >= len(c.nets) || c.nets[u.net.captured].net != u.net {
		return // came after the capture began
	}
	c.keys = c.keys[:0]
	for k := range u.keys {
		image := keyImage{device: k.device(), owed: c.s.owes(k), segs: k.Segs()}
		if u.known() != nil {
			part := k.Clone()
			if !part.Leave(c.s.rules.Session, c.nets[u.net.captured].from) {
				continue
			}
			image.segs = slices.Clone(part.Segs())
		}
		c.keys = append(c.keys, image)
	}
	if len(c.keys) == 0 {
		return
	}
	c.users++
	c.w.b = append(c.w.b, sectionUser)
	c.w.uint(uint64(u.net.captured))
	c.w.user(u.name(), c.keys)
}

// step writes down up to n users, and reports whether none is left. The state
// is then free of the capture. Users keep their places, so each that was there
// when the capture began is met, unless he has left: then he was written down before.
func (c *capture) step(n int) (done bool) {
	for ; c.at < c.end; c.at++ {
		p, i := c.s.users.page(c.at)
		if p == nil {
			c.at |= pageUsers - 1
			continue
		}
		u := &p.users[i]
		if u.net == nil || p.captured[i] == c.number {
			continue
		}
		if n == 0 {
			return false
		}
		n--
		c.user(u)
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

// size estimates the bytes of the packed snapshot: an id has 24 bytes that nothing
// compresses and its time, of a user little is left. An eighth more than was
// measured, since a buffer that is a little too small is made and copied twice.
func (c *capture) size() int {
	n := len(c.w.b) + 1<<10
	for i := range c.nets {
		n += 29*c.nets[i].ids.Len() + 8*c.nets[i].net.users
	}
	return n + n/8
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
