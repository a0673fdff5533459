package pipeline

import (
	"context"
	"errors"
	"time"

	"daybook/pipeline/source"
)

// reader fetches and decodes, ahead of the state. The next chunk is fetched while
// one is decoded.
type reader struct {
	log       Log
	partition int32
	now       func() time.Time
	decoder   *decoder
	most      int            // records of a slab
	out       chan *slab     // bounded: back-pressure reaches Kafka by itself
	free      chan *slab     // slabs whose memory may be used again
	ahead     chan chunkRead // answer of the fetch under way
}

// chunkRead is what a fetch gave.
type chunkRead struct {
	chunk *source.Chunk
	err   error
	at    time.Time
}

// slabsAhead bounds what is decoded ahead of the state, slabsKept what is kept of
// slabs for further use: few, so that one is still in a cache when it is applied,
// and when it is filled again.
const (
	slabsAhead = 4
	slabsKept  = 6
)

func newReader(cfg *Config, log Log, partition int32, d *decoder) *reader {
	return &reader{
		log: log, partition: partition, now: cfg.Now, decoder: d, most: cfg.SlabRecords,
		out: make(chan *slab, slabsAhead), free: make(chan *slab, slabsKept), ahead: make(chan chunkRead, 1),
	}
}

// run hands over slabs from a position on, until ctx ends or after one with an
// error that a retry does not mend.
func (r *reader) run(ctx context.Context, pos int64) {
	r.fetch(ctx, pos)
	for c := <-r.ahead; ; {
		if c.err != nil {
			s := r.slab(pos)
			s.err = c.err
			if !r.send(ctx, s) || !errors.Is(c.err, source.ErrTransient) {
				return
			}
			r.fetch(ctx, pos)
			c = <-r.ahead
			continue
		}
		end := c.chunk.Next // before it is handed over: its owner may release it at once
		next, ok := r.chunk(ctx, c, pos)
		if !ok {
			return
		}
		pos, c = end, next
	}
}

// fetch begins to fetch from a position on.
func (r *reader) fetch(ctx context.Context, pos int64) {
	go func() {
		c, err := r.log.Fetch(ctx, r.partition, pos)
		r.ahead <- chunkRead{c, err, r.now()}
	}()
}

// chunk hands a chunk over, slab by slab, and gives the answer to the fetch of
// what follows it.
func (r *reader) chunk(ctx context.Context, c chunkRead, pos int64) (next chunkRead, ok bool) {
	end := c.chunk.Next
	r.fetch(ctx, end)
	for first, last := true, false; !last; first = false {
		s := r.slab(pos)
		s.first, s.logEnd = first, c.chunk.LastStable
		last = r.decode(s, c.chunk)
		arrived := false
		if last {
			if s.chunk = c.chunk; end >= s.logEnd {
				s.caughtUp = c.at
			}
			select {
			case next = <-r.ahead:
				arrived = true
			default:
			}
		}
		s.more = s.err == nil && (!last || arrived)
		pos = s.next
		if failed := s.err != nil; !r.send(ctx, s) || failed {
			if !arrived {
				<-r.ahead
			}
			return next, false
		}
		if last && !arrived {
			next = <-r.ahead
		}
	}
	return next, true
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

// slab gives an empty slab.
func (r *reader) slab(from int64) *slab {
	var s *slab
	select {
	case s = <-r.free:
	default:
		s = new(slab)
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
	select {
	case r.free <- s:
	default:
	}
}

func (r *reader) send(ctx context.Context, s *slab) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case r.out <- s:
		return true
	case <-ctx.Done():
		return false
	}
}
