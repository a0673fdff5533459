// Package dedupe recognises repeats: records whose accepted predecessor has
// the same identity (network, user, source, id) and a time within one hour
// (ARCHITECTURE.md section 4.6). It is a pure stage, owned by the goroutine of
// one partition; a set belongs to one network.
package dedupe

import (
	"math"
	"math/bits"
	"unsafe"
)

// Verdict says what a record is to those accepted before it.
type Verdict uint8

// The verdicts.
const (
	New      Verdict = iota
	Repeat           // same identity, same content
	Conflict         // same identity, other content: a repeat all the same, counted apart
)

// Entry is one accepted event. An identity may have several, more than an hour apart.
type Entry struct {
	ID      [2]uint64 // schemas.EventIdentity
	TimeMs  int64     // event time
	Content uint64    // schemas.ContentHash
}

// Set is a multimap from identity to accepted events, without pointers into
// them. It is many tables: the first bits of an identity choose its page, and a
// page that is full is split in two, so that no event ever waits for all of them
// to grow. A View keeps pages while the set goes on changing.
type Set struct {
	dir    []*page // by the first bits of ID[0]; a page of fewer bits is there several times
	used   int
	within int64   // ms; two events of one identity at most this far apart are one
	moved  []Entry // scratch of split

	// Forgetting.
	least int // so few are never
	due   int // number of entries beyond which a pass is worth it
	added int // since Forget was called last
	at    int // place in dir of the pass under way
	pass  bool
}

// NewSet makes an empty set; withinMs is the span of ARCHITECTURE.md section
// 4.6: one hour. Up to least entries are never worth a pass of Forget.
func NewSet(withinMs int64, least int) *Set {
	return &Set{dir: []*page{newPage(leastSlots, 0)}, within: withinMs, least: least}
}

// Len gives the number of entries.
func (s *Set) Len() int { return s.used }

// Bytes gives the memory of the entries.
func (s *Set) Bytes() (n int) {
	for p := range s.pages {
		n += len(p.entries) * (int(unsafe.Sizeof(Entry{})) + 1)
	}
	return n + len(s.dir)*int(unsafe.Sizeof(s.dir[0])+unsafe.Sizeof(page{}))
}

// bits gives how many bits of an identity choose the page.
func (s *Set) bits() uint8 { return uint8(bits.TrailingZeros(uint(len(s.dir)))) }

// place gives where the page of an identity is in dir.
func (s *Set) place(id *[2]uint64) int { return int(id[0] >> 1 >> (63 - s.bits())) }

// copies gives how often a page is in dir, one after the other.
func (s *Set) copies(p *page) int { return len(s.dir) >> p.depth }

// pages yields every page once.
func (s *Set) pages(yield func(*page) bool) {
	for at := 0; at < len(s.dir); at += s.copies(s.dir[at]) {
		if !yield(s.dir[at]) {
			return
		}
	}
}

// Touch brings what Find and Add of an identity look at into the cache, in three
// steps from 0 on. Called for many identities before the next step, it lets the
// processor wait for all of them at once. The result must be used, or nothing is
// read.
func (s *Set) Touch(id *[2]uint64, step int) uint64 {
	p := s.dir[s.place(id)]
	if step == 0 {
		return uint64(p.used)
	}
	g := p.group(id)
	if step == 1 {
		return p.tags[g]
	}
	return p.entries[8*g+p.free(g)&7].Content
}

// Find judges an event against the entries. Two of them may lie within the
// span, one to either side; one with the same content makes it a repeat, so
// that the verdict does not depend on the order in the table.
func (s *Set) Find(e *Entry) Verdict { return s.dir[s.place(&e.ID)].find(e, s.within) }

// Add puts an accepted event in. The same event may be added again (it
// re-entered from the stored events): that changes nothing.
func (s *Set) Add(e Entry) {
	p := s.dir[s.place(&e.ID)]
	if p.holds(&e) {
		return
	}
	for p.full() {
		s.grow(p, &e.ID)
		p = s.dir[s.place(&e.ID)]
	}
	if p.shared {
		p = s.replace(s.place(&e.ID), p.clone())
	}
	p.put(&e)
	s.used++
	s.added++
}

// replace puts a page where the one of the same bits is.
func (s *Set) replace(at int, p *page) *page {
	n := s.copies(p)
	at -= at % n
	for i := range n {
		s.dir[at+i] = p
	}
	return p
}

// grow makes room on a page: it is doubled while it is small, then split. A page
// that would hardly be halved is doubled too: many of its entries are of one
// identity.
func (s *Set) grow(p *page, id *[2]uint64) {
	if len(p.entries) >= pageSlots && p.depth < 63 {
		if upper := p.upper(); min(upper, p.used-upper) > p.used/8 {
			s.split(p, id)
			return
		}
	}
	s.replace(s.place(id), p.resized(2*len(p.entries), math.MinInt64))
}

