package clickhouse_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"daybook/clickhouse/query"
	"daybook/schemas"
)

// Networks and users by the API, which reads the tables, are those of the views.
func TestSubject_SaysWhatTheViewsSay(t *testing.T) {
	s := open(t)
	const settings = "INSERT INTO settings_history_versions (network_id, topic, epoch, partition, offset, position, title, zone, gap_ms, dark, version) VALUES "
	for _, row := range []string{
		"('old', 't', 1, 0, 9, 2, 'newest', 'Europe/Prague', 2000, [], 9)", // a lower position comes later, on another partition
		"('old', 't', 1, 1, 90, 1, 'older', 'UTC', 1000, [(0, 9000000000000)], 90)",
		"('old', 't', 1, 1, 95, 2, 'newest', 'Europe/Prague', 2000, [], 95)", // a position that two partitions applied
		"('bare', 't', 1, 0, 1, 3, '', '', 1800000, [], 1)",
		"('dark', 't', 1, 0, 1, 4, 'Dark', 'UTC', 1, [(0, 1000), (2000, 9000000000000)], 1)",
		"('lit', 't', 1, 0, 1, 5, 'Lit', 'UTC', 1, [(0, 1000)], 1)",
	} {
		exec(t, s, settings+row)
	}
	for _, row := range []string{"'old', 'u', 'First', 'UTC', 3, 1", "'old', 'u', 'Second', 'Asia/Tokyo', 3, 2", "'bare', 'v', '', '', 0, 1"} {
		exec(t, s, "INSERT INTO users_versions (network_id, user_id, name, zone, partition, version) VALUES ("+row+")")
	}
	for _, network := range []string{"old", "bare", "dark", "lit", "none"} {
		want := rows(t, query.Networks{Only: []string{network}, Limit: 1}.Run(t.Context(), s))
		if (len(want) == 1) != (network != "none") {
			t.Fatalf("%s: the view gives %d rows", network, len(want))
		}
		if diff := cmp.Diff(want, rows(t, query.OneNetwork{Network: network}.Run(t.Context(), s))); diff != "" {
			t.Errorf("%s (-view +table):\n%s", network, diff)
		}
		for _, user := range []string{"u", "v"} {
			st := query.Statement{
				Text: "SELECT name, zone, partition FROM users WHERE network_id = {network:String} AND user_id = {user:String}",
				Args: []query.Arg{{Name: "network", Value: network}, {Name: "user", Value: user}},
			}
			want := rows(t, query.Stream(t.Context(), s, func() (query.Statement, error) { return st, nil }, func(r query.Rows, u *query.UserRow) error {
				u.UserID = user
				return r.Scan(&u.Name, &u.Zone, &u.Partition)
			}))
			if (len(want) == 1) != (network == "old" && user == "u" || network == "bare" && user == "v") {
				t.Fatalf("%s/%s: the view gives %d rows", network, user, len(want))
			}
			if diff := cmp.Diff(want, rows(t, query.OneUser{Network: network, User: user}.Run(t.Context(), s))); diff != "" {
				t.Errorf("%s/%s (-view +table):\n%s", network, user, diff)
			}
		}
	}
}

// Users' days by the API are those of the view daily_users: over replaced
// versions, tombstones, sessions side by side and over midnight.
func TestUserDays_SayWhatTheViewSays(t *testing.T) {
	s := open(t)
	m := planMoves(rand.New(rand.NewPCG(3, 4)), "net0", 40)
	for _, f := range m.flushes {
		write(t, s, f)
	}
	first := at(t, "2026-03-01T00:00:00Z")
	f := flush(1000)
	session(f, "net0", "a", "mobile", schemas.ClassMobile, first+1000, first+90_000, false)
	session(f, "net0", "a", "web", schemas.ClassWeb, first+50_000, first+200_000, false)
	session(f, "net0", "b", "web", schemas.ClassWeb, first+86_000_000, first+87_000_000, false)
	write(t, s, f)
	days := 0
	for _, user := range []string{"a", "b", "c", "d", "e", "f", "nobody"} {
		st := query.Statement{
			Text: "SELECT toInt32(date), sessions, toInt64(duration_s), toInt64(active_s), toInt64(overlap_s), toInt64(mobile_s), toInt64(web_s)" +
				" FROM daily_users WHERE network_id = 'net0' AND user_id = {user:String} ORDER BY date DESC",
			Args: []query.Arg{{Name: "user", Value: user}},
		}
		want := rows(t, query.Stream(t.Context(), s, func() (query.Statement, error) { return st, nil }, func(r query.Rows, d *query.UserDay) error {
			return r.Scan((*int32)(&d.Date), &d.Sessions, &d.DurationS, &d.ActiveS, &d.OverlapS, &d.MobileS, &d.WebS)
		}))
		got := rows(t, query.UserDays{Network: "net0", User: user, From: query.FirstDate, To: query.LastDate, Limit: query.All}.Run(t.Context(), s))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-view +table):\n%s", user, diff)
		}
		days += len(want)
	}
	if days < 6 {
		t.Errorf("%d days: nothing was compared", days)
	}
}
