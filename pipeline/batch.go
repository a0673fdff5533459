package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"time"

	"daybook/pipeline/source"
	"daybook/schemas"
)

// batch is what one flush will make durable: records that are applied already,
// and whose rows are in the form that storage takes. Or, where some of its
// records need stored events, records that wait in the partition's queue until
// all of them can be read back for at once.
type batch struct {
	from     int64 // first offset
	records  int   // applied
	bytes    int   // of their keys, values and headers
	gathers  bool  // records wait in the queue
	full     bool  // nothing may be added
	overdue  bool  // it has waited for long enough
	readBack bool  // stored events were read for it
	begun    time.Time
	asides   []schemas.SetAside // of its control records

	rows     schemas.Rows // nil if none
	accepted int
	rejected []schemas.Reason
}

// What waits to be read back for is bounded: it is held as decoded records, half
// a kilobyte each.
const (
	gatherRecords = 50_000
	gatherBytes   = 32 << 20
)

// leastBatchBytes is the share of Config.BatchBytes that a partition gets at least,
// however many of them there are.
const leastBatchBytes = 2 << 20

// newBatch begins the next batch where the state ends. What follows on late
// records is likely to be late, too: it gathers at once.
func (p *partition) newBatch() {
	p.batch = batch{from: p.state.pos, gathers: p.batch.readBack, rejected: p.batch.rejected[:0]}
}

// received notes what a slab says about the log and queues it.
func (p *partition) received(s *slab) error {
	if s.from != p.taken {
		panic("invariant I7: the log was read with a hole")
	}
	p.taken = s.next
	if errors.Is(s.err, source.ErrTransient) {
		p.caughtUp = time.Time{}
		p.logger.Warn("fetch failed, trying again", slog.String("error", s.err.Error()))
		p.reader.release(s)
		return nil
	}
	p.queue = append(p.queue, s)
	if !s.first {
		return nil
	}
	return p.cfg.Failpoint(PointFetched)
}

// advance applies what is queued as far as the batch in hand may go.
func (p *partition) advance() error {
	for !p.batch.gathers && !p.batch.full && len(p.queue) > 0 {
		stopped, err := p.take(math.MaxInt64)
		if err != nil {
			return err
		}
		if stopped { // what lies before it must be durable before stored events are read for it
			p.batch.gathers, p.batch.full = p.batch.records == 0, p.batch.records > 0
			p.batch.readBack = true
		}
	}
	if p.batch.gathers {
		_, p.batch.full = p.gathered()
	}
	return nil
}

// take applies records of the slab at the head of the queue, those below an offset,
// as many as the batch may take, and encodes the rows of what they decided at
// once, while they are in the cache. It lets the slab go when it is done.
func (p *partition) take(until int64) (stopped bool, err error) {
	s, b := p.queue[0], &p.batch
	if b.records == 0 && !b.gathers {
		b.begun = p.cfg.Now()
	}
	for more := true; more; more = !s.done() && !b.full && !stopped && s.records[s.at].offset < until {
		most := min(p.pace.limit-b.records, s.below(until))
		if p.poison.watches() && !s.done() {
			if b.full = p.poison.cuts(b.from, b.records, s.records[s.at].offset); b.full {
				break
			}
			most = min(most, 1)
		}
		at := s.at
		if stopped, err = p.state.advance(s, most); err != nil {
			p.broken = true // applied in part
			return false, err
		}
		b.count(s, at)
		b.full = b.records >= p.pace.limit || b.bytes >= p.batchBytes || s.ends && s.done()
	}
	p.encode()
	if s.done() && !stopped {
		return false, p.finish(s)
	}
	return stopped, nil
}

// count takes note of the records of a slab that were applied from a mark on.
func (b *batch) count(s *slab, from int) {
	for i := from; i < s.at; i++ {
		if a := s.records[i].aside; a != nil {
			b.asides = append(b.asides, *a)
		}
	}
	b.records += s.at - from
	if n := len(s.records); n > 0 {
		b.bytes += s.bytes * (s.at - from) / n
	}
}

// encode adds the rows of the records that were applied last.
func (p *partition) encode() {
	f, b := p.state.takeRows(p.cfg.Topic), &p.batch
	if len(f.Events)+len(f.Rejects)+len(f.Settings)+len(f.UserFacts) == 0 {
		return
	}
	if b.rows == nil {
		b.rows = p.store.NewRows()
	}
	b.rows.Add(f)
	b.accepted += len(f.Events)
	for i := range f.Rejects {
		b.rejected = append(b.rejected, f.Rejects[i].Reason)
	}
}

