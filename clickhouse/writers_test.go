package clickhouse_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"daybook/clickhouse"
	"daybook/schemas"
)

// identity → what the log says of it last: the reference of the test below.
type reference map[[16]byte]struct {
	next    int64
	session schemas.SessionRow
}

// log makes flushes as a partition's worker would: each changes sessions of a
// few users, grows them, retires some, and brings some back.
func randomLog(r *rand.Rand, flushes int) ([]*schemas.Flush, reference) {
	const day = 86_400_000
	ref := reference{}
	var all []*schemas.Flush
	for i := range flushes {
		f := flush(int64(10 * (i + 1)))
		for range 6 {
			user, device := fmt.Sprintf("u%d", r.IntN(3)), fmt.Sprintf("d%d", r.IntN(2))
			start := 1_770_000_000_000 + int64(r.IntN(4))*day + int64(r.IntN(3))*3_600_000
			id := schemas.SessionID("n", user, device, start)
			if slices.ContainsFunc(f.Sessions, func(s schemas.SessionRow) bool { return s.ID == id }) {
				continue // one content a version
			}
			session(f, "n", user, device, schemas.DeviceClass(1+r.IntN(2)), start, start+int64(r.IntN(3600_000)), r.IntN(3) == 0)
			last := f.Sessions[len(f.Sessions)-1]
			ref[id] = struct {
				next    int64
				session schemas.SessionRow
			}{f.Next, last}
		}
		all = append(all, f)
	}
	return all, ref
}

// answers is what the reference says the plain SQL gives.
func (ref reference) answers() string {
	sessions, duration := 0, int64(0)
	days := map[string][][2]int64{}
	for _, v := range ref {
		if v.session.Deleted {
			continue
		}
		sessions++
		from, to := v.session.StartMs/1000, v.session.EndMs/1000
		duration += to - from
		for d := from / 86400; d <= to/86400; d++ {
			key := fmt.Sprint(v.session.User, d)
			days[key] = append(days[key], [2]int64{max(from, d*86400), min(to, (d+1)*86400)})
		}
	}
	union := int64(0)
	for _, runs := range days {
		slices.SortFunc(runs, func(a, b [2]int64) int { return int(a[0] - b[0]) })
		end := int64(0)
		for _, run := range runs {
			union += max(0, run[1]-max(run[0], end))
			end = max(end, run[1])
		}
	}
	return fmt.Sprintf("%d %d %d %d %d", sessions, duration, duration, sessions, union)
}

// ARCHITECTURE.md section 4, the guarantee: two writers, each with its own pace,
// repeats and delays, while parts merge; then a zombie writes an old flush.
func TestWrite_TwoWritersAtOnceGiveTheReference(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			log, ref := randomLog(r, 8)
			s := open(t)
			var group errgroup.Group
			for range 2 {
				order := slices.Concat(log, log[:4])
				r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
				group.Go(func() error { return writeAll(t, s, order) })
			}
			merge(t, s, "sessions_versions", "session_days_versions")
			if err := group.Wait(); err != nil {
				t.Fatal(err)
			}
			const sql = "SELECT concat(toString((SELECT count() FROM sessions)), ' ', toString((SELECT sum(duration_s) FROM sessions)), ' '," +
				" toString((SELECT sum(duration_s) FROM session_days)), ' ', toString((SELECT sum(sessions) FROM daily_networks)), ' '," +
				" toString((SELECT sum(active_s) FROM daily_networks)))"
			for _, when := range []string{"as written", "merged", "after a zombie"} {
				switch when {
				case "merged":
					merge(t, s, "sessions_versions", "session_days_versions")
				case "after a zombie":
					write(t, s, log[0], log[3])
				}
				if got := text(t, s, sql); got[0] != ref.answers() {
					t.Errorf("%s: got %s, want %s", when, strings.Join(got, ""), ref.answers())
				}
			}
		})
	}
}

func writeAll(t *testing.T, s *clickhouse.Store, order []*schemas.Flush) error {
	t.Helper()
	var errs []error
	for _, f := range order {
		errs = append(errs, s.Write(t.Context(), f))
	}
	return errors.Join(errs...)
}
