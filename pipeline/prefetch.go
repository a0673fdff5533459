package pipeline

import (
	"daybook/pipeline/dedupe"
	"daybook/schemas"
)

// lookup is where the state is looked into for an event: computed once, before.
type lookup struct {
	net   *network // nil: not computed
	user  uint64   // hash of the user
	id    dedupe.Entry
	first *user // who may be the user; of prefetch
}

// prefetchRun is for how many records at a time memory is brought into the cache:
// 7 lines of 64 bytes each, so that all of them fit the first level.
const prefetchRun = 64

// prefetch brings what the events of some records will look at into the cache.
// With millions of sessions open each event waits for memory several times, one
// after the other; in a loop that does nothing else the processor waits for many
// events at once. The records may be applied without it: slower, never different.
func (s *state) prefetch(records []record) {
	ready := s.ready[:0]
	for i := range records {
		r := &records[i]
		if r.control != nil || r.repair != nil || r.aside != nil || r.reject.Reason != schemas.Accepted {
			continue
		}
		if n := s.find(r.event.Network); n.known() {
			s.look(n, r)
			ready = append(ready, &r.lookup)
		}
	}
	sum := uint64(0)
	for _, l := range ready {
		sum += l.net.ids.Touch(&l.id.ID, 0) + s.users.index.touch(l.user)
	}
	for _, l := range ready {
		sum += l.net.ids.Touch(&l.id.ID, 1)
		if l.first = s.users.first(l.user); l.first != nil {
			sum += uint64(l.first.at) + uint64(len(l.first.own.name)) // one in each of its lines
		}
	}
	for _, l := range ready {
		sum += l.net.ids.Touch(&l.id.ID, 2)
		if l.first != nil && l.first.own.name != "" {
			sum += uint64(l.first.own.name[0])
		}
	}
	s.fetched += sum // else the compiler would leave it all out
	s.ready = ready
}

// prefetchKeys does so with keys that a flush looks at.
func (s *state) prefetchKeys(keys []*key) {
	sum := uint64(0)
	for _, k := range keys {
		sum += uint64(k.list) + uint64(len(k.Segs())) // one in each of their lines
	}
	s.fetched += sum
}

// look computes where an event is looked up.
func (s *state) look(n *network, r *record) {
	r.lookup = lookup{net: n, user: n.hash(r.event.User), id: dedupe.Entry{
		ID: schemas.EventIdentity(&r.event), TimeMs: r.timeMs, Content: schemas.ContentHash(&r.event),
	}}
}

// first gives a user who may be the one with this hash, without looking at him.
func (t *users) first(hash uint64) *user {
	shard := t.index.shard(hash)
	if len(shard.slots) == 0 {
		return nil
	}
	tag, mask := uint32(hash), uint32(len(shard.slots)-1)
	for i := tag & mask; ; i = (i + 1) & mask {
		switch slot := shard.slots[i]; {
		case slot == 0:
			return nil
		case uint32(slot>>32) == tag:
			return t.at(uint32(slot) - 1)
		}
	}
}

// touch reads the slot at which the search for a hash begins.
func (x *userIndex) touch(hash uint64) uint64 {
	shard := x.shard(hash)
	if len(shard.slots) == 0 {
		return 0
	}
	return shard.slots[uint32(hash)&uint32(len(shard.slots)-1)]
}
