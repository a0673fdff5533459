package main

import (
	"fmt"
	"strconv"
	"strings"

	"daybook/schemas"
)

// bug is a mistake that a worker could have made, written into a copy of right
// tables.
type bug struct {
	name  string
	check string // that finds it
	says  string // part of what it says
	deep  bool   // only the comparison with the log can tell
	sql   []string
}

func drop(table, where string) string {
	return fmt.Sprintf("ALTER TABLE %s_versions DELETE WHERE %s SETTINGS mutations_sync = 2", table, where)
}

func change(table, set, where string) string {
	return fmt.Sprintf("ALTER TABLE %s_versions UPDATE %s WHERE %s SETTINGS mutations_sync = 2", table, set, where)
}

// again writes rows once more with other cells.
func again(table, cells, where string) string {
	return fmt.Sprintf("INSERT INTO %s_versions SELECT * REPLACE (%s) FROM (SELECT * FROM %s_versions WHERE %s)", table, cells, table, where)
}

// seededBugs are at least the twenty of TRUST.md section 4. Those of the second
// list leave tables that agree with themselves: only the log tells.
func seededBugs(v *verified) []bug {
	return append(bugsInTables(v), bugsAgainstLog(v)...)
}

// block is the condition on the first ledger block of a user's partition.
func (v *verified) block(who string) string {
	return fmt.Sprintf("block = 0 AND partition = %d", schemas.Partition([]byte(who), int(v.partitions)))
}

const (
	annNight  = "user_id = 'ann' AND device_id = 'phone' AND started_at = '2026-03-28 22:20:00'"
	annClocks = "user_id = 'ann' AND device_id = 'phone' AND started_at = '2026-03-29 00:30:00'"
	evesFirst = "user_id = 'eve' AND started_at = '2026-03-28 12:00:00'"
	nightDays = "user_id = 'ann' AND device_id = 'phone' AND session_started_ms = 1774736400000"
)

