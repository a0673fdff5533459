package pipeline

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"daybook/pipeline/dedupe"
	"daybook/pipeline/sessionize"
	"daybook/schemas"
)

// A snapshot is the binary form of a state in a checkpoint. Integers are
// varints, strings have their length first.
//
// Version 2: head (epoch, partition, partitions, position, zone names, open
// ledger blocks, networks), then sections of users and ids in any order, then
// the end with their numbers. Version 1 had users and ids within the networks.
// Readers take this version and the one before (TRUST.md section 2, rolling upgrade).
const (
	snapshotVersion       = 2
	snapshotVersionBefore = 1
)

// errSnapshot means that the bytes are no snapshot that this program can read.
// Their checksum was right (source verifies it), so they are of another
// version or the program is wrong: the caller takes an older one, or starts cold.
var errSnapshot = errors.New("snapshot cannot be read")

// readSnapshot rebuilds a state. It checks lengths and counts, so that bytes
// of another make give errSnapshot and nothing else.
func readSnapshot(rules *Rules, b []byte) (s *state, err error) {
	r := snapshotReader{b: b}
	version := r.byte()
	if version != snapshotVersion && version != snapshotVersionBefore {
		return nil, fmt.Errorf("%w: version %d, want %d or %d", errSnapshot, version, snapshotVersionBefore, snapshotVersion)
	}
	epoch, partition, partitions, pos := r.uint(), r.int(), r.int(), r.int()
	s = newState(rules, uint16(epoch), int32(partition), int32(partitions), pos)
	for range r.count() {
		s.zones.of(r.string())
	}
	for range r.count() {
		l := r.ledger()
		s.ledger[l.Block] = l
	}
	if version == snapshotVersionBefore {
		for range r.count() {
			r.networkV1(s)
		}
	} else {
		r.contents(s)
	}
	if r.bad || len(r.b) > 0 {
		return nil, fmt.Errorf("%w: malformed, or %d bytes too long", errSnapshot, len(r.b))
	}
	s.entered = nil // written before the snapshot
	return s, nil
}

type snapshotWriter struct{ b []byte }

func (w *snapshotWriter) uint(v uint64) { w.b = binary.AppendUvarint(w.b, v) }
func (w *snapshotWriter) int(v int64)   { w.b = binary.AppendVarint(w.b, v) }
func (w *snapshotWriter) string(v string) {
	w.uint(uint64(len(v)))
	w.b = append(w.b, v...)
}

func (w *snapshotWriter) counts(m map[string]uint32) {
	w.uint(uint64(len(m)))
	for k, v := range m {
		w.string(k)
		w.uint(uint64(v))
	}
}

func (w *snapshotWriter) ledger(l *schemas.LedgerRow) {
	w.int(l.Block)
	w.int(int64(l.Size))
	w.int(l.Next)
	w.uint(uint64(l.Accepted))
	w.uint(uint64(l.Duplicate))
	w.uint(uint64(l.Conflicts))
	w.counts(l.NotRecorded)
	w.counts(l.Rejected)
	w.counts(l.Skipped)
}

// head writes what is small and captured at once.
func (w *snapshotWriter) head(s *state) {
	w.b = append(w.b, snapshotVersion)
	w.uint(uint64(s.epoch))
	w.int(int64(s.partition))
	w.int(int64(s.partitions))
	w.int(s.pos)
	w.uint(uint64(len(s.zones.names)))
	for _, z := range s.zones.names {
		w.string(z)
	}
	w.uint(uint64(len(s.ledger)))
	for _, l := range s.ledger {
		w.ledger(l)
	}
}

// network writes a network without its users and ids. Facts are as many as the
// directory has told of: 100 ns each.
func (w *snapshotWriter) network(n *network) {
	w.string(n.id)
	w.control(&n.control)
	w.int(n.greatest)
	w.int(n.horizon)
	w.uint(uint64(n.ids.Len()))
	w.uint(uint64(n.users))
	w.uint(uint64(len(n.facts)))
	for id, f := range n.facts {
		w.string(id)
		w.string(f.zone)
		w.string(f.name)
	}
}

// control writes a setting in its own form; none if no record has made the network.
func (w *snapshotWriter) control(c *schemas.Control) {
	if c.Position < 0 {
		w.uint(0)
		return
	}
	b, err := json.Marshal(c)
	if err != nil {
		panic("invariant: a setting in force cannot be written: " + err.Error()) // it was decoded
	}
	w.uint(uint64(len(b)))
	w.b = append(w.b, b...)
}

// keyImage is what a snapshot holds of a key. An owed key has sessions whose
// newest row was held back when the snapshot was begun.
type keyImage struct {
	device string
	owed   bool
	segs   []sessionize.Segment
}

// user writes a user with keys of his.
func (w *snapshotWriter) user(id string, keys []keyImage) {
	w.string(id)
	w.uint(uint64(len(keys)))
	for _, k := range keys {
		w.string(k.device)
		if k.owed {
			w.b = append(w.b, 1)
		} else {
			w.b = append(w.b, 0)
		}
		w.uint(uint64(len(k.segs)))
		for i := range k.segs {
			w.segment(&k.segs[i])
		}
	}
}

