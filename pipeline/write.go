package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"daybook/schemas"
)

// writing is a flush that the writer makes durable while the next batch is
// applied. One is under way at most.
type writing struct {
	rows     schemas.Rows
	next     int64     // position of the state that it leaves behind
	clean    bool      // … and no row of an open session was held back
	complete time.Time // when the log was read to its end before it; zero if it was not
	begun    time.Time // of the batch
	records  int
	accepted int
	sessions int
	rejected []schemas.Reason
	status   *schemas.PartitionStatus // of the partition, as soon as it is durable
	done     chan error               // of size one: the writer's answer
	failing  atomic.Bool              // storage refuses
}

// handOver takes the flush of everything that changed and gives it to the writer;
// the horizons move. It waits for the flush before.
func (p *partition) handOver(ctx context.Context, force bool) error {
	if err := p.durable(ctx); err != nil {
		return err
	}
	p.encode()
	now, b := p.cfg.Now(), &p.batch
	f := p.state.takeFlush(p.cfg.Topic, now.UnixMilli(), force)
	p.lastFlush = now
	w := &writing{
		rows: b.rows, next: p.state.pos, begun: b.begun, records: b.records, accepted: b.accepted, sessions: len(f.Sessions),
		rejected: b.rejected, done: make(chan error, 1),
	}
	p.unwritten = w.rows != nil || !empty(f)
	if p.unwritten {
		if w.rows == nil {
			w.rows = p.store.NewRows()
		}
		w.rows.Add(f)
	}
	p.state.settle()
	p.state.reuse(f)
	p.sinceBytes += int64(b.bytes)
	p.metrics.records.Add(float64(b.records))
	b.rejected = nil
	p.newBatch()
	if err := p.cfg.Failpoint(PointSettled); err != nil {
		return err
	}
	w.clean = p.state.touched == 0
	w.status = p.observe(w)
	p.writing = w
	if w.rows == nil {
		return p.written(ctx, nil)
	}
	go p.write(ctx, w)
	return nil
}

// flush makes durable what changed.
func (p *partition) flush(ctx context.Context, force bool) error {
	if err := p.handOver(ctx, force); err != nil {
		return err
	}
	return p.durable(ctx)
}

// durable waits until no flush is under way: who reads stored rows, commits or
// keeps the state must see all of it.
func (p *partition) durable(ctx context.Context) error {
	if p.writing == nil {
		return nil
	}
	return p.written(ctx, <-p.writing.done)
}

// wrote is where the writer answers; it blocks for ever if none is under way.
func (p *partition) wrote() <-chan error {
	if p.writing == nil {
		return nil
	}
	return p.writing.done
}

// write is the writer: it makes one flush durable. Storage that fails is tried
// again until ctx ends.
func (p *partition) write(ctx context.Context, w *writing) {
	w.done <- func() error {
		if err := p.cfg.Failpoint(PointWriting); err != nil {
			return err
		}
		err := p.retry(ctx, "write", func() error { return p.store.WriteRows(ctx, w.rows) }, func() { w.failing.Store(true) })
		if err != nil {
			return err
		}
		return p.cfg.Failpoint(PointWritten)
	}()
}

// written takes the writer's answer.
func (p *partition) written(ctx context.Context, err error) error {
	w := p.writing
	p.writing = nil
	if err != nil {
		return err // the rows are not released: a request that was given up may still read them
	}
	if p.unwritten {
		w.rows.Release()
		p.metrics.flushed(w)
		p.unwritten = false
	}
	if w.clean {
		p.published = w.next
	}
	p.complete = w.complete
	if w.records > 0 {
		p.pace.after(w.records, p.cfg.Now().Sub(w.begun))
	}
	p.publishStatus(w.status)
	if sv := p.saving; sv != nil {
		sv.settled()
	}
	p.commit(ctx)
	return nil
}

// empty says whether a flush would write nothing.
func empty(f *schemas.Flush) bool {
	return f.From == f.Next && len(f.Sessions) == 0 && len(f.Slices) == 0 && len(f.Progress) == 0 && len(f.Users) == 0
}

// retry repeats what storage refuses until it works or ctx ends, with bounded
// memory; the group's heartbeats go on. failed is told of every attempt that did.
func (p *partition) retry(ctx context.Context, what string, try func() error, failed func()) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s partition %d: %w", what, p.id, err)
		}
		p.metrics.retries.Inc()
		failed()
		p.logger.ErrorContext(ctx, "storage failed, trying again", slog.String("doing", what), slog.String("error", err.Error()), slog.Duration("after", wait))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("%s partition %d: %w", what, p.id, err)
		}
	}
}

// waits notes that storage refuses: records wait, whatever the log's end was.
func (p *partition) waits() {
	p.caughtUp, p.complete = time.Time{}, time.Time{}
	p.ages()
}
