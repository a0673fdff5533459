package clickhouse_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
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

// Partitions by the API are those of the view: of newer reports, released ones,
// and workers that went silent.
func TestPartitions_SayWhatTheViewSays(t *testing.T) {
	s := open(t)
	for _, row := range []string{
		"0, 2, 5, 9, now64(3), now64(3), false", "0, 1, 9, 9, NULL, now64(3) - INTERVAL 1 MINUTE, false",
		"1, 1, 20, 9, now64(3), now64(3), true", "2, 1, 1, 70, NULL, now64(3) - INTERVAL 1 MINUTE, false",
	} {
		exec(t, s, "INSERT INTO partitions_versions (topic, epoch, partition, version, next_offset, log_end, caught_up_at, updated_at, released) SELECT 't', 1, "+row)
	}
	want := rows(t, query.Stream(t.Context(), s, func() (query.Statement, error) {
		return query.Statement{Text: "SELECT topic, epoch, partition, owned, caught_up_at, out_of_orderness_ms, greatest(log_end - next_offset, 0) FROM partitions ORDER BY partition"}, nil
	}, func(r query.Rows, p *query.Partition) error {
		return r.Scan(&p.Topic, &p.Epoch, &p.Partition, &p.Owned, &p.CaughtUpAt, &p.OutOfOrderMs, &p.Waiting)
	}))
	if len(want) != 3 || !want[0].Owned || want[0].Waiting != 4 || want[1].Owned || want[2].Owned {
		t.Fatalf("the view gives %+v", want)
	}
	if diff := cmp.Diff(want, rows(t, query.Partitions{}.Run(t.Context(), s))); diff != "" {
		t.Errorf("(-view +table):\n%s", diff)
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

// The status that the API tells of sessions is that of the view sessions: open,
// closed and final, on a partition that is behind, one that was read to its end,
// and one that nothing is known of.
func TestSessions_StatusIsThatOfTheView(t *testing.T) {
	s := open(t)
	begin := at(t, "2026-05-10T08:00:00Z")
	hour := int64(3_600_000)
	f := flush(100)
	for i := range int64(8) {
		session(f, "n", fmt.Sprint("u", i), "web", schemas.ClassWeb, begin+i*hour, begin+i*hour+60_000, false)
	}
	write(t, s, f)
	for _, partition := range []int{5, 6} {
		exec(t, s, fmt.Sprintf("INSERT INTO sessions_versions SELECT * REPLACE (%d AS partition, concat(user_id, '-%d') AS user_id, generateUUIDv4(rowNumberInAllBlocks()) AS session_id) "+
			"FROM sessions_versions WHERE sessions_versions.user_id NOT LIKE '%%-%%'", partition, partition))
	}
	told := func() (view, table map[string]string) {
		view, table = map[string]string{}, map[string]string{}
		for _, line := range text(t, s, "SELECT concat(toString(session_id), ' ', status) FROM sessions WHERE network_id = 'n'") {
			id, status, _ := strings.Cut(line, " ")
			view[id] = status
		}
		for _, row := range rows(t, query.Sessions{Network: "n", From: query.FirstDate, To: query.LastDate, Limit: query.All}.Run(t.Context(), s)) {
			table[row.SessionID] = row.Status
		}
		return view, table
	}
	seen := map[string]int{}
	for _, change := range []string{
		"",
		"INSERT INTO progress_versions (network_id, topic, epoch, partition, watermark, version) " +
			"SELECT DISTINCT 'n', topic, epoch, partition, toDateTime64('2026-05-10 11:00:00', 3, 'UTC'), 1000 FROM sessions_versions WHERE partition != 6",
		fmt.Sprintf("INSERT INTO partitions_versions (topic, epoch, partition, caught_up_at, horizon_ms, updated_at) SELECT DISTINCT topic, epoch, partition, toDateTime64('2026-05-10 13:00:00', 3, 'UTC'), map('n', %d, 'other', %d), now64(3) FROM sessions_versions", begin+2*hour, begin+9*hour),
		"INSERT INTO partitions_versions (topic, epoch, partition, caught_up_at, updated_at) SELECT DISTINCT topic, epoch, 5, NULL, now64(3) + 1 FROM sessions_versions",
	} {
		if change != "" {
			exec(t, s, change)
		}
		view, table := told()
		if len(view) != 24 {
			t.Fatalf("%d sessions, want 24", len(view))
		}
		if diff := cmp.Diff(view, table); diff != "" {
			t.Errorf("after %q (-view +table):\n%s", change, diff)
		}
		for _, status := range view {
			seen[status]++
		}
	}
	if seen["open"] == 0 || seen["closed"] == 0 || seen["final"] == 0 {
		t.Errorf("not every status was told: %v", seen)
	}
}
