package query_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"daybook/clickhouse/query"
)

var update = flag.Bool("update", false, "rewrite testdata")

type question interface {
	SQL() (query.Statement, error)
}

// sqlOf is a question of one more statement than SQL.
type sqlOf func() (query.Statement, error)

// SQL gives the statement.
func (f sqlOf) SQL() (query.Statement, error) { return f() }

func date(tb testing.TB, text string) query.Date {
	tb.Helper()
	d, err := query.ParseDate(text)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// The text of every question is reviewed by reading testdata; run with -update
// after a change on purpose.
func TestSQL_Golden(t *testing.T) {
	from, to := date(t, "2026-05-01"), date(t, "2026-05-14")
	at := time.Date(2026, 5, 3, 8, 0, 0, 0, time.UTC)
	const id = "11111111-2222-3333-4444-555555555555"
	for name, q := range map[string]question{
		"user_days":                 query.UserDays{Network: "n", User: "u", From: from, To: to, Limit: 14},
		"user_days_next":            query.UserDays{Network: "n", User: "u", From: from, To: to, After: &to, Limit: 14},
		"user_days_oldest":          query.UserDays{Network: "n", User: "u", From: from, To: to, Oldest: true, After: &from, Limit: 14},
		"network_days":              query.NetworkDays{Network: "n", From: from, To: to, Limit: 90},
		"network_days_newest":       query.NetworkDays{Network: "n", From: from, To: to, Newest: true, After: &to, Limit: 90},
		"network_days_fingerprints": sqlOf(query.NetworkDays{Network: "n", From: from, To: to, Limit: 90}.Fingerprints),
		"network_days_stored":       sqlOf(query.NetworkDays{Network: "n", From: from, To: to, Limit: 90}.Stored),
		"network_days_checked": sqlOf(func() (query.Statement, error) {
			return query.NetworkDays{Network: "n", From: from, To: to, Limit: 90}.Checked([]query.Date{from, to})
		}),
		"sessions": query.Sessions{Network: "n", From: from, To: to, Limit: 100},
		"sessions_filtered": query.Sessions{
			Network: "n", User: "u", DeviceClass: "web", From: from, To: to, After: &query.SessionCursor{StartedAt: at, SessionID: id}, Limit: 100,
		},
		"sessions_export":   sqlOf(query.Sessions{Network: "n", User: "u", From: from, To: to, Limit: query.All}.ExportSQL),
		"day_sessions":      query.DaySessions{Network: "n", User: "u", From: from, To: from, Limit: 100},
		"day_sessions_next": query.DaySessions{Network: "n", User: "u", From: from, To: from, After: &query.DayCursor{Date: from, StartedAt: at, SessionID: id}, Limit: 100},
		"users":             query.Users{Network: "n", Limit: 100},
		"users_filtered":    query.Users{Network: "n", Search: "x", ActiveFrom: &from, ActiveTo: &to, After: "k", Limit: 100},
		"networks":          query.Networks{Limit: 100},
		"networks_only":     query.Networks{Only: []string{"n"}, After: "m", Limit: 100},
		"partitions":        query.Partitions{},
		"watermarks":        query.Watermarks{Network: "n"},
		"watermarks_every":  query.Watermarks{Every: true},
		"one_network":       query.OneNetwork{Network: "n"},
		"one_user":          query.OneUser{Network: "n", User: "u"},
		"last_day":          query.LastDay{Network: "n", User: "u"},
	} {
		t.Run(name, func(t *testing.T) {
			st, err := q.SQL()
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			b.WriteString(st.Text + "\n")
			for _, a := range st.Args {
				fmt.Fprintf(&b, "-- %s = %v\n", a.Name, a.Value)
			}
			path := filepath.Join("testdata", name+".sql")
			if *update {
				if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("differs from %s:\n%s", path, b.String())
			}
		})
	}
}

// HOUSE.md section 11: the tenant is a required argument, every list is bounded.
func TestSQL_RefusesWithoutTenantUserOrLimit(t *testing.T) {
	for _, tc := range []struct {
		q    question
		want error
	}{
		{query.UserDays{User: "u", Limit: 1}, query.ErrNoNetwork},
		{query.UserDays{Network: "n", Limit: 1}, query.ErrNoUser},
		{query.UserDays{Network: "n", User: "u"}, query.ErrBadLimit},
		{query.UserDays{Network: "n", User: "u", Limit: query.All + 1}, query.ErrBadLimit},
		{query.NetworkDays{Limit: 1}, query.ErrNoNetwork},
		{query.NetworkDays{Network: "n"}, query.ErrBadLimit},
		{sqlOf(query.NetworkDays{Limit: 1}.Stored), query.ErrNoNetwork},
		{sqlOf(func() (query.Statement, error) { return query.NetworkDays{Limit: 1}.Checked(nil) }), query.ErrNoNetwork},
		{query.Sessions{Limit: 1}, query.ErrNoNetwork},
		{query.Sessions{Network: "n"}, query.ErrBadLimit},
		{query.DaySessions{User: "u", Limit: 1}, query.ErrNoNetwork},
		{query.DaySessions{Network: "n", Limit: 1}, query.ErrNoUser},
		{query.DaySessions{Network: "n", User: "u"}, query.ErrBadLimit},
		{query.Users{Limit: 1}, query.ErrNoNetwork},
		{query.Users{Network: "n"}, query.ErrBadLimit},
		{query.Networks{}, query.ErrBadLimit},
		{query.Watermarks{}, query.ErrNoNetwork},
		{query.LastDay{User: "u"}, query.ErrNoNetwork},
		{query.OneUser{Network: "n"}, query.ErrNoUser},
		{query.OneNetwork{}, query.ErrNoNetwork},
	} {
		if _, err := tc.q.SQL(); !errors.Is(err, tc.want) {
			t.Errorf("%#v: %v, want %v", tc.q, err, tc.want)
		}
	}
}

func TestSQL_ValuesAreNeverText(t *testing.T) {
	const evil = "'; DROP TABLE x --"
	d := date(t, "2026-05-01")
	for _, q := range []question{
		query.UserDays{Network: evil, User: evil, Limit: 1},
		query.NetworkDays{Network: evil, Limit: 1},
		sqlOf(query.NetworkDays{Network: evil, Limit: 1}.Stored),
		sqlOf(query.NetworkDays{Network: evil, Limit: 1}.Fingerprints),
		query.Sessions{Network: evil, User: evil, DeviceClass: evil, After: &query.SessionCursor{SessionID: evil}, Limit: 1},
		query.DaySessions{Network: evil, User: evil, After: &query.DayCursor{SessionID: evil}, Limit: 1},
		query.Users{Network: evil, Search: evil, After: evil, ActiveFrom: &d, Limit: 1},
		query.Networks{Only: []string{evil}, After: evil, Limit: 1},
		query.Watermarks{Network: evil},
		query.OneNetwork{Network: evil},
		query.OneUser{Network: evil, User: evil},
		query.LastDay{Network: evil, User: evil},
	} {
		st, err := q.SQL()
		if err != nil || strings.Contains(st.Text, "DROP") {
			t.Errorf("%T: %v\n%s", q, err, st.Text)
		}
	}
}

func TestDate_TextAndBounds(t *testing.T) {
	for text, ok := range map[string]bool{"2026-05-01": true, "1970-01-01": true, "2149-06-06": true, "2149-06-07": false, "1969-12-31": false, "2026-5-1": false, "": false} {
		d, err := query.ParseDate(text)
		if (err == nil) != ok || ok && d.String() != text {
			t.Errorf("%q: %v, %v", text, d, err)
		}
	}
	var d query.Date
	if err := d.UnmarshalText([]byte("2026-05-01")); err != nil || d != date(t, "2026-05-01") {
		t.Error(d, err)
	}
	loc := time.FixedZone("x", 3600)
	if got := query.DateOf(time.Date(2026, 5, 1, 0, 30, 0, 0, loc)); got != d {
		t.Errorf("date of an instant in its own zone: %v", got)
	}
}
