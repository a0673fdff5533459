package clickhouse_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"daybook/clickhouse"
	"daybook/clickhouse/query"
	"daybook/schemas"
)

// granules gives, from EXPLAIN indexes = 1, the granules that the primary key
// leaves of each table with the suffix _versions, and all of them.
func granules(t *testing.T, s *clickhouse.Store, st query.Statement) map[string][2]int {
	t.Helper()
	plan := strings.Join(text(t, s, "EXPLAIN indexes = 1 "+st.Text, st.Args...), "\n")
	out := map[string][2]int{}
	for _, part := range strings.Split(plan, "ReadFromMergeTree (")[1:] {
		name, _, _ := strings.Cut(part, ")")
		_, name, _ = strings.Cut(name, ".")
		// The primary key's line comes after those of partition and minmax.
		if _, key, ok := strings.Cut(part, "PrimaryKey"); ok {
			m := regexp.MustCompile(`Granules: (\d+)/(\d+)`).FindStringSubmatch(key)
			if m == nil || strings.Contains(strings.SplitN(key, "Parts:", 2)[0], "Condition: true") {
				t.Logf("%s", plan)
				continue
			}
			a, _ := strconv.Atoi(m[1])
			b, _ := strconv.Atoi(m[2])
			have := out[name]
			out[name] = [2]int{have[0] + a, have[1] + b}
		}
	}
	if len(out) == 0 {
		t.Logf("%s", plan)
	}
	return out
}

// The views hide FINAL, joins and groups; what a question names must reach the
// primary key all the same.
func TestViews_PredicatesReachThePrimaryKey(t *testing.T) {
	s := open(t)
	f := flush(1_000_000)
	day := at(t, "2026-03-02T08:00:00Z")
	for u := range 3000 {
		for d := range 20 {
			ms := day + int64(d)*86_400_000
			session(f, fmt.Sprintf("net%02d", u%30), fmt.Sprintf("user%04d", u), "web", schemas.ClassWeb, ms, ms+60_000, false)
		}
	}
	for i := range f.Sessions {
		r := f.Sessions[i]
		f.Events = append(f.Events, event(r.Network, r.User, strconv.Itoa(i), int64(i), r.StartMs))
	}
	write(t, s, f)
	merge(t, s, "events_versions", "sessions_versions", "session_days_versions")
	one := query.Date(day / 86_400_000)
	user := "network_id = 'net07' AND user_id = 'user0007'"
	for name, tc := range map[string]struct {
		st    query.Statement
		table string
	}{
		"sessions of a user":             {query.Statement{Text: "SELECT count() FROM sessions WHERE " + user}, "sessions_versions"},
		"their status":                   {query.Statement{Text: "SELECT status, count() FROM sessions WHERE " + user + " GROUP BY status"}, "sessions_versions"},
		"slices of a day":                {query.Statement{Text: "SELECT count() FROM session_days WHERE " + user + " AND date = '2026-03-03'"}, "session_days_versions"},
		"days of a user":                 {query.Statement{Text: "SELECT * FROM daily_users WHERE " + user + " AND date >= '2026-03-03'"}, "session_days_versions"},
		"days of a network":              {query.Statement{Text: "SELECT * FROM daily_networks WHERE network_id = 'net07'"}, "session_days_versions"},
		"events of a user":               {query.Statement{Text: "SELECT count() FROM events WHERE " + user + " AND time < '2026-03-05'"}, "events_versions"},
		"late events":                    {query.Statement{Text: "SELECT count() FROM late_events WHERE " + user}, "events_versions"},
		"question UserDays":              {statement(t, query.UserDays{Network: "net07", User: "user0007", From: one, To: one + 13, Limit: 10}), "session_days_versions"},
		"question Sessions":              {statement(t, query.Sessions{Network: "net07", User: "user0007", From: one, To: one + 13, Limit: 10}), "sessions_versions"},
		"question DaySessions, slices":   {statement(t, query.DaySessions{Network: "net07", User: "user0007", From: one, To: one, Limit: 10}), "session_days_versions"},
		"question DaySessions, sessions": {statement(t, query.DaySessions{Network: "net07", User: "user0007", From: one, To: one, Limit: 10}), "sessions_versions"},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := granules(t, s, tc.st)[tc.table]
			if !ok || got[1] < 3 || got[0] > 2 {
				t.Errorf("reads %d of %d granules of %s", got[0], got[1], tc.table)
			}
		})
	}
}

func statement(tb testing.TB, q interface {
	SQL() (query.Statement, error)
},
) query.Statement {
	tb.Helper()
	st, err := q.SQL()
	if err != nil {
		tb.Fatal(err)
	}
	return st
}
