package clickhouse_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"daybook/clickhouse"
	"daybook/clickhouse/query"
	"daybook/schemas"
)

// refreshSQL gives the statement that ClickHouse runs by itself every ten
// seconds, without the minute that a day has to rest.
func refreshSQL(t *testing.T, s *clickhouse.Store) string {
	t.Helper()
	// Else it would run beside the test's own, and sometimes in time.
	exec(t, s, "SYSTEM STOP VIEW daily_networks_refresh")
	const rests = "toIntervalSecond(60)"
	sql := text(t, s, "SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = 'daily_networks_refresh'")[0]
	if !strings.Contains(sql, rests) {
		t.Fatalf("no %s in %s", rests, sql)
	}
	return "INSERT INTO daily_networks_stored " + strings.Replace(sql, rests, "toIntervalSecond(-60)", 1)
}

func networkDays(t *testing.T, s *clickhouse.Store, network string) []query.NetworkDay {
	t.Helper()
	return rows(t, query.NetworkDays{Network: network, From: query.FirstDate, To: query.LastDate, Limit: query.All}.Run(t.Context(), s))
}

// exactDays asks the view over the FINAL slices.
func exactDays(t *testing.T, s *clickhouse.Store, network string) []query.NetworkDay {
	t.Helper()
	st := statement(t, query.NetworkDays{Network: network, From: query.FirstDate, To: query.LastDate, Limit: query.All})
	return rows(t, query.Stream(t.Context(), s, func() (query.Statement, error) { return st, nil }, func(r query.Rows, d *query.NetworkDay) error {
		return r.Scan((*int32)(&d.Date), &d.Users, &d.Sessions, &d.DurationS, &d.ActiveS, &d.OverlapS, &d.MobileS, &d.WebS)
	}))
}

// What is stored follows everything that can happen to the slices, and is what
// answers as long as nothing happens.
func TestNetworkDays_StoredValuesFollowTheSlices(t *testing.T) {
	s := open(t)
	refresh := refreshSQL(t, s)
	day := at(t, "2026-03-30T08:00:00Z")
	put := func(next int64, user string, offsetDays int, seconds int64, deleted bool) {
		f := flush(next)
		ms := day + int64(offsetDays)*86_400_000
		session(f, "n", user, "web", schemas.ClassWeb, ms, ms+seconds*1000, deleted)
		write(t, s, f)
	}
	for u := range 5 {
		for d := range 5 { // over the end of a month
			put(int64(10+u), fmt.Sprintf("u%d", u), d, 100, false)
		}
	}
	step := func(name string, change func()) {
		t.Helper()
		before := exactDays(t, s, "n")
		change()
		for _, when := range []string{"", ", then stored", ", then stored again"} {
			want, got := exactDays(t, s, "n"), networkDays(t, s, "n")
			if !slices.Equal(got, want) {
				t.Fatalf("%s%s:\n%v\nwant\n%v", name, when, got, want)
			}
			exec(t, s, refresh)
		}
		if slices.Equal(before, exactDays(t, s, "n")) != strings.HasPrefix(name, "nothing") {
			t.Errorf("%s: unexpected effect", name)
		}
	}
	step("nothing, first", func() {})
	if got := text(t, s, "SELECT toString(count()) FROM daily_networks_stored FINAL WHERE users = 5 AND computed_at > now() - 60"); got[0] != "5" {
		t.Fatalf("%v days are stored, want 5", got)
	}
	step("an event more", func() { put(20, "u1", 2, 900, false) })
	step("nothing: a zombie's old row", func() { put(11, "u1", 2, 100, false) })
	step("nothing: the same again", func() { put(20, "u1", 2, 900, false) })
	step("nothing: a merge", func() { merge(t, s, "session_days_versions") })
	step("a late tombstone", func() { put(21, "u3", 1, 100, true) })
	step("the last session of a day", func() {
		for u := range 5 {
			put(22, fmt.Sprintf("u%d", u), 4, 100, true)
		}
	})
	step("nothing: a merge of tombstones", func() { merge(t, s, "session_days_versions") })
	step("erasure", func() {
		exec(t, s, "ALTER TABLE session_days_versions DELETE WHERE user_id = 'u2' SETTINGS mutations_sync = 2")
	})
	step("lightweight erasure", func() { exec(t, s, "DELETE FROM session_days_versions WHERE user_id = 'u0' AND date < '2026-03-31'") })
	step("retention", func() { exec(t, s, "ALTER TABLE session_days_versions DROP PARTITION 202603") })
	step("history", func() { put(30, "u1", -400, 50, false) })

	// The stored values do answer: one that is made wrong is seen, until the day
	// changes.
	exec(t, s, "INSERT INTO daily_networks_stored SELECT * REPLACE (users + 1000 AS users, computed_at + 1 AS computed_at) FROM daily_networks_stored FINAL WHERE users > 0")
	for _, d := range networkDays(t, s, "n") {
		if d.Users < 1000 {
			t.Errorf("%s was computed though it is stored", d.Date)
		}
	}
	if got := networkDays(t, s, "other"); len(got) > 0 {
		t.Errorf("another network: %v", got)
	}
}