// split deals the entries of the page of an identity out to two.
func (s *Set) split(p *page, id *[2]uint64) {
	if s.copies(p) == 1 { // the directory is too short to tell the two apart
		dir := make([]*page, 0, 2*len(s.dir))
		for _, q := range s.dir {
			dir = append(dir, q, q)
		}
		s.dir, s.at = dir, 2*s.at
	}
	lower, upper := p, newPage(len(p.entries), p.depth+1)
	if p.shared {
		lower = newPage(len(p.entries), p.depth)
	}
	s.moved = p.split(lower, upper, s.moved[:0])
	lower.depth++
	at, n := s.place(id), s.copies(upper)
	at -= at % (2 * n)
	s.replace(at, lower)
	s.replace(at+n, upper)
}

// Grow makes room for n entries at once in an empty set.
func (s *Set) Grow(n int) {
	if s.used > 0 || n < leastSlots/2 {
		return
	}
	slots, pages, depth := leastSlots, 1, uint8(0)
	for ; slots < pageSlots && slots/8*7 <= n; slots *= 2 {
	}
	for ; pages*pageSlots/4*3 < n; pages *= 2 { // a quarter is room for chance
		depth++
	}
	s.dir = make([]*page, pages)
	for i := range s.dir {
		s.dir[i] = newPage(slots, depth)
	}
}

// Forget drops entries before the bound (ms) if there are half as many again as
// the last pass left, so that it costs an entry the same however large the set
// is. A call goes over a part of the pages; the pass ends before as many have
// come as it found. An entry that stays longer changes no verdict, because
// repeats are judged by time.
func (s *Set) Forget(boundMs int64) {
	if !s.pass && s.used <= max(s.due, s.least) {
		s.added = 0
		return
	}
	s.forget(boundMs, max(forgetAtOnce, s.used/forgetParts, forgetPace*s.added))
}

// How many entries a call of Forget looks at.
const (
	forgetAtOnce = 16 * pageSlots // 0.1 ms
	forgetParts  = 32
	forgetPace   = 4 // for each that was added since the last call
)

// ForgetAll drops all entries before the bound (ms).
func (s *Set) ForgetAll(boundMs int64) {
	s.pass, s.at = false, 0
	s.forget(boundMs, math.MaxInt)
}

// forget goes on with a pass until it has looked at so many entries.
func (s *Set) forget(boundMs int64, entries int) {
	if !s.pass {
		s.pass, s.at = true, 0
	}
	s.added = 0
	for ; s.at < len(s.dir) && entries > 0; s.at += s.copies(s.dir[s.at]) {
		p := s.dir[s.at]
		entries -= max(p.used, 1)
		kept := p.since(boundMs)
		if kept < p.used {
			s.used -= p.used - kept
			slots := leastSlots
			for ; slots/2 < kept; slots *= 2 {
			}
			if p.depth > 0 { // small pages are united instead
				slots = max(slots, pageSlots)
			}
			p = s.replace(s.at, p.resized(slots, boundMs))
		}
		s.unite(p)
	}
	if s.at >= len(s.dir) {
		s.pass, s.due = false, s.used+s.used/2
		s.shorten()
	}
}

// shorten drops bits of the directory that no page needs.
func (s *Set) shorten() {
	deepest := uint8(0)
	for p := range s.pages {
		deepest = max(deepest, p.depth)
	}
	if every := 1 << (s.bits() - deepest); every > 1 {
		dir := make([]*page, 0, len(s.dir)/every)
		for at := 0; at < len(s.dir); at += every {
			dir = append(dir, s.dir[at])
		}
		s.dir = dir
	}
}

// unite joins the page at which the pass is with the one before it as long as the
// two are halves of one and half empty together.
func (s *Set) unite(p *page) {
	for p.depth > 0 {
		n := s.copies(p)
		at := s.at - s.at%n
		if at/n%2 == 0 {
			return // the upper half comes next
		}
		q := s.dir[at-n]
		if q.depth != p.depth || p.used+q.used > pageSlots/2 {
			return
		}
		slots := pageSlots
		if p.depth == 1 {
			for slots = leastSlots; slots/2 < p.used+q.used; slots *= 2 {
			}
		}
		u := newPage(slots, p.depth-1)
		p.each(u.put)
		q.each(u.put)
		s.at = at - n
		p = s.replace(s.at, u)
	}
}

// Each calls f for every entry, in no particular order.
func (s *Set) Each(f func(*Entry)) {
	for p := range s.pages {
		p.each(f)
	}
}

// View is what a set held at one moment. It can be read while the set goes on,
// by another goroutine, too.
type View struct {
	pages []*page
	used  int
}

// View keeps what the set holds now: no entry is copied until its page changes.
func (s *Set) View() View {
	v := View{used: s.used}
	for p := range s.pages {
		p.shared = true
		v.pages = append(v.pages, p)
	}
	return v
}

// Len gives the number of entries.
func (v View) Len() int { return v.used }

// Each calls f for every entry, in no particular order.
func (v View) Each(f func(*Entry)) {
	for _, p := range v.pages {
		p.each(f)
	}
}
