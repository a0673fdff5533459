package clickhouse

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"

	"daybook/clickhouse/ddl"
)

// Waits between tries of an insert: long enough that an engine that starts again
// is not flooded, short enough that it is not waited for. Not measured.
const (
	firstBackoff = 50 * time.Millisecond
	lastBackoff  = 5 * time.Second
)

// backoff gives the wait after the n-th failed try, n from 1: it doubles, and
// half of it is random so that several workers do not come back at once.
func backoff(n int) time.Duration {
	d := firstBackoff << min(n-1, 10)
	d = min(d, lastBackoff)
	return d/2 + rand.N(d/2) //nolint:gosec // spreads load, guards nothing
}

// pause waits, or ends with the context.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// insert makes the rows of one block durable. It tries again, for as long as
// ctx lives, while the error is transient: the same rows again repair what an
// insert that failed half-way left (a block over several partitions or a killed
// engine).
func (s *Store) insert(ctx context.Context, b *block) error {
	return s.insertTries(ctx, b, true)
}

// insertOnce is insert without a second try.
func (s *Store) insertOnce(ctx context.Context, b *block) error {
	return s.insertTries(ctx, b, false)
}

func (s *Store) insertTries(ctx context.Context, b *block, again bool) error {
	if b.rows == 0 {
		return nil
	}
	if err := b.encode(); err != nil {
		return err
	}
	start, attempts, alone := time.Now(), 0, false
	group := s.group(b.table)
	var err error
	for {
		attempts++
		o := group.insert(ctx, b.statement(s.database), b.native, alone)
		if err = wrap(ctx, "insert into "+b.table, o.err); err == nil || !again {
			break
		}
		if o.joint && errors.Is(err, ErrPermanent) && !alone {
			alone = true // the refusal may be another's
			continue
		}
		if !errors.Is(err, ErrTransient) {
			break
		}
		s.log.LogAttrs(ctx, slog.LevelWarn, "insert failed, trying again", slog.String("table", b.table),
			slog.Int("attempt", attempts), slog.Int("rows", b.rows), slog.String("error", err.Error()))
		if stop := pause(ctx, backoff(attempts)); stop != nil {
			err = errors.Join(stop, err)
			break
		}
	}
	size := b.native.size()
	if err != nil {
		b.giveUp()
	}
	if s.onInsert != nil {
		s.onInsert(InsertStats{Table: b.table, Rows: b.rows, Bytes: size, Attempts: attempts, Took: time.Since(start), Err: err})
	}
	return err
}

// group gives the group of a table.
func (s *Store) group(table string) *group {
	s.groupsMu.Lock()
	defer s.groupsMu.Unlock()
	g, ok := s.groups[table]
	if !ok {
		g = newGroup(s.sendNative, s.flows.company, &s.senders)
		s.groups[table] = g
	}
	return g
}

// sendNative sends one INSERT, its body one or several Native blocks.
func (s *Store) sendNative(ctx context.Context, into string, body io.Reader) error {
	return s.conn.InsertFormat(chgo.Context(ctx, chgo.WithSettings(insertSettings())), "Native", into, body)
}

// InsertText inserts rows of a table that are already in one of ClickHouse's
// formats, once: for benchmarks and imports.
func (s *Store) InsertText(ctx context.Context, table, format string, rows []byte) error {
	err := s.conn.InsertFormat(chgo.Context(ctx, chgo.WithSettings(insertSettings())), format,
		"INSERT INTO "+ddl.Quote(s.database)+"."+ddl.Quote(table), bytes.NewReader(rows))
	return wrap(ctx, "insert into "+table, err)
}