// The pages of a network's days are cut from one list.
func TestNetworkDays_Pages(t *testing.T) {
	s := open(t)
	refresh := refreshSQL(t, s)
	f := flush(9)
	first := at(t, "2026-05-01T08:00:00Z")
	for d := range 9 {
		ms := first + int64(d)*86_400_000
		session(f, "n", "u", "web", schemas.ClassWeb, ms, ms+60_000, false)
	}
	write(t, s, f)
	exec(t, s, refresh)
	f = flush(10) // one day is computed
	session(f, "n", "v", "web", schemas.ClassWeb, first, first+60_000, false)
	write(t, s, f)
	from := query.Date(first / 86_400_000)
	for _, newest := range []bool{false, true} {
		var after *query.Date
		var got []query.Date
		for len(got) < 9 {
			page := rows(t, query.NetworkDays{Network: "n", From: from, To: from + 8, Newest: newest, After: after, Limit: 2}.Run(t.Context(), s))
			if len(page) == 0 || len(page) > 2 {
				t.Fatalf("page of %d days after %v", len(page), after)
			}
			for _, d := range page {
				got = append(got, d.Date)
			}
			after = &got[len(got)-1]
		}
		if newest {
			slices.Reverse(got)
		}
		for i, d := range got {
			if d != from+query.Date(i) {
				t.Errorf("newest %v: %v", newest, got)
				break
			}
		}
	}
}

// moves is a writer's plan: each flush moves a user's session to another day,
// so that an answer of two instants shows the session twice or not at all. The
// state after n flushes is known.
type moves struct {
	network string
	flushes []*schemas.Flush
	states  []string // fingerprint of the answer after n flushes
	begun   atomic.Int64
	done    atomic.Int64
	wrote   chan struct{} // holds one after a flush, closed after the last
}

func planMoves(r *rand.Rand, network string, n int) *moves {
	const first = 1_772_323_200_000 // 2026-03-01, so that all days are of one partition, and visible at once
	m := &moves{network: network, wrote: make(chan struct{}, 1)}
	where := map[string]int64{}
	state := func() string {
		seconds := map[int64]int64{}
		users := map[int64]int64{}
		for user, d := range where {
			users[d]++
			seconds[d] += 100 + int64(user[0])
		}
		var b strings.Builder
		for d := range int64(20) {
			if users[d] > 0 {
				fmt.Fprintf(&b, "%d:%d:%d ", d, users[d], seconds[d])
			}
		}
		return b.String()
	}
	m.states = append(m.states, "")
	for i := range n {
		f := flush(int64(i + 1))
		user := string(rune('a' + r.IntN(6)))
		length := (100 + int64(user[0])) * 1000
		old, known := where[user]
		next := r.Int64N(20)
		if known && next != old {
			ms := first + old*86_400_000
			session(f, network, user, "web", schemas.ClassWeb, ms, ms+length, true)
		}
		ms := first + next*86_400_000
		session(f, network, user, "web", schemas.ClassWeb, ms, ms+length, false)
		where[user] = next
		m.flushes, m.states = append(m.flushes, f), append(m.states, state())
	}
	return m
}

// answer gives the state that the API shows.
func (m *moves) answer(ctx context.Context, s *clickhouse.Store) (string, error) {
	var b strings.Builder
	first := query.Date(1_772_323_200_000 / 86_400_000)
	for d, err := range (query.NetworkDays{Network: m.network, From: first, To: first + 19, Limit: 100}).Run(ctx, s) {
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%d:%d:%d ", d.Date-first, d.Users, d.DurationS)
	}
	return b.String(), nil
}

