package deep

import (
	"context"
	"testing"

	"daybook/clickhouse/verify"
)

// Rows are compared one by one: one that is there twice is a difference, too.
func TestCompare_OneRowAnIdentity(t *testing.T) {
	row := verify.UserRow{UserKey: verify.UserKey{Network: "acme", User: "ann"}}
	for stored, want := range map[int]uint64{0: 1, 1: 0, 2: 1} {
		r := &run{report: &verify.Report{}}
		r.Details = 20
		err := compare(&reader{run: r, ctx: t.Context()}, table[verify.UserKey, verify.UserRow]{
			name: "users", n: 1,
			key:   func(int) verify.UserKey { return row.UserKey },
			row:   func(int) (verify.UserRow, error) { return row, nil },
			of:    func(x verify.UserRow) verify.UserKey { return x.UserKey },
			again: func(context.Context) error { return nil },
			stored: func(yield func(verify.UserRow, error) bool) {
				for range stored {
					if !yield(row, nil) {
						return
					}
				}
			},
		})
		if got := r.report.Wrong(); err != nil || got != want {
			t.Errorf("stored %d times: %d differences, %v, want %d", stored, got, err, want)
		}
	}
}
