package clickhouse_test

import (
	"testing"

	"daybook/schemas"
)

// A filter on a column that changes between versions must see the newest only:
// moved in front of FINAL it would bring an older version back to life.
func TestViews_FilterSeesTheNewestVersionOnly(t *testing.T) {
	s := open(t)
	day := at(t, "2026-05-12T08:00:00Z")
	long, short, gone := flush(10), flush(20), flush(30)
	session(long, "n", "u", "b", schemas.ClassMobile, day, day+7_200_000, false)
	session(short, "n", "u", "b", schemas.ClassWeb, day, day+60_000, false)
	session(gone, "n", "u", "b", schemas.ClassWeb, day, day, true)
	const where = " WHERE network_id = 'n' AND user_id = 'u' AND duration_s > 100 AND device_class = 'mobile'"
	count := func(when, want string) {
		t.Helper()
		for _, sql := range []string{
			"SELECT toString(count()) FROM sessions" + where,
			"SELECT toString(count()) FROM session_days" + where,
			"SELECT toString(count()) FROM sessions" + where + " AND ended_at > '2026-05-12 09:00:00' AND events = 2",
			"SELECT toString(count()) FROM session_days" + where + " AND continues_to = 0",
			"SELECT toString(countIf(mobile_s > 0)) FROM daily_users WHERE network_id = 'n'",
			"SELECT toString(countIf(mobile_s > 0)) FROM daily_networks WHERE network_id = 'n' AND date = '2026-05-12'",
		} {
			if got := text(t, s, sql); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s: %v, want %s", when, sql, got, want)
			}
		}
	}
	write(t, s, long)
	count("long and mobile", "1")
	write(t, s, short)
	count("shorter and web", "0")
	write(t, s, gone)
	count("gone", "0")
	if got := text(t, s, "SELECT toString(count()) FROM sessions WHERE duration_s >= 0"); got[0] != "0" {
		t.Errorf("a tombstone hides every version: %s", got[0])
	}
	merge(t, s, "sessions_versions", "session_days_versions")
	count("merged", "0")
}

// The first occurrence of an event wins whatever a filter says of the others.
func TestEvents_FilterSeesTheFirstOccurrenceOnly(t *testing.T) {
	s := open(t)
	first, again := flush(10), flush(20)
	first.Events = []schemas.EventRow{event("n", "u", "1", 5, 1_700_000_000_000)}
	second := event("n", "u", "1", 15, 1_700_000_000_000)
	second.Event.Label = []byte("other")
	again.Events = []schemas.EventRow{second}
	write(t, s, first, again)
	if got := text(t, s, "SELECT toString(count()) FROM events WHERE label = 'other'"); got[0] != "0" {
		t.Errorf("%s events with the label of a repeat", got[0])
	}
}