func (w *snapshotWriter) segment(s *sessionize.Segment) {
	w.int(s.First)
	w.int(s.Last() - s.First)
	if signal := s.FirstSignal(); signal == sessionize.NoSignal {
		w.uint(0)
	} else {
		w.uint(uint64(signal-s.First) + 1)
	}
	w.int(s.MinOffset)
	w.uint(uint64(s.Events))
	w.int(int64(s.Gap))
	w.uint(uint64(s.Period))
	w.uint(uint64(s.Zone))
	w.b = append(w.b, byte(s.Class), byte(s.Flags), byte(s.Mark))
}

// snapshotReader reads what snapshotWriter wrote; bad is sticky.
type snapshotReader struct {
	b   []byte
	bad bool
}

func (r *snapshotReader) fail() {
	r.bad, r.b = true, nil
}

func (r *snapshotReader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *snapshotReader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *snapshotReader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *snapshotReader) uint64() uint64 {
	if len(r.b) < 8 {
		r.fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return v
}

// count reads a number of elements of at least one byte each.
func (r *snapshotReader) count() uint64 {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return n
}

// bytes reads a string; the result aliases the snapshot.
func (r *snapshotReader) bytes() []byte {
	n := r.count()
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *snapshotReader) string() string { return string(r.bytes()) }

func (r *snapshotReader) counts() map[string]uint32 {
	m := map[string]uint32{}
	for range r.count() {
		k := r.string()
		m[k] = uint32(r.uint())
	}
	return m
}

func (r *snapshotReader) ledger() *schemas.LedgerRow {
	return &schemas.LedgerRow{
		Block: r.int(), Size: int32(r.int()), Next: r.int(),
		Accepted: uint32(r.uint()), Duplicate: uint32(r.uint()), Conflicts: uint32(r.uint()),
		NotRecorded: r.counts(), Rejected: r.counts(), Skipped: r.counts(),
	}
}

// contents reads networks and sections.
func (r *snapshotReader) contents(s *state) {
	var nets []*network
	for range r.count() {
		nets = append(nets, r.network(s))
	}
	users, ids := uint64(0), uint64(0)
	for !r.bad {
		kind := r.byte()
		if kind == sectionEnd {
			r.bad = r.bad || r.uint() != users || r.uint() != ids
			return
		}
		at := r.uint()
		if at >= uint64(len(nets)) || kind > sectionIDs {
			r.fail()
			return
		}
		if kind == sectionUser {
			r.user(s, nets[at])
			users++
			continue
		}
		for range r.count() {
			nets[at].ids.Add(r.id())
			ids++
		}
	}
}

func (r *snapshotReader) network(s *state) *network {
	n := s.network(r.string())
	if value := r.bytes(); len(value) > 0 {
		var c schemas.Control
		if err := json.Unmarshal(value, &c); err != nil || c.Network != n.id {
			r.fail()
			return n
		}
		n.set(&c)
	}
	n.greatest, n.horizon = r.int(), r.int()
	n.written = n.greatest
	n.ids.Grow(int(r.count()))
	r.count() // of users
	for range r.count() {
		id := r.string()
		n.facts[id] = fact{zone: r.string(), name: r.string()}
	}
	return n
}

func (r *snapshotReader) id() dedupe.Entry {
	return dedupe.Entry{ID: [2]uint64{r.uint64(), r.uint64()}, Content: r.uint64(), TimeMs: r.int()}
}

func (r *snapshotReader) user(s *state, n *network) {
	id := r.bytes()
	for range r.count() {
		k := s.keyOf(n, id, r.bytes())
		owed := r.byte() == 1
		r.segments(s, k)
		if r.bad {
			return
		}
		if owed {
			s.owe(k)
		}
	}
}

func (r *snapshotReader) segments(s *state, k *key) {
	for range r.count() {
		x := r.segment()
		r.bad = r.bad || int(x.Zone) >= len(s.zones.names)
		k.Append(&x)
	}
	if r.bad || len(k.Segs()) == 0 {
		r.fail()
		return
	}
	s.enqueue(k)
}

// networkV1 reads a network of version 1: users and ids within it, nothing owed.
func (r *snapshotReader) networkV1(s *state) {
	n := s.network(r.string())
	c := schemas.Control{Network: n.id, Position: r.int(), Zone: r.string(), Title: r.string(), GapMs: int32(r.int())}
	for range r.count() {
		c.Dark = append(c.Dark, schemas.Dark{FromMs: r.int(), ToMs: r.int()})
	}
	n.set(&c)
	n.greatest, n.horizon = r.int(), r.int()
	n.written = n.greatest
	for range r.count() {
		n.ids.Add(r.id())
	}
	for range r.count() {
		id := r.string()
		n.facts[id] = fact{zone: r.string(), name: r.string()}
	}
	for range r.count() {
		id := r.bytes()
		for range r.count() {
			k := s.keyOf(n, id, r.bytes())
			if r.segments(s, k); r.bad {
				return
			}
		}
	}
}

func (r *snapshotReader) segment() sessionize.Segment {
	x := sessionize.Segment{First: r.int()}
	last, signal := x.First+r.int(), int64(sessionize.NoSignal)
	if d := r.uint(); d > 0 {
		signal = x.First + int64(d-1)
	}
	x.MinOffset, x.Events, x.Gap = r.int(), uint32(r.uint()), int32(r.int())
	x.Period, x.Zone = uint16(r.uint()), uint16(r.uint())
	x.Class, x.Flags, x.Mark = schemas.DeviceClass(r.byte()), schemas.EventFlags(r.byte()), sessionize.Mark(r.byte())
	r.bad = r.bad || !x.SetTimes(last, signal) || x.Events == 0
	return x
}
