package query

import (
	"context"
	"errors"
	"io"
	"iter"
)

// ErrNoNetwork is returned by a question that names no network: an answer
// would cross tenants.
var ErrNoNetwork = errors.New("run query: no network named")

// ErrNoUser is returned by a question about one user that names none.
var ErrNoUser = errors.New("run query: no user named")

// ErrBadLimit is returned if a list's limit is not between 1 and All.
var ErrBadLimit = errors.New("run query: limit out of range")

// All is the limit of a list that is meant to be whole, such as an export. It
// is a bound all the same: nothing here is unbounded.
const All = 1_000_000_000

// Arg is a bound parameter: {Name:Type} in the text.
type Arg struct {
	Name  string
	Value any // string, integer, bool, time.Time, or a slice of these
}

// Statement is SQL text with its bound parameters.
type Statement struct {
	Text string
	Args []Arg
	// Threads bounds the engine's threads, 0 for its default. A question about one
	// user reads a few granules: a second thread costs it more than it gives
	// (13.3 ms with one, 15.8 with the default, on a busy machine).
	Threads int
}

// Rows is an answer that is read row by row. Close ends the query early.
type Rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close() error
}

// Querier runs statements that read. *clickhouse.Store is one.
type Querier interface {
	Query(ctx context.Context, st Statement) (Rows, error)
}

// Exporter also gives answers that are too long for a string a cell.
// *clickhouse.Store is one.
type Exporter interface {
	Querier
	// Blocks gives the answer as it travels, in the format Native. It must be closed;
	// to give it up early cancel ctx.
	Blocks(ctx context.Context, st Statement) (io.ReadCloser, error)
}

// Stream gives the rows of a question. scan reads one row, into the same zeroed
// variable each time, so that a row of a long answer is not on the heap. An
// error is the last thing that is yielded.
func Stream[T any](ctx context.Context, db Querier, sql func() (Statement, error), scan func(Rows, *T) error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var row, zero T
		st, err := sql()
		if err != nil {
			yield(zero, err)
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		rows, err := db.Query(ctx, st)
		if err != nil {
			yield(zero, err)
			return
		}
		for rows.Next() {
			row = zero
			if err = scan(rows, &row); err != nil {
				break
			}
			if !yield(row, nil) {
				// Ends the query: clickhouse-go would read the answer to its end on Close.
				cancel()
				_ = rows.Close()
				return
			}
		}
		if err == nil {
			err = rows.Err()
		}
		if err != nil {
			cancel()
			_ = rows.Close() // says no more than err
		} else {
			err = rows.Close()
		}
		if err != nil {
			yield(zero, err)
		}
	}
}

// all gathers an answer that is known to be short.
func all[T any](rows iter.Seq2[T, error]) (out []T, err error) {
	for row, err := range rows {
		if err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, nil
}

// checkLimit refuses a list without a bound.
func checkLimit(limit int) error {
	if limit < 1 || limit > All {
		return ErrBadLimit
	}
	return nil
}
