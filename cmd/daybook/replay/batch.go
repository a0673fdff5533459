package replay

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
)

// Size of a batch: large against what handing it over costs (about a
// microsecond, not measured), small enough for the processor's cache.
const (
	batchBytes = 256 << 10
	batchLines = 1024
)

// batch is a run of lines on its way to rows. One goroutine reads it, one of
// several maps it, and the one that called Read yields its rows in order; then
// its memory is used again.
type batch struct {
	text   []byte
	lines  []placed
	rows   []Row
	arena  []byte        // the rows' bytes that are not the text's
	mapped chan struct{} // of size one: a signal for each round
}

// placed is a line whose text is a part of the batch's.
type placed struct {
	line

	from, to int
}

func (b *batch) reset() {
	b.text, b.lines, b.rows, b.arena = b.text[:0], b.lines[:0], b.rows[:0], b.arena[:0]
}

func (b *batch) add(l *line) {
	from := len(b.text)
	b.text = append(b.text, l.text...)
	b.lines = append(b.lines, placed{line: *l, from: from, to: len(b.text)})
}

func (b *batch) full() bool { return len(b.text) >= batchBytes || len(b.lines) >= batchLines }

// mapLines makes the rows.
func (b *batch) mapLines(m rowMapper) {
	m.useArena(b.arena)
	for i := range b.lines {
		p := &b.lines[i]
		p.text = b.text[p.from:p.to:p.to]
		b.rows = append(b.rows, m.row(&p.line))
	}
	b.arena = m.usedArena()
}

// lineSource gives the lines of a member; of a CSV, its records.
type lineSource interface {
	// next gives the next line, whose text is valid until the next call, or
	// io.EOF.
	next() (line, error)
	// waits says that the next call may wait for the input, so that what is read
	// should not wait for it, too.
	waits() bool
}

// rowMapper makes a row of a line. It has an arena, where the bytes of rows
// lie.
type rowMapper interface {
	row(l *line) Row
	useArena(memory []byte)
	usedArena() []byte
}

// mapAll maps the lines on all processors and yields the rows in the lines'
// order.
func mapAll(ctx context.Context, src lineSource, newMapper func() rowMapper, yield func(*Row) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	mappers := runtime.GOMAXPROCS(0)
	// Two for each: one is mapped while the other is filled or yielded; and one
	// more that is filled, and one that is yielded.
	count := 2*mappers + 2
	free, order, work := make(chan *batch, count), make(chan *batch, count), make(chan *batch)
	for range count {
		free <- &batch{mapped: make(chan struct{}, 1)}
	}
	var readErr error // of the reader; read after it closed order
	group.Go(func() {
		defer close(order)
		defer close(work)
		readErr = readLines(ctx, src, free, order, work)
	})
	for range mappers {
		group.Go(func() {
			m := newMapper()
			for b := range work {
				b.mapLines(m)
				b.mapped <- struct{}{}
			}
		})
	}
	lastMs := int64(0)
	for b := range order {
		<-b.mapped
		for i := range b.rows {
			row := &b.rows[i]
			if row.timeless {
				row.TimeMs, row.timeless = lastMs, false
			}
			lastMs = row.TimeMs
			if err := yield(row); err != nil {
				return err
			}
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		free <- b
	}
	return readErr
}

// readLines fills batches until the input ends. A batch is in order before it
// is in work, so that who yields waits for the right one.
func readLines(ctx context.Context, src lineSource, free <-chan *batch, order, work chan<- *batch) error {
	for {
		var b *batch
		select {
		case b = <-free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		b.reset()
		err := fillBatch(b, src)
		if len(b.lines) > 0 {
			order <- b // as large as there are batches
			work <- b  // a mapper always comes back
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func fillBatch(b *batch, src lineSource) error {
	for !b.full() && (len(b.lines) == 0 || !src.waits()) {
		l, err := src.next()
		if err != nil {
			return err
		}
		b.add(&l)
	}
	return nil
}
