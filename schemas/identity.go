package schemas

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"
)

// identityBytes holds the encoding of an identity on the stack: network 64,
// user and id 256 each, source or device up to 400 and the lengths. A longer
// source or device costs one allocation, not correctness.
const identityBytes = 1024

// SessionID is the identity of a presence session: a function of its key and
// its first event's millisecond, so that a replay finds the same rows
// (ARCHITECTURE.md section 4.1). It is XXH3-128 over the parts, each behind its
// length, so that no two keys share an encoding. The encoding is part of what
// is stored: it must never change.
func SessionID(network, user, device string, startMs int64) [16]byte {
	var stack [identityBytes]byte
	b := appendPart(stack[:0], network)
	b = appendPart(b, user)
	b = appendPart(b, device)
	b = binary.BigEndian.AppendUint64(b, uint64(startMs))
	return xxh3.Hash128(b).Bytes()
}

// EventIdentity is what a repeat is recognised by, without the time
// (ARCHITECTURE.md section 4.6): XXH3-128 over network, user, source and id,
// each behind its length.
func EventIdentity(ev *Event) [2]uint64 {
	if 4*4+len(ev.Network)+len(ev.User)+len(ev.Source)+len(ev.ID) > usualBytes {
		return IdentityOf(ev.Network, ev.User, ev.Source, ev.ID)
	}
	var b [usualBytes]byte
	n := putPart(&b, 0, ev.Network)
	n = putPart(&b, n, ev.User)
	n = putPart(&b, n, ev.Source)
	n = putPart(&b, n, ev.ID)
	h := xxh3.Hash128(b[:n])
	return [2]uint64{h.Hi, h.Lo}
}

// usualBytes is enough for the identities of most events. To clear as much as
// identityBytes costs more than the hash.
const usualBytes = 128

// putPart is appendPart in place.
func putPart(b *[usualBytes]byte, n int, part []byte) int {
	binary.BigEndian.PutUint32(b[n:], uint32(len(part)))
	return n + 4 + copy(b[n+4:], part)
}

// IdentityOf is EventIdentity of the parts; a stored event gives the same.
func IdentityOf[T string | []byte](network, user, source, id T) [2]uint64 {
	var stack [identityBytes]byte
	b := appendPart(stack[:0], network)
	b = appendPart(b, user)
	b = appendPart(b, source)
	b = appendPart(b, id)
	h := xxh3.Hash128(b)
	return [2]uint64{h.Hi, h.Lo}
}

func appendPart[T string | []byte](b []byte, part T) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
	return append(b, part...)
}

// ContentHash stands for everything that an event says beside its identity and
// its times (id, source, network, user, time, received): two records of one
// identity with different hashes are a conflict (ARCHITECTURE.md section 4.6).
// An absent field and an empty one are equal. What FillLabels wrote does not
// count, so that a change of the activity registry makes no conflicts. Props
// count as written: white space and order matter.
func ContentHash(ev *Event) uint64 {
	// Each step seeds the next one, so that a text that moves from one field to
	// the next changes the hash. The chain is what it costs: a way of its own for
	// absent fields was not faster.
	h := xxh3.HashSeed(ev.Type, uint64(ev.DeviceClass)+1)
	h = xxh3.HashSeed(ev.own(ev.Category, FilledCategory), h)
	h = xxh3.HashSeed(ev.own(ev.Action, FilledAction), h)
	h = xxh3.HashSeed(ev.own(ev.Label, FilledLabel), h)
	h = xxh3.HashSeed(ev.DeviceID, h)
	h = xxh3.HashSeed(ev.ContentID, h)
	h = xxh3.HashSeed(ev.ContentName, h)
	h = xxh3.HashSeed(ev.ContentSlug, h)
	h = xxh3.HashSeed(ev.Zone, h)
	h = xxh3.HashSeed(ev.UserAgent, h)
	h = xxh3.HashSeed(ev.URL, h)
	return xxh3.HashSeed(ev.Props, h)
}

// own gives a cell unless FillLabels wrote it.
func (ev *Event) own(cell []byte, bit Filled) []byte {
	if ev.Filled&bit != 0 {
		return nil
	}
	return cell
}
