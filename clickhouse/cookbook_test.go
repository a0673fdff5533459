package clickhouse_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"daybook/clickhouse/cookbook"
	"daybook/clickhouse/query"
)

// The recipe merges the events of some users only. Its answer is that of the view
// over all: with users who are never late, events stored more than once of which the
// first alone or a later one alone is late, and days at both ends.
func TestCookbook_LateEventsAreThoseOfTheView(t *testing.T) {
	s := open(t)
	recipes, err := cookbook.All()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(recipes, func(r cookbook.Recipe) bool { return r.Name == "late_events_by_network" })
	if at < 0 {
		t.Fatal("no such recipe")
	}
	const rows = "INSERT INTO events_versions (network_id, user_id, event_id, source, time, received_at, topic, epoch, partition, offset, version) " +
		"SELECT concat('n', toString(number % 7)) AS network, concat('u', toString(number % 90)) AS user, toString(number % 4000), 's', " +
		"toDateTime64('2026-03-08 00:00:00', 3, 'UTC') + (number % 4000) * 211 AS at, at + "
	for _, received := range []string{
		"if(number % 90 < 30 AND number % 4000 % 13 = 0, 7200 + number, 5), 't', 1, 0, number, 1000000 - number FROM numbers(4000)",
		// Stored again, at a later position and at an earlier one.
		"if(number % 17 = 0, 90000, 5), 't', 1, 0, number, 1000 - intDiv(number, 5) FROM numbers(0, 4000)",
		"if(number % 19 = 0, 7201, 7200), 't', 1, 0, number, 2000000 - number FROM numbers(0, 2000)",
	} {
		exec(t, s, rows+received)
	}
	ask := func(sql, from, to string) []string {
		args := []query.Arg{{Name: "from", Value: from}, {Name: "to", Value: to}}
		return text(t, s, "SELECT toString(tuple(*)) FROM ("+sql+")", args...)
	}
	const plain = "SELECT network_id, count() AS events, round(quantileExact(0.5)(delay_s) / 3600, 1), round(max(delay_s) / 3600, 1) " +
		"FROM late_events WHERE time BETWEEN {from:Date} AND {to:Date} + 1 GROUP BY network_id ORDER BY events DESC, network_id"
	found := 0
	for _, days := range []string{"2026-03-08 2026-03-20", "2026-03-10 2026-03-11", "2026-03-09 2026-03-09", "2026-03-01 2026-03-02"} {
		from, to, _ := strings.Cut(days, " ")
		want, got := ask(plain, from, to), ask(recipes[at].SQL, from, to)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-view +recipe):\n%s", days, diff)
		}
		found += len(want)
	}
	if found < 10 {
		t.Errorf("%d networks: nothing was compared", found)
	}
}
