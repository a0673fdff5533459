package clickhouse_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"daybook/clickhouse/query"
)

// query.Subject reads the tables; what it says is what the views say.
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
	views := func(network, user string) (out []query.SubjectRow) {
		for _, n := range rows(t, query.Networks{Only: []string{network}, Limit: 1}.Run(t.Context(), s)) {
			r := query.SubjectRow{Network: query.Network{NetworkID: network, Title: n.Title, Zone: n.Zone, GapMs: n.GapMs, Recording: n.Recording}}
			for _, u := range rows(t, query.Users{Network: network, Limit: 9}.Run(t.Context(), s)) {
				if u.UserID == user {
					place := map[string]int32{"old": 3}[network]
					r.User, r.Partition = &query.User{UserID: user, Name: u.Name, Zone: u.Zone}, &place
				}
			}
			out = append(out, r)
		}
		return out
	}
	for _, network := range []string{"old", "bare", "dark", "lit", "none"} {
		for _, user := range []string{"u", "v"} {
			want := views(network, user)
			if (len(want) == 1) != (network != "none") {
				t.Fatalf("%s: the views give %d rows", network, len(want))
			}
			got := rows(t, query.Subject{Network: network, User: user}.Run(t.Context(), s))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s/%s (-views +subject):\n%s", network, user, diff)
			}
		}
	}
}
