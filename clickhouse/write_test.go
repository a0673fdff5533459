package clickhouse_test

import (
	"slices"
	"strings"
	"testing"

	"daybook/clickhouse"
	"daybook/schemas"
)

const (
	sessionsSQL = "SELECT concat(user_id, ' ', toString(started_at), ' ', toString(ended_at), ' ', toString(duration_s)) FROM sessions ORDER BY user_id, started_at, device_id"
	totalsSQL   = "SELECT concat(toString((SELECT count() FROM sessions)), ' ', toString((SELECT sum(duration_s) FROM sessions)), ' '," +
		" toString((SELECT sum(duration_s) FROM session_days)), ' ', toString((SELECT sum(sessions) FROM daily_users)), ' '," +
		" toString((SELECT sum(sessions) FROM daily_networks)), ' ', toString((SELECT sum(active_s) FROM daily_networks)), ' ', toString((SELECT count() FROM events)))"
)

// A session grows, is moved by a late event, and is merged with another: three
// flushes of one log.
func history(t *testing.T) []*schemas.Flush {
	t.Helper()
	web := schemas.ClassWeb
	a := flush(10)
	a.Events = []schemas.EventRow{event("n", "u", "1", 3, at(t, "2026-03-10T09:00:00.500Z")), event("n", "u", "2", 9, at(t, "2026-03-10T09:20:00Z"))}
	session(a, "n", "u", "web", web, at(t, "2026-03-10T09:00:00.500Z"), at(t, "2026-03-10T09:20:00Z"), false)
	b := flush(20)
	b.Events = []schemas.EventRow{event("n", "u", "3", 15, at(t, "2026-03-10T10:05:00Z"))}
	session(b, "n", "u", "web", web, at(t, "2026-03-10T10:05:00Z"), at(t, "2026-03-10T10:05:00Z"), false)
	c := flush(30) // 08:45 and 09:40 arrive late: all one session from 08:45 on
	c.Events = []schemas.EventRow{event("n", "u", "4", 25, at(t, "2026-03-10T08:45:00Z")), event("n", "u", "5", 26, at(t, "2026-03-10T09:40:00Z"))}
	session(c, "n", "u", "web", web, at(t, "2026-03-10T09:00:00.500Z"), 0, true)
	session(c, "n", "u", "web", web, at(t, "2026-03-10T10:05:00Z"), 0, true)
	for _, start := range []string{"2026-03-10T09:00:00.500Z", "2026-03-10T10:05:00Z"} {
		ms := at(t, start)
		c.Slices = append(c.Slices, schemas.SliceRow{Session: schemas.SessionID("n", "u", "web", ms), Network: "n", User: "u", Date: int32(ms / 86_400_000), Deleted: true})
	}
	session(c, "n", "u", "web", web, at(t, "2026-03-10T08:45:00Z"), at(t, "2026-03-10T10:05:00Z"), false)
	return []*schemas.Flush{a, b, c}
}

// I6, ARCHITECTURE.md section 4.2: whatever is written twice, late, in another
// order or by two writers, before or after merges, the SQL that a person would
// write gives the right number.
func TestWrite_AnyOrderAndRepetitionGivesTheSameAnswers(t *testing.T) {
	const want = "1 4800 4800 1 1 4800 5"
	base := []string{"events_versions", "sessions_versions", "session_days_versions"}
	orders := map[string][]int{
		"in order": {0, 1, 2}, "twice": {0, 0, 1, 1, 2, 2}, "a late writer": {0, 1, 2, 0, 1}, "backwards": {2, 1, 0}, "last only, then all": {2, 0, 1, 2},
	}
	for name, order := range orders {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			h := history(t)
			for i, k := range order {
				write(t, s, h[k])
				if i == 1 {
					merge(t, s, base...)
				}
			}
			check := func(when string) {
				if got := text(t, s, totalsSQL); got[0] != want {
					t.Errorf("%s: got %v, want %s", when, got, want)
				}
				if got := text(t, s, sessionsSQL); !slices.Equal(got, []string{"u 2026-03-10 08:45:00 2026-03-10 10:05:00 4800"}) {
					t.Errorf("%s: sessions %v", when, got)
				}
			}
			check("before merges")
			merge(t, s, base...)
			check("after merges")
			write(t, s, h[0])
			check("after a zombie's write")
		})
	}
}

// Truncation comes before the difference (SEMANTICS.md section 6): 09:00:00.500
// to 09:20:00.000 shows 1200 s.
func TestWrite_SecondsAreTruncatedBeforeTheDifference(t *testing.T) {
	s := open(t)
	write(t, s, history(t)[0])
	if got := text(t, s, sessionsSQL); len(got) != 1 || got[0] != "u 2026-03-10 09:00:00 2026-03-10 09:20:00 1200" {
		t.Error(got)
	}
}

// One flush over more than a hundred partitions: history of eleven years.
func TestWrite_FlushOverMoreThanAHundredMonths(t *testing.T) {
	s := open(t)
	f := flush(300)
	for i := range 130 {
		ms := at(t, "1995-01-15T12:00:00Z") + int64(i)*31*86_400_000
		f.Events = append(f.Events, event("n", "u", "id", int64(i), ms))
		session(f, "n", "u", "web", schemas.ClassWeb, ms, ms, false)
	}
	write(t, s, f)
	if got := text(t, s, totalsSQL); got[0] != "130 0 0 130 130 0 130" {
		t.Error(got)
	}
}

// Of several rows with one identity the first occurrence stays, whoever wrote
// last: the rows below an offset are what was accepted below it.
func TestWrite_FirstOccurrenceOfAnEventStays(t *testing.T) {
	s := open(t)
	first, again := flush(10), flush(20)
	first.Events = []schemas.EventRow{event("n", "u", "1", 5, 1_700_000_000_000)}
	again.Events = []schemas.EventRow{event("n", "u", "1", 15, 1_700_000_000_000)}
	write(t, s, again, first, again)
	for range 2 {
		if got := text(t, s, "SELECT toString(offset) FROM events"); len(got) != 1 || got[0] != "5" {
			t.Errorf("offset %v, want 5", got)
		}
		merge(t, s, "events_versions")
	}
}

func TestWrite_TellsTheHookOfEveryInsert(t *testing.T) {
	var told []string
	s := open(t, func(o *clickhouse.Options) {
		o.OnInsert = func(i clickhouse.InsertStats) {
			if i.Err != nil || i.Attempts != 1 || i.Bytes == 0 {
				t.Errorf("%+v", i)
			}
			told = append(told, i.Table)
		}
	})
	f := flush(2)
	f.Events = []schemas.EventRow{event("n", "u", "1", 1, 1_700_000_000_000)}
	f.Ledger = []schemas.LedgerRow{{Size: 100_000, Next: 2, Accepted: 1}}
	write(t, s, f)
	if got := strings.Join(told, " "); got != "events_versions ledger_versions" {
		t.Errorf("told of %s: events come first, the ledger last, empty tables not at all", got)
	}
}
