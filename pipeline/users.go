package pipeline

import (
	"hash/maphash"
	"slices"
	"unsafe"

	"daybook/pipeline/sessionize"
)

// users holds the users of a state. Millions of them are open at once, so each
// is one object of 128 bytes (two cache lines) in a page of many, without
// anything that only few users have. A user keeps his place for as long as he is
// in the state. Pages are taken and given back one by one, and the index grows
// one shard at a time: no event waits for all of it.
type users struct {
	pages []*userPage // nil: a page that was given back
	holes []uint32    // numbers of those
	room  []uint32    // numbers of pages with a free place, the last one first; also of some that were given back
	empty int         // pages without a user: one stays
	count int
	index userIndex
	names names
	huge  hugeHeap
}

// userPage is a run of users. What only captures and leaving need lies beside them.
type userPage struct {
	users    [pageUsers]user
	captured [pageUsers]uint32 // number of the last capture that has written the user down
	next     [pageUsers]uint32 // of a queued user: place + queuedAfter of the next one in the bucket; of a free place: number + 1 of the next free one in the page
	free     uint32            // number + 1 of the first free place
	count    int               // users in it
	room     bool              // in users.room
}

const (
	pageUserBits = 9
	pageUsers    = 1 << pageUserBits // 68 KB: cleared in 5 µs
)

// Values of userPage.next for a user.
const (
	notQueued   = iota
	queuedLast  // no one follows in the bucket
	queuedAfter // and more: someone does
)

// user is one user of a network with the keys of his devices. Most have one.
type user struct {
	own     key      // of one device; its name begins with the user's
	net     *network // nil: a free place
	more    *userMore
	at      uint32 // place
	nameLen uint16 // of own.name: the user's part
}

// userMore is what few users have.
type userMore struct {
	keys    []*key              // of further devices
	devices map[string]*key     // likewise, by device; nil while they are few
	known   []sessionize.Window // spans before the horizon of which everything stored is in the state; nil if none
	idsTo   int64               // … and every id before this instant is in past
	turn    uint32              // of past, in which that was read
	noted   int                 // how often he is in past.users: his place cannot be taken meanwhile
}

// page gives the page of a place, and the number in it.
func (t *users) page(at uint32) (*userPage, uint32) {
	return t.pages[at>>pageUserBits], at & (pageUsers - 1)
}

// captured notes that a capture has the user.
func (t *users) captured(u *user, capture uint32) {
	p, i := t.page(u.at)
	p.captured[i] = capture
}

// at gives the user at a place.
func (t *users) at(at uint32) *user {
	p, i := t.page(at)
	return &p.users[i]
}

// find gives a user; nil if there is none. hash is n.hash(id).
func (t *users) find(n *network, hash uint64, id []byte) *user {
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
			if u := t.at(uint32(slot) - 1); u.net == n && u.name() == string(id) {
				return u
			}
		}
	}
}

// add makes a user without keys.
func (t *users) add(n *network, hash uint64, id, device []byte) *user {
	p, i := t.place()
	u := &p.users[i]
	u.net, u.own.user, u.nameLen = n, u, uint16(len(id))
	u.own.name = t.names.keep(id, device)
	t.index.shard(hash).add(uint32(hash), u.at)
	t.count++
	return u
}

// place takes a free place.
func (t *users) place() (*userPage, uint32) {
	for len(t.room) > 0 {
		number := t.room[len(t.room)-1]
		if p := t.pages[number]; p != nil && p.free != 0 {
			i := p.free - 1
			p.free, p.next[i] = p.next[i], notQueued
			p.users[i].at = number<<pageUserBits | i
			if p.count++; p.count == 1 {
				t.empty--
			}
			return p, i
		} else if p != nil {
			p.room = false
		}
		t.room = t.room[:len(t.room)-1]
	}
	p := &userPage{free: 1, room: true}
	for i := range uint32(pageUsers - 1) {
		p.next[i] = i + 2
	}
	number := uint32(len(t.pages))
	if n := len(t.holes); n > 0 {
		number, t.holes = t.holes[n-1], t.holes[:n-1]
		t.pages[number] = p
	} else {
		t.pages = append(t.pages, p)
	}
	t.room = append(t.room, number)
	t.empty++
	if len(t.pages) >= hugeFrom {
		if from, bytes := t.huge.reach(uintptr(unsafe.Pointer(p))); bytes > 0 {
			adviseHuge(from, bytes)
		}
	}
	return t.place()
}

// remove takes out a user without keys. His place becomes free when nothing
// refers to it any more (release).
func (t *users) remove(u *user) {
	hash := u.net.hash([]byte(u.name()))
	t.index.shard(hash).remove(uint32(hash), u.at)
	t.count--
	t.release(u)
}

// release frees the place of a user who was removed, unless the queue or the past
// still refers to it; they call it again.
func (t *users) release(u *user) {
	if u.net == nil || !u.gone() || u.more != nil && u.more.noted > 0 {
		return
	}
	p, i := t.page(u.at)
	if p.next[i] != notQueued {
		return
	}
	number := u.at >> pageUserBits
	*u = user{}
	p.next[i], p.free = p.free, i+1
	p.count--
	switch {
	case p.count == 0 && t.empty > 0:
		t.pages[number], t.holes = nil, append(t.holes, number)
	case p.count == 0:
		t.empty++
	case !p.room:
		p.room, t.room = true, append(t.room, number)
	}
}

// name gives the id of the user.
func (u *user) name() string { return u.own.name[:u.nameLen] }

// gone says whether the user has no keys.
func (u *user) gone() bool { return !u.own.live && (u.more == nil || len(u.more.keys) == 0) }