func bugsInTables(v *verified) []bug {
	ann, bulk := v.block("alfa/ann"), v.block("gamma/bulk")
	return []bug{
		{"a record is dropped", "ledger", "classes add up to", false, []string{drop("events", "event_id = 'night-3'"), change("ledger", "accepted = accepted - 1", ann)}},
		{"an event's row is dropped", "blocks", "accepted", false, []string{drop("events", "event_id = 'ticket'")}},
		{"an event is counted twice in its session", "sessions", "events 9, counted 8", false, []string{change("sessions", "events = events + 1", annNight)}},
		{"an event of a session is not counted", "sessions", "events 7, counted 8", false, []string{change("sessions", "events = events - 1", annNight)}},
		{"a repeat is accepted", "events", "accepted twice within an hour", false, []string{
			again("events", "time + INTERVAL 30 MINUTE AS time, offset + 2 AS offset, version - 2 AS version", "event_id = 'one' AND toDate(time) = '2026-03-28'"),
			change("ledger", "accepted = accepted + 1, duplicate = duplicate - 1", v.block("alfa/dup")),
		}},
		{"an event is stored at two offsets", "events", "accepted at several offsets", false, []string{
			again("events", "offset + 1 AS offset, version - 1 AS version", "event_id = 'one' AND toDate(time) = '2026-03-28'"),
		}},
		{"the first occurrence does not win", "events", "its version is not that of its offset", false, []string{
			again("events", "version + 5 AS version", "event_id = 'night-1'"), drop("events", "event_id = 'night-1' AND version = bitNot(bitShiftLeft(toUInt64(epoch), 48) + offset)"),
		}},
		{"a version is from the future", "versions", "the log ends at", false, []string{again("sessions", "version + 1000000 AS version", annNight)}},
		{"an event is from the future", "versions", "the log ends at", false, []string{
			again("events", "'later' AS event_id, offset + 1000000 AS offset, version - 1000000 AS version", "event_id = 'night-1'"),
		}},
		{"a version goes back", "sessions", "is not above its newest event", false, []string{
			again("sessions", "version - 5000 AS version, ended_ms + 0 AS ended_ms", annNight), drop("sessions", annNight+" AND version = (SELECT max(version) FROM sessions_versions WHERE "+annNight+")"),
		}},
		{"one version has two contents", "contents", "one version has 2 contents", false, []string{again("sessions", "events + 1 AS events", "user_id = 'bulk'")}},
		{"a slice is off by a day", "slices", "a run is not on its slice's date", false, []string{
			again("session_days", "date + 1 AS date", annDay("2026-03-29")), drop("session_days", annDay("2026-03-29")),
		}},
		{"a slice's seconds are wrong", "slices", "slices add up to", false, []string{change("session_days", "duration_s = duration_s + 60", annDay("2026-03-29"))}},
		{"a slice is lost", "slices", "slices add up to", false, []string{drop("session_days", annDay("2026-03-29"))}},
		{"a slice counts its session again", "slices", "continues_from", false, []string{change("session_days", "continues_from = false", annDay("2026-03-29"))}},
		{"a rollup does not follow a merge", "daily_users", "duration_s", false, append(
			frozen("daily_users"), "INSERT INTO daily_users SELECT * REPLACE (duration_s + 600 AS duration_s, active_s + 600 AS active_s) FROM frozen WHERE user_id = 'late' AND date = '2026-03-28'",
			"INSERT INTO daily_users SELECT * FROM frozen WHERE NOT (user_id = 'late' AND date = '2026-03-28')")},
		{"a rollup forgets a day", "daily_networks", "the day is missing", false, append(
			frozen("daily_networks"), "INSERT INTO daily_networks SELECT * FROM frozen WHERE NOT (network_id = 'beta' AND date = '2026-03-28')")},
		{"a stored day is not what its slices give", "daily_networks_stored", "beta 2026-03-28", false, []string{storedDays, strings.Replace(storedDays, "users,", "users + 1,", 1) + " WHERE network_id = 'beta' AND date = '2026-03-28'"}},
		{"a tombstone is forgotten", "sessions", "ghost", false, []string{
			again("sessions", "toDateTime('2026-03-28 22:30:00', 'UTC') AS started_at, started_ms + 600000 AS started_ms, generateUUIDv4() AS session_id", annNight),
		}},
		{"a slice's tombstone is forgotten", "ghosts", "ghost", false, []string{again("session_days", "generateUUIDv4() AS session_id", annDay("2026-03-29"))}},
		{"sessions overlap", "apart", "overlaps", false, []string{change("sessions", "ended_ms = ended_ms + 7200000, ended_at = ended_at + 7200, duration_s = duration_s + 7200", annNight)}},
		{"a session is lost", "sessions", "missing", false, []string{drop("sessions", annClocks), drop("session_days", "user_id = 'ann' AND session_started_ms = 1774744200000")}},
		{"the gap is not respected", "sessions", "missing", false, []string{
			drop("sessions", "user_id = 'eve' AND started_at = '2026-03-28 12:06:00'"), drop("session_days", "user_id = 'eve' AND started_at = '2026-03-28 12:06:00'"),
			change("sessions", "ended_ms = ended_ms + 360000, ended_at = ended_at + 360, duration_s = 360, events = 2", evesFirst),
			change("session_days", "ended_at = ended_at + 360, duration_s = 360, runs = [(started_at, ended_at + 360)]", "user_id = 'eve' AND started_at = '2026-03-28 12:00:00'"),
		}},
		{"the cap is not respected", "apart", "more than 24 h", false, []string{
			change("sessions", "ended_ms = ended_ms + 86400000, ended_at = ended_at + 86400, duration_s = duration_s + 86400, events = 122, end_reason = 'inactivity'", "user_id = 'cap' AND started_at < '2026-03-28 00:00:00'"),
			drop("sessions", "user_id = 'cap' AND started_at >= '2026-03-28 00:00:00'"),
		}},
		{"an end has the wrong reason", "sessions", "end_reason inactivity, by the events logged_out", false, []string{change("sessions", "end_reason = 'inactivity'", "end_reason = 'logged_out'")}},
		{"a session has the wrong class", "sessions", "device_class web, earliest event mobile", false, []string{change("sessions", "device_class = 'web'", annNight)}},
		{"an event has the wrong zone", "stamps", "zone Europe/Berlin, on record Asia/Tokyo", false, []string{change("events", "zone = 'Europe/Berlin'", "event_id = 'after-1'")}},
		{"an event has the wrong gap", "stamps", "gap 300000 ms, in force 1200000", false, []string{change("events", "gap_ms = 300000", "event_id = 'between'")}},
		{"an event has the wrong period", "stamps", "recording period 0, by the setting 1", false, []string{change("events", "recording_period = 0", "event_id = 'first' AND user_id = 'dark'")}},
		{"an event is accepted that was not to be recorded", "stamps", "nothing was recorded then", false, []string{
			again("events", "'unseen' AS event_id, time + INTERVAL 10 MINUTE AS time, offset + 1 AS offset, version - 1 AS version", "event_id = 'last' AND user_id = 'dark'"),
		}},
		{"the ledger has a hole", "ledger", "hole", false, []string{drop("ledger", bulk)}},
		{"the ledger has the wrong class", "blocks", "accepted", false, []string{change("ledger", "accepted = accepted - 1, duplicate = duplicate + 1", bulk)}},
		{"offsets are skipped that nobody gave up", "gaps", "passed over as a gap", false, []string{
			change("ledger", "duplicate = duplicate - 1, skipped = mapUpdate(skipped, map('gap', toUInt32(1)))", v.block("alfa/dup")),
		}},
		{"a reject is lost", "blocks", "rejected", false, []string{drop("rejects", "reason = 'not_json' AND raw_bytes = 8")}},
		{"an offset is committed past the rows", "positions", "is committed, rows are stored up to", false, []string{drop("ledger", "NOT ("+bulk+") AND partition = "+v.at("gamma/bulk"))}},
		{"a setting's history is lost", "stamps", "no setting of its network precedes it", false, []string{drop("settings_history", "network_id = 'beta'")}},
		{"a fact about a user is lost", "facts", "its fact is not", false, []string{drop("user_facts", "user_id = 'bob' AND zone = 'Asia/Tokyo'")}},
		{"a fact forgets what was known", "facts", "it lacks what an earlier fact said", false, []string{change("user_facts", "name = ''", "user_id = 'bob' AND zone = 'Europe/London'")}},
		{"a user is not listed", "users", "is not listed", false, []string{drop("users", "user_id = 'late'")}},
		{"a user's zone is an older one", "users", "newest fact Europe/London", false, []string{change("users", "zone = 'Asia/Tokyo'", "user_id = 'bob'")}},
		{"progress is ahead", "progress", "watermark", false, []string{change("progress", "watermark = watermark + INTERVAL 3 SECOND", "network_id = 'beta'")}},
	}
}

