package readapi_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"daybook/clickhouse/query"
)

// fakeDB answers questions by the table they read, whatever they ask of it. It
// notes the statements.
type fakeDB struct {
	tables map[string]func(yield func(...any) bool) // rows by a part of the statement's text
	fail   error                                    // of every query

	mu   sync.Mutex
	seen []query.Statement
	open int // answers that were not closed
}

var errFake = errors.New("fake storage fails")

// newFake knows the network acme with the user anna, owned and caught up.
func newFake() *fakeDB {
	through := now.Add(-time.Minute)
	f := &fakeDB{}
	f.tables = map[string]func(func(...any) bool){
		"FROM settings_history_versions":        one("Acme", "Europe/Amsterdam", int64(1_800_000), []int64(nil), []int64(nil), int64(1), now),
		"FROM users_versions":                   one("Anna", "Europe/Prague", int32(0), uint64(1)),
		"FROM networks":                         one("acme", "Acme", "Europe/Amsterdam", int64(1_800_000), true, int64(1), now),
		"FROM progress_versions":                one("daybook.events", uint16(1), int32(0), through),
		"FROM partitions_versions":              func(func(...any) bool) {},
		"FROM partitions_versions FINAL\nORDER": one("daybook.events", uint16(1), int32(0), true, &through, int64(0), int64(0)),
	}
	return f
}

func one(row ...any) func(func(...any) bool) {
	return func(yield func(...any) bool) { yield(row...) }
}

// Query finds the rows for the statement.
func (f *fakeDB) Query(ctx context.Context, st query.Statement) (query.Rows, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, st)
	if f.fail != nil {
		return nil, f.fail
	}
	rows, longest := func(func(...any) bool) {}, ""
	for part, r := range f.tables {
		if strings.Contains(st.Text, part) && len(part) > len(longest) {
			rows, longest = r, part
		}
	}
	f.open++
	return newFakeRows(ctx, f, rows), nil
}

type fakeRows struct {
	db     *fakeDB
	rows   chan []any
	done   chan struct{}
	row    []any
	ctx    func() error
	failed error
}

func newFakeRows(ctx context.Context, db *fakeDB, rows func(func(...any) bool)) *fakeRows {
	r := &fakeRows{db: db, rows: make(chan []any), done: make(chan struct{}), ctx: ctx.Err}
	go func() {
		defer close(r.rows)
		rows(func(row ...any) bool {
			select {
			case r.rows <- row:
				return true
			case <-r.done:
			case <-ctx.Done():
			}
			return false
		})
	}()
	return r
}

func (r *fakeRows) Next() bool {
	row, ok := <-r.rows
	if !ok || r.ctx() != nil {
		return false
	}
	if err, isErr := row[0].(error); isErr {
		r.failed = err
		return false
	}
	r.row = row
	return true
}

func (r *fakeRows) Scan(dest ...any) error {
	if len(dest) != len(r.row) {
		return fmt.Errorf("scan: %d columns into %d", len(r.row), len(dest))
	}
	for i := range dest {
		if r.row[i] == nil {
			continue
		}
		to, from := reflect.ValueOf(dest[i]).Elem(), reflect.ValueOf(r.row[i])
		if !from.Type().AssignableTo(to.Type()) {
			return fmt.Errorf("scan column %d: %s into %s", i, from.Type(), to.Type())
		}
		to.Set(from)
	}
	return nil
}

func (r *fakeRows) Err() error { return errors.Join(r.failed, r.ctx()) }

func (r *fakeRows) Close() error {
	select {
	case <-r.done:
	default:
		close(r.done)
		r.db.mu.Lock()
		r.db.open--
		r.db.mu.Unlock()
	}
	return nil
}

// sessionRow is a row as query.Sessions scans it.
func sessionRow(i int) []any {
	start := time.Date(2026, 3, 1, 0, 0, i, 0, time.UTC)
	return []any{
		"anna", "phone", "mobile", fmt.Sprintf("00000000-0000-0000-0000-%012d", i), int32(20513),
		start, start.Add(time.Second), int64(1), "inactivity", uint32(2), "Europe/Prague", false,
		"daybook.events", uint16(1), int32(0), start.UnixMilli(),
	}
}

// sessionRows yields n rows, then an error if there is one.
func sessionRows(n int, then error) func(func(...any) bool) {
	return func(yield func(...any) bool) {
		for i := range n {
			if !yield(sessionRow(i)...) {
				return
			}
		}
		if then != nil {
			yield(then)
		}
	}
}
