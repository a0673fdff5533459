package pipeline

import (
	"context"
	"errors"
	"time"

	"daybook/pipeline/source"
)

// reader fetches ahead of the state, and decodes what the partition is about to
// apply. Fetching, with what it takes to split and decompress, is a goroutine of its
// own; decoding is not: a record is a dozen lines of memory, and to have another core
// apply it cost a third more CPU than to do both on one.
type reader struct {
	log       Log
	partition int32
	now       func() time.Time
	decoder   *decoder
	most      int            // records of a slab
	out       chan chunkRead // unbuffered: one is fetched ahead, and back-pressure reaches Kafka by itself

	// Of the partition's goroutine.
	hand  chunkRead // the chunk that is being decoded, if any
	pos   int64     // up to which it is
	first bool      // none of it is
	ended bool      // after what a retry does not mend
	free  []*slab   // whose memory may be used again
}

// chunkRead is what a fetch gave.
type chunkRead struct {
	chunk *source.Chunk
	err   error
	at    time.Time
}

// slabsKept is how many slabs are kept for further use.
const slabsKept = 6

func newReader(cfg *Config, log Log, partition int32, d *decoder) *reader {
	return &reader{log: log, partition: partition, now: cfg.Now, decoder: d, most: cfg.SlabRecords, out: make(chan chunkRead)}
}

// fetchPause is how long the next fetch waits when one has brought the last records
// of the log. Producers that let a record wait for 5 ms send 200 batches a second,
// and without a pause each of them would be a fetch (DESIGN.md, Decisions). What comes
// to a log at rest is taken at once. Flushes are 800 ms apart.
const fetchPause = 20 * time.Millisecond

// run fetches from a position on, until ctx ends or after an error that a retry
// does not mend.
func (r *reader) run(ctx context.Context, pos int64) {
	for {
		c, err := r.log.Fetch(ctx, r.partition, pos)
		var pause <-chan time.Time
		if err == nil {
			if c.Next > pos && c.Next >= c.LastStable {
				pause = time.After(fetchPause)
			}
			pos = c.Next // before it is handed over: its owner may release it at once
		}
		select {
		case r.out <- chunkRead{c, err, r.now()}:
		case <-ctx.Done():
			return
		}
		if err != nil && !errors.Is(err, source.ErrTransient) {
			return
		}
		if pause == nil {
			continue
		}
		select {
		case <-pause:
		case <-ctx.Done():
			return
		}
	}
}

// fetched gives where the next chunk comes from; nil while one is in hand, and
// after the last.
func (r *reader) fetched() <-chan chunkRead {
	if r.hand.chunk != nil || r.ended {
		return nil
	}
	return r.out
}

// begin takes a chunk in hand and gives its first slab, or the error of the fetch as a
// slab of its own.
func (r *reader) begin(c chunkRead) *slab {
	if c.err != nil {
		s := r.slab(r.pos)
		s.err, r.ended = c.err, !errors.Is(c.err, source.ErrTransient)
		return s
	}
	r.hand, r.first = c, true
	return r.next()
}

// next gives the next slab of the chunk in hand, nil without one.
func (r *reader) next() *slab {
	c := r.hand.chunk
	if c == nil {
		return nil
	}
	s := r.slab(r.pos)
	s.first, s.logEnd, r.first = r.first, c.LastStable, false
	last := r.decode(s, c)
	if last {
		if s.chunk = c; c.Next >= s.logEnd {
			s.caughtUp = r.hand.at
		}
	}
	if r.ended = s.err != nil; last || r.ended {
		r.hand = chunkRead{}
	}
	r.pos = s.next
	return s
}

// decode fills a slab. A record that panics the decoder ends it: what lies before
// stays good.
func (r *reader) decode(s *slab, c *source.Chunk) (last bool) {
	hand := &r.decoder.hand
	hand.done()
	defer func() {
		if !hand.blames() {
			return
		}
		if v := recover(); v != nil {
			s.err, last = hand.blame(v), false
			s.records = s.records[:len(s.records)-1]
			s.take(c, hand.offset)
		}
	}()
	return r.decoder.fill(s, c, r.most)
}

// slab gives an empty slab, the one that was used last: it is likeliest to be in the
// core's cache.
func (r *reader) slab(from int64) *slab {
	s := new(slab)
	if n := len(r.free); n > 0 {
		s, r.free[n-1] = r.free[n-1], nil
		r.free = r.free[:n-1]
	}
	s.reset(from)
	return s
}

// release takes a slab back, and its chunk.
func (r *reader) release(s *slab) {
	if s.chunk != nil {
		s.chunk.Release()
		s.chunk = nil
	}
	if !s.caughtUp.IsZero() {
		s.drop() // there may be nothing to read for long
	}
	if len(r.free) < slabsKept {
		r.free = append(r.free, s)
	}
}
