package query_test

import (
	"context"
	"errors"
	"testing"

	"daybook/clickhouse/query"
)

// answer is a made-up answer of n rows, which may break off.
type answer struct {
	n              int
	scanErr, ended error
	closed         bool
	cancelled      func() bool
}

func (a *answer) Next() bool        { a.n--; return a.n >= 0 }
func (a *answer) Scan(...any) error { return a.scanErr }
func (a *answer) Err() error        { return a.ended }
func (a *answer) Close() error      { a.closed = true; return nil }

type database struct {
	answer *answer
	err    error
}

func (d database) Query(ctx context.Context, _ query.Statement) (query.Rows, error) {
	if d.err != nil {
		return nil, d.err
	}
	d.answer.cancelled = func() bool { return ctx.Err() != nil }
	return d.answer, nil
}

func TestRun_ErrorsComeLastAndTheAnswerIsClosed(t *testing.T) {
	boom := errors.New("boom")
	q := query.Users{Network: "n", Limit: 10}
	for name, tc := range map[string]struct {
		db   database
		rows int
		want error
	}{
		"whole":          {database{answer: &answer{n: 3}}, 3, nil},
		"refused":        {database{err: boom}, 0, boom},
		"breaks off":     {database{answer: &answer{n: 3, ended: boom}}, 3, boom},
		"cannot be read": {database{answer: &answer{n: 3, scanErr: boom}}, 0, boom},
	} {
		t.Run(name, func(t *testing.T) {
			rows := 0
			var last error
			for _, err := range q.Run(t.Context(), tc.db) {
				if last != nil {
					t.Error("something came after the error")
				}
				if last = err; err == nil {
					rows++
				}
			}
			if rows != tc.rows || !errors.Is(last, tc.want) || tc.db.answer != nil && !tc.db.answer.closed {
				t.Errorf("%d rows, %v", rows, last)
			}
		})
	}
}

func TestRun_LeavingEarlyEndsTheQuery(t *testing.T) {
	a := &answer{n: 1 << 40}
	for _, err := range (query.Users{Network: "n", Limit: 10}).Run(t.Context(), database{answer: a}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if !a.closed || !a.cancelled() {
		t.Errorf("closed %v, cancelled %v", a.closed, a.cancelled())
	}
}
