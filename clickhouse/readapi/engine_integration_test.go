package readapi_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"daybook/clickhouse"
	"daybook/clickhouse/query"
	"daybook/clickhouse/readapi"
)

// bulkSessions writes n sessions of one network in the engine itself.
const bulkSessions = `INSERT INTO sessions_versions (network_id, user_id, started_at, session_id, device_id, device_class, date, ended_at, duration_s, started_ms, ended_ms, end_reason, events, zone, gap_ms, topic, epoch, partition, version)
SELECT 'acme', concat('user-', toString(number % 5000)), toDateTime('2026-03-01 00:00:00', 'UTC') + number % 1000000, generateUUIDv4(), 'd', 'web',
  toDate(toDateTime('2026-03-01 00:00:00', 'UTC') + number % 1000000), toDateTime('2026-03-01 00:00:00', 'UTC') + number % 1000000, 0, 0, 0, 'inactivity', 1, 'UTC', 1800000, 'daybook.events', 1, 0, number
FROM numbers(600000)`

// A client that goes away cancels its query: none is left in the engine.
func TestEngine_NoQueryIsLeftOfAClientThatWentAway(t *testing.T) {
	store := company(t).store()
	if err := store.Exec(t.Context(), bulkSessions); err != nil {
		t.Fatal(err)
	}
	s := serve(t, store)
	ctx, cancel := context.WithCancel(t.Context())
	response := s.open(t, ctx, sessionsCSV)
	defer response.Body.Close()
	if _, err := bufio.NewReader(response.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if n := running(t, store); n == 0 {
		t.Skip("the export was over before it could be cancelled")
	}
	cancel()
	for deadline := time.Now().Add(20 * time.Second); running(t, store) > 0; {
		if time.Now().After(deadline) {
			t.Fatal("the query is still running 20 s after its client went away")
		}
	}
}

// running counts exports in the engine.
func running(t *testing.T, store *clickhouse.Store) int {
	t.Helper()
	rows, err := store.Query(t.Context(), query.Statement{
		Text: "SELECT toInt64(count()) FROM system.processes WHERE position(query, 'FROM sessions') > 0 AND position(query, 'system.processes') = 0",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var n int64
	for rows.Next() {
		if err := rows.Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return int(n)
}

// complete_through: null while unowned, the watermark while behind, else the
// last empty fetch less out_of_orderness (INTERFACES.md section 2).
func TestFreshness_FollowsOwnerAndWatermark(t *testing.T) {
	store := company(t).store()
	at := now
	s := serve(t, store, func(c *readapi.Config) { c.Clock = func() time.Time { return at } })
	for _, step := range []struct{ name, values, want string }{
		{"behind", "NULL, 60000, false", now.Add(-time.Minute).Format(time.RFC3339)},
		{"caught up", "toDateTime64('2026-03-14 12:59:30', 3, 'UTC'), 60000, false", "2026-03-14T12:58:30Z"},
		{"released", "toDateTime64('2026-03-14 12:59:30', 3, 'UTC'), 60000, true", "null"},
	} {
		err := store.Exec(t.Context(), `INSERT INTO partitions_versions
			(topic, epoch, partition, worker, next_offset, log_end, caught_up_at, out_of_orderness_ms, released, updated_at, version)
			SELECT 'daybook.events', 1, 0, 'w', 100, 100, `+step.values+`, now64(3), toUInt64(toUnixTimestamp64Micro(now64(6)))`)
		if err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Second) // a report serves for a quarter of that
		for _, path := range []string{annaRecord, "/v1/networks/acme", "/v1/networks/acme/sessions"} {
			r := s.do(http.MethodGet, path, "")
			if got := r.header.Get("Daybook-Complete-Through"); got != step.want || !strings.Contains(r.body, strings.Trim(step.want, `"`)) {
				t.Errorf("%s: %s: complete through %q, want %q", step.name, path, got, step.want)
			}
		}
	}
}

// Sessions and rollups agree with the record they are taken from.
func TestRollups_AgreeWithSessionsAndRecord(t *testing.T) {
	s := serve(t, company(t).store())
	type rollup struct {
		dayItem

		Users int `json:"users"`
	}
	const all = "?from=2025-01-01&to=2026-12-31"
	var network, anna answerOf[rollup]
	s.get("/v1/networks/acme/rollups/daily"+all, &network)
	s.get("/v1/networks/acme/rollups/daily"+all+"&user=anna", &anna)
	var sessions answerOf[sessionItem]
	s.get("/v1/networks/acme/sessions"+all, &sessions)
	seconds, counted := 0, 0
	for _, d := range network.Items {
		seconds, counted = seconds+d.DurationS, counted+d.Sessions
		if d.Date == "2026-03-13" && d.Users != 3 {
			t.Errorf("13 March: %d users, want 3", d.Users)
		}
	}
	want := 0
	for _, r := range sessions.Items {
		want += r.DurationS
	}
	if seconds != want || counted != len(sessions.Items) {
		t.Errorf("rollups: %d s in %d sessions, want %d in %d", seconds, counted, want, len(sessions.Items))
	}
	if len(anna.Items) != 7 || anna.Items[0].Date != "2025-10-24" || anna.Items[4].DurationS != 11100 {
		t.Errorf("one user's rollups %+v", anna.Items)
	}
	mobile := answerOf[sessionItem]{}
	s.get("/v1/networks/acme/sessions"+all+"&user=anna&device_class=mobile", &mobile)
	if len(mobile.Items) != 3 {
		t.Errorf("%d mobile sessions, want 3", len(mobile.Items))
	}
	r := s.do(http.MethodGet, "/v1/networks/acme/rollups/daily"+all+"&format=csv", "")
	if !strings.HasPrefix(r.body, "date,users,sessions,duration_s,active_s,overlap_s,mobile_s,web_s\r\n2025-10-24,1,1,") {
		t.Errorf("csv:\n%s", r.body)
	}
}