// known gives the spans before the horizon of which everything stored is in the state.
func (u *user) known() []sessionize.Window {
	if u.more == nil {
		return nil
	}
	return u.more.known
}

// extra gives what few users have, making it if needed.
func (u *user) extra() *userMore {
	if u.more == nil {
		u.more = new(userMore)
	}
	return u.more
}

// keys yields the keys of the user. None may be added or removed meanwhile.
func (u *user) keys(yield func(*key) bool) {
	if u.own.live && !yield(&u.own) || u.more == nil {
		return
	}
	for _, k := range u.more.keys {
		if !yield(k) {
			return
		}
	}
}

// fewDevices is how many keys of a user are looked through one by one. People
// have two or three devices; a client that makes a new id each time has no end.
const fewDevices = 8

// key gives the key of a device; nil if the state holds none.
func (u *user) key(device []byte) *key {
	if u.own.live && u.own.name[u.nameLen:] == string(device) {
		return &u.own
	}
	if u.more == nil {
		return nil
	}
	if u.more.devices != nil {
		return u.more.devices[string(device)]
	}
	for _, k := range u.more.keys {
		if k.name == string(device) {
			return k
		}
	}
	return nil
}

// add puts in the key of a device.
func (t *users) addKey(u *user, device []byte) *key {
	if k := &u.own; !k.live {
		if k.device() != string(device) {
			k.name = t.names.keep([]byte(u.name()), device)
		}
		*k = key{user: u, name: k.name, live: true}
		return k
	}
	m := u.extra()
	k := &key{user: u, name: string(device), live: true}
	m.keys = append(m.keys, k)
	if len(m.keys) == fewDevices {
		m.devices = make(map[string]*key, 2*len(m.keys))
		for _, o := range m.keys {
			m.devices[o.name] = o
		}
	} else if m.devices != nil {
		m.devices[k.name] = k
	}
	return k
}

// removeKey takes out a key.
func (u *user) removeKey(k *key) {
	k.live = false
	if k == &u.own {
		return
	}
	m := u.more
	i, last := slices.Index(m.keys, k), len(m.keys)-1
	m.keys[i], m.keys[last] = m.keys[last], nil
	m.keys = m.keys[:last]
	if m.devices != nil {
		delete(m.devices, k.name)
	}
	u.trim()
}

// trim lets go the memory of what few users have, if it is empty.
func (u *user) trim() {
	if m := u.more; m != nil && len(m.keys) == 0 && m.known == nil && m.noted == 0 {
		u.more = nil
	}
}

// userIndex finds users by the hash of their id, in tables with linear probing:
// 8 bytes a slot, the upper half of which are 32 bits of the hash, the lower half
// the user's place + 1. Nothing else is looked at to grow a table or to find that
// a user is not there. The hash chooses one of many tables, so that none is large.
type userIndex [indexShards]indexShard

const (
	indexShardBits = 8
	indexShards    = 1 << indexShardBits // 40,000 users of 10 million in each: grown in 0.3 ms
)

type indexShard struct {
	slots []uint64
	used  int
}

func (x *userIndex) shard(hash uint64) *indexShard { return &x[hash>>(64-indexShardBits)] }

// add puts in a place.
func (x *indexShard) add(tag, at uint32) {
	if x.used >= len(x.slots)/4*3 {
		old := x.slots
		x.slots = make([]uint64, max(8, 2*len(old)))
		for _, slot := range old {
			if slot != 0 {
				x.put(slot)
			}
		}
	}
	x.put(uint64(tag)<<32 | uint64(at+1))
	x.used++
}

func (x *indexShard) put(slot uint64) {
	mask := uint32(len(x.slots) - 1)
	i := uint32(slot>>32) & mask
	for x.slots[i] != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = slot
}

// remove takes a place out, and closes the gap: what follows moves up as far as
// where it belongs.
func (x *indexShard) remove(tag, at uint32) {
	mask := uint32(len(x.slots) - 1)
	i := tag & mask
	for x.slots[i] != uint64(tag)<<32|uint64(at+1) {
		i = (i + 1) & mask
	}
	for next := (i + 1) & mask; x.slots[next] != 0; next = (next + 1) & mask {
		if home := uint32(x.slots[next]>>32) & mask; (next-home)&mask >= (next-i)&mask {
			x.slots[i], i = x.slots[next], next
		}
	}
	x.slots[i] = 0
	if x.used--; x.used < len(x.slots)/8 && len(x.slots) > 8 {
		old := x.slots
		x.slots = make([]uint64, len(old)/2)
		for _, slot := range old {
			if slot != 0 {
				x.put(slot)
			}
		}
	}
}

// hashSeed is another one in each process, so that nobody can choose ids that
// meet in the index.
var hashSeed = maphash.MakeSeed() //nolint:gochecknoglobals // one for all states of the process

// hash gives the hash of a user's id for the index.
func (n *network) hash(user []byte) uint64 { return maphash.Bytes(hashSeed, user) ^ n.salt }

// names keeps ids, many in one piece of memory. A piece lives as long as one of
// them is in use.
type names struct{ free []byte }

// namesPiece is small, so that a user who stays for long keeps little beside.
const namesPiece = 1 << 10

// keep gives the text of a and b, one behind the other.
func (x *names) keep(a, b []byte) string {
	n := len(a) + len(b)
	switch {
	case n == 0:
		return ""
	case n > cap(x.free)-len(x.free) && n > namesPiece/4:
		return string(a) + string(b)
	case n > cap(x.free)-len(x.free):
		x.free = make([]byte, 0, namesPiece)
	}
	at := len(x.free)
	x.free = append(append(x.free, a...), b...)
	return unsafe.String(&x.free[at], n) // written once
}
