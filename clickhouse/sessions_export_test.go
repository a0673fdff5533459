package clickhouse_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"daybook/clickhouse"
	"daybook/clickhouse/query"
)

// manySessions makes sessions of several blocks, months, zones and partitions, each
// of them stored twice, with ids that are long, empty or of odd bytes.
const manySessions = `INSERT INTO sessions_versions (network_id, user_id, started_at, session_id, device_id, device_class, date, ended_at, duration_s, started_ms, ended_ms,
  end_reason, events, zone, gap_ms, robot, topic, epoch, partition, version, is_deleted)
SELECT 'n', concat('u', char(number %% 251), repeat('x', number %% 150)), toDateTime('2026-01-20 00:00:00', 'UTC') + (number * 7919) %% 5000000 AS at, reinterpretAsUUID(sipHash128(number)),
  if(number %% 3 = 0, '', concat('\0é"', toString(number))), if(number %% 2 = 0, 'web', 'mobile'), toDate(at), at + number %% 4000 AS until, number %% 4000, toUnixTimestamp(at) * 1000,
  toUnixTimestamp(until) * 1000, ['inactivity', 'logged_out', 'cap'][number %% 3 + 1], number, ['UTC', 'Europe/Prague', 'America/St_Johns', 'nowhere'][number %% 4 + 1],
  1800000, number %% 5 = 0, if(number %% 11 = 0, 'older', 'daybook.events'), 1 + number %% 2, number %% 3, %[1]d, number %% 100 < 10 * %[1]d - 10
FROM numbers(40000)`

// An export says of the same sessions, in the same order, what the list says.
func TestExport_SaysWhatTheListSays(t *testing.T) {
	s := open(t)
	for version := 1; version <= 2; version++ {
		exec(t, s, fmt.Sprintf(manySessions, version))
	}
	exec(t, s, "INSERT INTO progress_versions (network_id, topic, epoch, partition, watermark, version) "+
		"SELECT DISTINCT 'n', topic, epoch, partition, toDateTime64('2026-02-10 00:00:00', 3, 'UTC') + INTERVAL partition DAY, 1000 FROM sessions_versions WHERE partition != 2 AND topic != 'older'")
	exec(t, s, "INSERT INTO partitions_versions (topic, epoch, partition, caught_up_at, horizon_ms, updated_at) "+
		"SELECT DISTINCT topic, epoch, partition, NULL, map('n', toInt64(1769731200000)), now64(3) FROM sessions_versions")
	all := query.Sessions{Network: "n", From: query.FirstDate, To: query.LastDate, Limit: query.All}
	one, class, some, days, none := all, all, all, all, all
	one.User, class.DeviceClass, some.Limit, none.Network = "u\x07xxxxxxx", "mobile", 33_333, "m"
	days.From, days.To = date(t, "2026-02-01"), date(t, "2026-02-01")
	for name, tc := range map[string]struct {
		q    query.Sessions
		most int
	}{"all": {all, 40_000}, "of a user": {one, 100}, "of a class": {class, 20_000}, "some": {some, 33_333}, "of a day": {days, 1000}, "none": {none, 0}} {
		want := rows(t, tc.q.Run(t.Context(), s))
		got := exported(t, s, tc.q)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-list +export):\n%.3000s", name, diff)
		}
		if (len(want) == 0) != (tc.most == 0) || len(want) > tc.most {
			t.Errorf("%s: %d sessions", name, len(want))
		}
		seen := map[string]int{}
		for i := range want {
			seen[want[i].Status]++
		}
		if name == "all" && (seen["open"] == 0 || seen["closed"] == 0 || seen["final"] == 0) {
			t.Errorf("not every status was told: %v", seen)
		}
	}
}

// exported gives the rows of an export as those of a list.
func exported(tb testing.TB, s *clickhouse.Store, q query.Sessions) (out []query.Session) {
	tb.Helper()
	for c, err := range q.Export(tb.Context(), s) {
		if err != nil {
			tb.Fatal(err)
		}
		id := c.SessionID
		out = append(out, query.Session{
			NetworkID: q.Network, UserID: string(c.UserID), DeviceID: string(c.DeviceID), DeviceClass: c.DeviceClass,
			SessionID: fmt.Sprintf("%x-%x-%x-%x-%x", id[0:4], id[4:6], id[6:8], id[8:10], id[10:]), Date: c.Date,
			StartedAt: time.Unix(c.StartedAt, 0).UTC(), EndedAt: time.Unix(c.EndedAt, 0).UTC(), DurationS: c.DurationS,
			Status: c.Status, EndReason: c.EndReason, Events: c.Events, Zone: c.Zone, Robot: c.Robot,
		})
	}
	return out
}

// An answer that breaks off does not look like one that has ended.
func TestBlocks_FailureIsNoEnd(t *testing.T) {
	s := open(t)
	late := query.Statement{Text: "SELECT throwIf(number = 3000000, 'too far') AS a, number FROM numbers(4000000)"}
	answer, err := s.Blocks(t.Context(), late)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, answer); n < 1<<20 || !errors.Is(err, clickhouse.ErrPermanent) {
		t.Errorf("read %d bytes to %v, want the refusal behind some rows", n, err)
	}
	if err := answer.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Blocks(t.Context(), query.Statement{Text: "SELECT * FROM nowhere"}); !errors.Is(err, clickhouse.ErrPermanent) {
		t.Errorf("an unknown table: %v, want a refusal", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	if answer, err = s.Blocks(ctx, query.Statement{Text: "SELECT number FROM numbers(100000000)"}); err != nil {
		t.Fatal(err)
	}
	left := errors.New("the client has left")
	cancel(left)
	if _, err := io.Copy(io.Discard, answer); !errors.Is(err, left) || !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v, want the cause", err)
	}
	_ = answer.Close()
}
