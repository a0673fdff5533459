package schemas

import (
	"bytes"
	"hash/maphash"
)

// indexSlots is twice MaxProperties, so that probes stay short.
const indexSlots = 2048

// smallObject is how many names are compared one by one; more go through the
// index. Not measured; a list of 16 is two cache lines of signatures.
const smallObject = 16

// index finds names among many: without it, a record of 1,000 names costs half
// a million comparisons, and a producer could make a worker slow with small
// records. It is open addressing without removal, valid for one record. The
// seed is random, so that nobody can choose names that meet; no verdict depends
// on it.
type index struct {
	seed  maphash.Seed
	slots []uint32 // generation<<10 | place
	gen   uint32
}

// start forgets everything.
func (x *index) start() {
	if x.slots == nil {
		x.seed = maphash.MakeSeed()
		x.slots = make([]uint32, indexSlots)
	}
	if x.gen++; x.gen == 1<<22 {
		clear(x.slots)
		x.gen = 1
	}
}

// slot gives the first slot for text.
func (x *index) slot(text []byte) int {
	return int(maphash.Bytes(x.seed, text) % indexSlots)
}

// at gives the place (below 1,024) in a slot, or -1 if it is free.
func (x *index) at(slot int) int {
	if v := x.slots[slot]; v>>10 == x.gen {
		return int(v & 1023)
	}
	return -1
}

func (x *index) put(slot, place int) {
	x.slots[slot] = x.gen<<10 | uint32(place)
}

// addOpen adds the name at place in open; true if the object that begins at
// base has it already. Places of objects that are closed may be in the way: they
// hold other names by now, or none, so the names themselves decide.
func (s *scanner) addOpen(base, place int) bool {
	text := s.open[place].text
	slot := s.index.slot(text)
	for {
		other := s.index.at(slot)
		if other < 0 {
			s.index.put(slot, place)
			return false
		}
		if other >= base && other < place && bytes.Equal(s.open[other].text, text) {
			return true
		}
		slot = (slot + 1) % indexSlots
	}
}

// repeated says whether the last name of open is another time in the object
// whose names begin at base. met says whether its signature may be among theirs.
func (s *scanner) repeated(base int, met bool) bool {
	last := len(s.open) - 1
	switch before := last - base; {
	case before < smallObject:
		if !met {
			return false
		}
		n := s.open[last]
		for i := range s.open[base:last] {
			if o := &s.open[base+i]; o.sig == n.sig && bytes.Equal(o.text, n.text) {
				return true
			}
		}
		return false
	case before == smallObject:
		if !s.indexed {
			s.index.start()
			s.indexed = true
		}
		for place := base; place < last; place++ {
			s.addOpen(base, place)
		}
	}
	return s.addOpen(base, last)
}

// addMember adds the name of a member; true if another member that was added
// has it.
func (s *scanner) addMember(at int32) bool {
	text := s.members[at].name
	slot := s.index.slot(text)
	for {
		other := s.index.at(slot)
		if other < 0 {
			s.index.put(slot, int(at))
			return false
		}
		if bytes.Equal(s.members[other].name, text) {
			return true
		}
		slot = (slot + 1) % indexSlots
	}
}