// annDay is the condition on the slice of Ann's night on a date.
func annDay(date string) string { return nightDays + " AND date = '" + date + "'" }

// storedDays stores every day as the refresh would once it rests.
const storedDays = "INSERT INTO daily_networks_stored SELECT network_id, date, users, sessions, duration_s, active_s, overlap_s, mobile_s, web_s, fingerprint, now64(3)\n" +
	"FROM daily_networks INNER JOIN session_day_fingerprints USING (network_id, date)"

// frozen makes a table of a view, empty, with what the view says in "frozen".
func frozen(view string) []string {
	return []string{
		"CREATE TABLE frozen ENGINE = MergeTree ORDER BY tuple() AS SELECT * FROM " + view,
		"DROP VIEW " + view,
		"CREATE TABLE " + view + " AS frozen",
	}
}

func (v *verified) at(who string) string {
	return strconv.Itoa(int(schemas.Partition([]byte(who), int(v.partitions))))
}

func bugsAgainstLog(v *verified) []bug {
	booked := change("ledger", "accepted = accepted - 1, duplicate = duplicate + 1", v.block("alfa/ann"))
	return []bug{
		{"a record is dropped and booked as a repeat", "deep events", "it is not stored", true, []string{drop("events", "event_id = 'ticket'"), booked}},
		{"a record is dropped at every level", "deep sessions", "events 7, by the log 8", true, []string{
			drop("events", "event_id = 'night-3'"), booked, change("sessions", "events = events - 1", annNight),
		}},
		{"bytes of a reject are changed", "deep rejects", "raw", true, []string{change("rejects", "raw = 'not JSON'", "reason = 'not_json' AND raw_bytes = 8")}},
		{"a reject has the wrong reason", "deep rejects", "reason", true, []string{
			change("rejects", "reason = 'empty'", "reason = 'no_user'"),
			change("ledger", "rejected = mapUpdate(mapFilter((k, x) -> k != 'no_user', rejected), map('empty', toUInt32(1)))", v.block("alfa/bad")),
		}},
		{"an event's text is changed", "deep events", "props", true, []string{change("events", "props = '{\"a\":2}'", "event_id = 'agent'")}},
		{"an event was received at another time", "deep events", "receivedms", true, []string{change("events", "received_at = received_at + 1", "event_id = 'ticket'")}},
		{"a conflict is not counted", "deep ledger", "conflicts", true, []string{change("ledger", "conflicts = 0", v.block("alfa/dup"))}},
		{"what is not recorded is booked as a repeat", "deep ledger", "notrecorded", true, []string{
			change("ledger", "not_recorded = mapFilter((k, x) -> k != 'recording_disabled', not_recorded), duplicate = duplicate + 1", v.block("alfa/dark")),
		}},
		{"a session's id is another hash", "deep sessions", "id ", true, []string{
			again("sessions", "toUUID('00000000-0000-0000-0000-000000000001') AS session_id", evesFirst), drop("sessions", evesFirst+" AND session_id != toUUID('00000000-0000-0000-0000-000000000001')"),
			again("session_days", "toUUID('00000000-0000-0000-0000-000000000001') AS session_id", "user_id = 'eve' AND session_started_ms = 1774699200000"),
			drop("session_days", "user_id = 'eve' AND session_started_ms = 1774699200000 AND session_id != toUUID('00000000-0000-0000-0000-000000000001')"),
		}},
		{"a title is lost", "deep settings_history", "title", true, []string{change("settings_history", "title = ''", "network_id = 'alfa'")}},
	}
}
