package dedupe

import (
	"math/bits"
	"slices"
)

// page is a table of its own for the identities that begin with the same bits. A
// slot has a tag of one byte beside its entry: eight of them are compared at once,
// and nearly always tell that an identity is new without a look at an entry.
type page struct {
	tags    []uint64 // of groups of 8 slots, the first one lowest; a free slot's is 0
	entries []Entry
	used    int
	depth   uint8 // how many leading bits of ID[0] its entries share
	shared  bool  // a View has it, so it is copied before it is written
}

const (
	leastSlots = 8
	pageSlots  = 1024 // then it is split: 33 KB are dealt out in 8 µs
)

const (
	low  = 0x0101010101010101
	high = 0x8080808080808080
)

// newPage makes an empty page; slots is a power of two, at least 8.
func newPage(slots int, depth uint8) *page {
	return &page{tags: make([]uint64, slots/8), entries: make([]Entry, slots), depth: depth}
}

// tagOf gives the tag of an identity in all eight bytes.
func tagOf(id *[2]uint64) uint64 { return (id[0]&0x7f | 0x80) * low }

// group gives the group that an identity is looked for in first.
func (p *page) group(id *[2]uint64) int { return int(id[0]>>7) & (len(p.tags) - 1) }

// equal marks the bytes of a group that equal the tag, and possibly the one above
// such a byte.
func equal(group, tag uint64) uint64 {
	x := group ^ tag
	return (x - low) &^ x & high
}

// find judges an event against the entries.
func (p *page) find(e *Entry, within int64) Verdict {
	verdict, tag := New, tagOf(&e.ID)
	for g := p.group(&e.ID); ; g = (g + 1) & (len(p.tags) - 1) {
		group := p.tags[g]
		for m := equal(group, tag); m != 0; m &= m - 1 {
			o := &p.entries[8*g+bits.TrailingZeros64(m)/8]
			if o.ID != e.ID || o.TimeMs-e.TimeMs > within || e.TimeMs-o.TimeMs > within {
				continue
			}
			if o.Content == e.Content {
				return Repeat
			}
			verdict = Conflict
		}
		if group&high != high {
			return verdict
		}
	}
}

// holds says whether an event is among the entries.
func (p *page) holds(e *Entry) bool {
	tag := tagOf(&e.ID)
	for g := p.group(&e.ID); ; g = (g + 1) & (len(p.tags) - 1) {
		group := p.tags[g]
		for m := equal(group, tag); m != 0; m &= m - 1 {
			if o := &p.entries[8*g+bits.TrailingZeros64(m)/8]; o.ID == e.ID && o.TimeMs == e.TimeMs {
				return true
			}
		}
		if group&high != high {
			return false
		}
	}
}

// free gives the first free slot of a group; 8 if there is none.
func (p *page) free(g int) int { return bits.TrailingZeros64(^p.tags[g]&high) / 8 }

// put takes a free slot for an event.
func (p *page) put(e *Entry) {
	g := p.group(&e.ID)
	for p.tags[g]&high == high {
		g = (g + 1) & (len(p.tags) - 1)
	}
	i := p.free(g)
	p.tags[g] |= tagOf(&e.ID) & (0xff << (8 * i))
	p.entries[8*g+i] = *e
	p.used++
}

// full says whether the page must grow before it takes another entry: at 7/8
// every search still ends soon.
func (p *page) full() bool { return p.used >= len(p.entries)/8*7 }

// each calls f for every entry.
func (p *page) each(f func(*Entry)) {
	for g, group := range p.tags {
		for m := group & high; m != 0; m &= m - 1 {
			f(&p.entries[8*g+bits.TrailingZeros64(m)/8])
		}
	}
}

// since counts the entries at or after a bound.
func (p *page) since(boundMs int64) (n int) {
	p.each(func(e *Entry) {
		if e.TimeMs >= boundMs {
			n++
		}
	})
	return n
}

// resized gives a page of another size with the entries at or after a bound.
func (p *page) resized(slots int, boundMs int64) *page {
	q := newPage(slots, p.depth)
	p.each(func(e *Entry) {
		if e.TimeMs >= boundMs {
			q.put(e)
		}
	})
	return q
}

// upper counts the entries of which the bit after those that the page shares is set.
func (p *page) upper() (n int) {
	p.each(func(e *Entry) { n += int(e.ID[0] << p.depth >> 63) })
	return n
}

// split deals the entries out to two pages by that bit; lower may be the page
// itself. Entries that lie in the group where a search for them begins stay there.
// moved is scratch.
func (p *page) split(lower, upper *page, moved []Entry) []Entry {
	for g, group := range p.tags {
		for m := group & high; m != 0; m &= m - 1 {
			i := bits.TrailingZeros64(m) / 8
			e := &p.entries[8*g+i]
			switch {
			case e.ID[0]<<p.depth>>63 == 1:
				upper.put(e)
			case lower != p:
				lower.put(e)
				continue
			case p.group(&e.ID) != g:
				moved = append(moved, *e)
			default:
				continue
			}
			if lower == p {
				p.tags[g] &^= 0xff << (8 * i)
				p.used--
			}
		}
	}
	for i := range moved {
		lower.put(&moved[i])
	}
	return moved
}

// clone gives a copy that no View has.
func (p *page) clone() *page {
	return &page{tags: slices.Clone(p.tags), entries: slices.Clone(p.entries), used: p.used, depth: p.depth}
}
