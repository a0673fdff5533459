package pipeline

import (
	"slices"
	"time"

	"daybook/pipeline/source"
)

// slab is a run of decoded records of one chunk: few enough to lie in a core's
// cache while they are applied and encoded, many enough that handing them over
// costs nothing. Its memory is used again.
type slab struct {
	from, next int64 // offsets, half-open
	pos        int64 // offsets below it are accounted for
	records    []record
	skips      []source.Skip
	at         int  // records below it are applied
	skipped    int  // skips below it are accounted for
	bytes      int  // of the records: keys, values and headers
	ends       bool // its last record ends its batch: it changes what the following ones mean, or is to be alone

	arena    []byte        // holds what the events alias beside the chunk
	first    bool          // of its chunk
	chunk    *source.Chunk // released with this slab, the last one of the chunk; else nil
	logEnd   int64         // when the chunk was fetched
	caughtUp time.Time     // when Kafka said that the log ends with this slab: a turn may keep it waiting for long
	err      error         // what ended the reading behind the records: of the fetch, or a panic
}

// slabBytes bounds the records of a slab: a record may have a megabyte.
const slabBytes = 256 << 10

// reset empties a slab; what it held must not be used any more. Its records are
// emptied by who fills them (record.reset).
func (s *slab) reset(from int64) {
	s.from, s.next, s.pos, s.at, s.skipped, s.bytes = from, from, from, 0, 0, 0
	s.records, s.skips = s.records[:0], s.skips[:0]
	s.ends, s.first, s.chunk, s.logEnd, s.caughtUp, s.err = false, false, nil, 0, time.Time{}, nil
}

// drop lets go of what the records refer to: their memory would keep that of a
// chunk. While records come one after the other the next ones do so.
func (s *slab) drop() {
	clear(s.records[:cap(s.records)])
}

// extend gives the next record, empty.
func (s *slab) extend() *record {
	n := len(s.records)
	if n == cap(s.records) {
		s.records = slices.Grow(s.records, 1)
	}
	s.records = s.records[:n+1]
	r := &s.records[n]
	r.reset()
	return r
}

// left is how many of its records are not applied yet.
func (s *slab) left() int { return len(s.records) - s.at }

// below is how many of those lie below an offset.
func (s *slab) below(until int64) int {
	if s.next <= until {
		return s.left()
	}
	n, _ := slices.BinarySearchFunc(s.records[s.at:], until, func(r record, offset int64) int { return cmp(r.offset, offset) })
	return n
}

// done says whether all of the slab is applied.
func (s *slab) done() bool { return s.at == len(s.records) }

// fill decodes records of a chunk, from the slab's end on, into the slab: at most
// most of them, none behind one that ends its batch, none that is to be alone
// behind another one. It reports whether the chunk's last record is in.
func (d *decoder) fill(s *slab, c *source.Chunk, most int) (last bool) {
	d.json.SwapArena(s.arena[:0])
	i, _ := slices.BinarySearchFunc(c.Records, s.from, func(r source.Record, offset int64) int { return cmp(r.Offset, offset) })
	end := c.Next
	for ; i < len(c.Records); i++ {
		r := &c.Records[i]
		if len(s.records) >= most || s.bytes >= slabBytes || s.ends || len(s.records) > 0 && d.hand.poison.suspects(r.Offset) {
			end = r.Offset
			break
		}
		out := s.extend()
		d.hand.at(ProbeDecode, r.Offset, r.Value)
		d.decode(r, out)
		d.hand.done()
		s.bytes += size(r)
		s.ends = out.control != nil || out.repair != nil || d.hand.poison.suspects(r.Offset)
	}
	s.arena = d.json.SwapArena(nil)
	s.take(c, end)
	return end == c.Next
}

// take adds what lies between the records, up to an offset.
func (s *slab) take(c *source.Chunk, end int64) {
	i, _ := slices.BinarySearchFunc(c.Skips, s.from+1, func(k source.Skip, to int64) int { return cmp(k.To, to) })
	for ; i < len(c.Skips) && c.Skips[i].From < end; i++ {
		k := &c.Skips[i]
		s.skips = append(s.skips, source.Skip{From: max(k.From, s.from), To: min(k.To, end), Why: k.Why})
	}
	s.next = end
}
