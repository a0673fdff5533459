package query_test

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"daybook/clickhouse/query"
)

// scripted gives one prepared answer after the other, and notes which days each
// statement was to compute. The first one is for two statements at once: the
// fingerprints of all its days, and the stored values of those that hold.
type scripted struct {
	mu       sync.Mutex
	stored   [][]any
	answers  [][][]any
	computed [][]int32
	texts    []string
}

func (s *scripted) Query(_ context.Context, st query.Statement) (query.Rows, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stored == nil {
		s.stored, s.answers = s.answers[0], s.answers[1:]
		s.computed, s.texts = append(s.computed, nil), append(s.texts, "")
	}
	switch {
	case strings.Contains(st.Text, "FROM daily_networks_stored"):
		return &prepared{rows: slices.DeleteFunc(slices.Clone(s.stored), func(row []any) bool { return row[9] == false })}, nil
	case strings.Contains(st.Text, "FROM session_day_fingerprints") && !strings.Contains(st.Text, "UNION"):
		var rows [][]any
		for _, row := range s.stored {
			rows = append(rows, []any{row[0], row[8]})
		}
		return &prepared{rows: rows}, nil
	}
	var days []int32
	for _, a := range st.Args {
		if a.Name == "days" {
			days, _ = a.Value.([]int32)
		}
	}
	s.computed, s.texts = append(s.computed, days), append(s.texts, st.Text)
	rows := s.answers[0]
	s.answers = s.answers[1:]
	return &prepared{rows: rows}, nil
}

type prepared struct {
	rows [][]any
	row  []any
}

func (p *prepared) Next() bool {
	if len(p.rows) == 0 {
		return false
	}
	p.row, p.rows = p.rows[0], p.rows[1:]
	return true
}

func (p *prepared) Scan(dest ...any) error {
	for i := range dest {
		reflect.ValueOf(dest[i]).Elem().Set(reflect.ValueOf(p.row[i]))
	}
	return nil
}

func (*prepared) Err() error   { return nil }
func (*prepared) Close() error { return nil }

// day is a row of what is known first, or of Checked.
func day(date int32, users, fingerprint uint64, known bool) []any {
	return []any{date, users, users, int64(0), int64(0), int64(0), int64(0), int64(0), fingerprint, known}
}

// Days that change, or come, between the two statements are computed as well;
// nothing stored is taken beside a snapshot in which it no longer holds.
func TestNetworkDays_LooksAgainAtWhatChangedMeanwhile(t *testing.T) {
	db := &scripted{answers: [][][]any{
		{day(1, 10, 101, true), day(2, 20, 102, true), day(3, 0, 103, false), day(4, 0, 104, true), day(5, 50, 105, true), day(6, 60, 106, true), day(7, 70, 107, true)},
		// Day 2 has changed and day 9 has come: what was computed of day 3 is of another instant than they will be.
		{day(3, 31, 0, true), day(1, 0, 101, false), day(2, 0, 202, false), day(3, 0, 103, false), day(5, 0, 105, false), day(6, 0, 106, false), day(7, 0, 107, false), day(9, 0, 109, false)},
		{day(2, 22, 0, true), day(3, 32, 0, true), day(9, 90, 0, true), day(1, 0, 101, false), day(2, 0, 203, false), day(3, 0, 103, false), day(5, 0, 105, false), day(6, 0, 106, false), day(7, 0, 107, false), day(9, 0, 110, false)},
	}}
	var got []uint64
	for d, err := range (query.NetworkDays{Network: "n", To: 9, Limit: 100}).Run(t.Context(), db) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, d.Users)
	}
	if want := []uint64{10, 22, 32, 50, 60, 70, 90}; !slices.Equal(got, want) {
		t.Errorf("users %v, want %v", got, want)
	}
	if want := [][]int32{nil, {3}, {2, 3, 9}}; !reflect.DeepEqual(db.computed, want) {
		t.Errorf("computed %v, want %v", db.computed, want)
	}
}

// A stored day all of whose slices are erased between the two statements is in
// none of what the second sees: it must not be given beside it.
func TestNetworkDays_LeavesOutWhatWasErasedMeanwhile(t *testing.T) {
	db := &scripted{answers: [][][]any{
		{day(1, 10, 101, true), day(2, 20, 102, true), day(3, 0, 103, false), day(4, 40, 104, true)},
		{day(3, 30, 0, true), day(1, 0, 101, false), day(3, 0, 103, false), day(4, 0, 104, false)},
		{day(3, 30, 0, true), day(1, 0, 101, false), day(3, 0, 103, false), day(4, 0, 104, false)},
	}}
	var got []uint64
	for d, err := range (query.NetworkDays{Network: "n", To: 9, Limit: 100}).Run(t.Context(), db) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, d.Users)
	}
	if want := []uint64{10, 30, 40}; !slices.Equal(got, want) {
		t.Errorf("users %v, want %v", got, want)
	}
	if want := [][]int32{nil, {3}, {2, 3}}; !reflect.DeepEqual(db.computed, want) {
		t.Errorf("computed %v, want %v", db.computed, want)
	}
}

// Where days change faster than they are looked at, or most are to be computed,
// one statement computes all of them.
func TestNetworkDays_ComputesAllAtLast(t *testing.T) {
	exact := [][]any{{int32(1), uint64(5), uint64(5), int64(0), int64(0), int64(0), int64(0), int64(0)}}
	stored := [][]any{day(1, 0, 1, false), day(2, 1, 1, true), day(3, 1, 1, true), day(4, 1, 1, true), day(5, 1, 1, true), day(6, 1, 1, true), day(7, 1, 1, true), day(8, 1, 1, true), day(9, 1, 1, true)}
	moving := func(d int32) [][]any { // the others are there, and rest
		rows := [][]any{day(1, 7, 0, true), day(d, 0, 99, false)}
		for other := int32(2); other <= 9; other++ {
			if other != d {
				rows = append(rows, day(other, 0, 1, false))
			}
		}
		return rows
	}
	for name, answers := range map[string][][][]any{
		"most changed": {{day(1, 0, 1, false)}, exact},
		"never still":  {stored, moving(2), moving(3), moving(4), exact},
	} {
		db := &scripted{answers: answers}
		n := 0
		for d, err := range (query.NetworkDays{Network: "n", To: 9, Limit: 100}).Run(t.Context(), db) {
			if n++; err != nil || d.Users != 5 {
				t.Errorf("%s: %v, %v", name, d, err)
			}
		}
		if last := db.texts[len(db.texts)-1]; n != 1 || len(db.answers) > 0 || !strings.Contains(last, "FROM daily_networks\n") || strings.Contains(last, "UNION") {
			t.Errorf("%s: %d days after %d statements, the last:\n%s", name, n, len(db.texts), last)
		}
	}
}