// contest runs writers, refreshers, merges and readers at once, and counts the
// answers that are not the state at any instant between their begin and end.
func contest(t *testing.T, s *clickhouse.Store, refresh func(ctx context.Context, plans []*moves) error) (wrong, answers int64) {
	t.Helper()
	r := rand.New(rand.NewPCG(5, 5))
	var plans []*moves
	for i := range 3 {
		plans = append(plans, planMoves(r, fmt.Sprintf("net%d", i), 30))
	}
	var (
		bad, asked      atomic.Int64
		written         atomic.Bool
		writers, others errgroup.Group
	)
	for _, m := range plans {
		writers.Go(func() error {
			defer close(m.wrote)
			for _, f := range m.flushes {
				m.begun.Add(1)
				if err := s.Write(t.Context(), f); err != nil {
					return err
				}
				m.done.Add(1)
				select {
				case m.wrote <- struct{}{}:
				default:
				}
				if r := rand.IntN(4); r == 0 { //nolint:gosec // spreads the writes
					time.Sleep(20 * time.Millisecond)
				}
			}
			return nil
		})
		others.Go(func() error {
			for !written.Load() {
				low := m.done.Load()
				got, err := m.answer(t.Context(), s)
				if err != nil {
					return err
				}
				high := m.begun.Load()
				asked.Add(1)
				if !slices.Contains(m.states[low:high+1], got) {
					bad.Add(1)
				}
			}
			return nil
		})
	}
	for range 2 {
		others.Go(func() error {
			for !written.Load() {
				if err := refresh(t.Context(), plans); err != nil {
					return err
				}
			}
			return nil
		})
	}
	others.Go(func() error {
		for !written.Load() {
			if err := s.Exec(t.Context(), "OPTIMIZE TABLE session_days_versions FINAL"); err != nil {
				return err
			}
		}
		return nil
	})
	err := writers.Wait()
	written.Store(true)
	if e := others.Wait(); err == nil {
		err = e
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range plans { // at rest it is the last state
		if got, err := m.answer(t.Context(), s); err != nil || got != m.states[len(m.states)-1] {
			t.Logf("at rest %s: %q, want %q, %v", m.network, got, m.states[len(m.states)-1], err)
			bad.Add(1)
		}
	}
	return bad.Load(), asked.Load()
}

// ARCHITECTURE.md section 4.3: whoever writes, merges and refreshes meanwhile,
// every answer is what the view over the FINAL slices gives at one instant while
// the question runs.
func TestNetworkDays_ExactUnderWritersRefreshesAndMerges(t *testing.T) {
	s := open(t)
	sql := refreshSQL(t, s)
	wrong, answers := contest(t, s, func(ctx context.Context, _ []*moves) error { return s.Exec(ctx, sql) })
	if wrong > 0 || answers < 30 {
		t.Errorf("%d of %d answers are of no instant", wrong, answers)
	}
	if got := text(t, s, "SELECT toString(count()) FROM daily_networks_stored FINAL"); got[0] == "0" {
		t.Error("nothing was stored: the refresh never took part")
	}
}

// The test above can fail: a refresh that takes the fingerprints after it has
// computed stores values as if they were of the rows that came in between.
func TestNetworkDays_FingerprintAfterComputingIsCaught(t *testing.T) {
	const tries = 10 // whether an answer falls between such a refresh and the next change is chance
	answers := int64(0)
	for range tries {
		wrong, n := contestLate(t)
		if answers += n; wrong > 0 {
			return
		}
	}
	t.Errorf("none of %d answers was wrong", answers)
}

// contestLate is a contest in which the fingerprint is taken after the values,
// and a flush later.
func contestLate(t *testing.T) (wrong, answers int64) {
	t.Helper()
	s := open(t)
	_ = refreshSQL(t, s)
	late := func(ctx context.Context, plans []*moves) error {
		for _, m := range plans {
			select {
			case <-m.wrote: // before the values
			default:
			}
			network := m.network
			var days []query.NetworkDay
			st := statement(t, query.NetworkDays{Network: network, From: query.FirstDate, To: query.LastDate, Limit: query.All})
			for d, err := range query.Stream(ctx, s, func() (query.Statement, error) { return st, nil }, func(r query.Rows, d *query.NetworkDay) error {
				return r.Scan((*int32)(&d.Date), &d.Users, &d.Sessions, &d.DurationS, &d.ActiveS, &d.OverlapS, &d.MobileS, &d.WebS)
			}) {
				if err != nil {
					return err
				}
				days = append(days, d)
			}
			if len(days) == 0 {
				continue
			}
			<-m.wrote
			var values []string
			for _, d := range days {
				values = append(values, fmt.Sprintf("(%d, %d, %d)", d.Date, d.Users, d.DurationS))
			}
			if err := s.Exec(ctx, `INSERT INTO daily_networks_stored (network_id, date, users, duration_s, fingerprint, computed_at)
				SELECT f.network_id, f.date, v.2, v.3, f.fingerprint, now64(3) FROM session_day_fingerprints AS f
				INNER JOIN (SELECT arrayJoin([`+strings.Join(values, ", ")+`]) AS v) AS x ON toDate(v.1) = f.date WHERE network_id = '`+network+`'`); err != nil {
				return err
			}
		}
		return nil
	}
	return contest(t, s, late)
}