// finish lets go of the slab at the head of the queue, all of which is applied.
func (p *partition) finish(s *slab) error {
	if s.err != nil {
		if p.batch.full = p.batch.records > 0; p.batch.full {
			return nil // what lies before it is made durable first
		}
		return p.failed(s.err)
	}
	if n := len(s.records); n > 0 {
		p.lastRead = s.records[n-1].recordMs
	}
	p.logEnd, p.caughtUp = s.logEnd, s.caughtUp
	p.reader.release(s)
	n := copy(p.queue, p.queue[1:])
	p.queue[n] = nil
	p.queue = p.queue[:n]
	return nil
}

// failed judges what ended the reading.
func (p *partition) failed(err error) error {
	var gone *source.OffsetOutOfRangeError
	var damaged *source.BatchError
	switch {
	case errors.As(err, &gone):
		return &HaltError{p.id, err.Error(), "retention took unread records, or the topic is another one: raise its retention, or start a new epoch with daybook migrate --new-epoch"}
	case errors.As(err, &damaged):
		return &HaltError{p.id, err.Error(), "restore the broker's log"}
	}
	p.broken = p.broken || isPanic(err)
	return err
}

// gathered gives the offset up to which what waits in the queue makes one batch,
// and whether nothing more may be added to it.
func (p *partition) gathered() (until int64, full bool) {
	until = p.state.pos
	records, bytes, limit := 0, 0, min(p.pace.limit, gatherRecords)
	for _, s := range p.queue {
		if p.poison.watches() {
			for i := s.at; i < len(s.records); i++ {
				if offset := s.records[i].offset; p.poison.cuts(p.batch.from, records+i-s.at, offset) {
					return offset, true
				}
			}
		}
		if left := limit - records; s.left() > left {
			return s.records[s.at+left].offset, true
		}
		until, records, bytes = s.next, records+s.left(), bytes+s.bytes
		if s.ends || s.err != nil || records == limit || bytes >= min(p.batchBytes, gatherBytes) {
			return until, true
		}
	}
	return until, false
}

// reenter reads back, at once, for all records that wait, and applies them. Every
// earlier flush is durable.
func (p *partition) reenter(ctx context.Context) error {
	p.batch.begun = p.cfg.Now()
	p.state.storedRows = func(q schemas.RowsQuery, yield func(*schemas.StoredRow) error) error {
		return p.retry(ctx, "read stored rows", func() error { return p.store.StoredRows(ctx, q, yield) }, p.waits)
	}
	below := p.state.pos
	until, _ := p.gathered()
	err := p.state.reenterLate(p.queue, until, func(ws []schemas.EventsWindow, yield func(*schemas.StoredEvent) error) error {
		return p.retry(ctx, "read stored events", func() error {
			return p.store.StoredEvents(ctx, schemas.EventsQuery{Epoch: p.cfg.Epoch, Partition: p.id, BelowOffset: below, Windows: ws}, yield)
		}, p.waits)
	})
	if err != nil {
		p.broken = true
		return err
	}
	p.batch.readBack, p.batch.full = len(p.state.reentered) > 0, false
	for len(p.queue) > 0 && !p.batch.full && (p.state.pos < until || p.queue[0].next <= until) {
		stopped, err := p.take(until)
		if err != nil {
			return err
		}
		if stopped {
			p.batch.readBack = true
			break
		}
	}
	return nil
}

// turn ends the batch in hand: it is handed to the writer, and a checkpoint begins
// if one is due. The order is the delivery guarantee (I2): rows, snapshot, commit.
func (p *partition) turn(ctx context.Context) error {
	if p.batch.gathers {
		if err := p.reenter(ctx); err != nil {
			return err
		}
	}
	if p.state.pos > p.state.from {
		p.boundMemory()
		if err := p.learnAsides(ctx); err != nil {
			p.broken = true
			return err
		}
		if err := p.cfg.Failpoint(PointApplied); err != nil {
			p.broken = true
			return err
		}
	}
	check := p.checkpointDue()
	if err := p.handOver(ctx, check); err != nil {
		return err
	}
	if check {
		p.beginCheckpoint(ctx)
	}
	p.topUp(ctx)
	return p.saveBefore(ctx)
}
