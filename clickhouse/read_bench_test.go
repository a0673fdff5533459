package clickhouse_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"daybook/clickhouse"
	"daybook/clickhouse/query"
)

// Size of the tables that reads are measured on: networks × users × days
// session-days, two sessions a day, one row in ten stored twice. 10 million
// with -bench-users=1000.
const (
	benchNetworks = 100
	benchDays     = 100
)

// fillReads makes session-days in the engine itself.
func fillReads(b *testing.B, s *clickhouse.Store, users int) {
	b.Helper()
	n := benchNetworks * users * benchDays
	columns := fmt.Sprintf(`number,
		concat('net', leftPad(toString(intDiv(number, %[1]d) MOD 100), 2, '0')) AS network_id, concat('user-', toString(number MOD %[1]d)) AS user_id,
		addDays(toDate('2026-01-01'), intDiv(number, %[2]d)) AS date, toDateTime(date, 'UTC') + 32400 + (cityHash64(number) MOD 14400) AS started_at,
		toUInt32(cityHash64(number, 1) MOD 3600) AS duration_s, started_at + duration_s AS ended_at, reinterpretAsUUID(toUInt128(number + 1)) AS session_id`,
		users, users*benchNetworks)
	const common, values = `device_id, device_class, zone, topic, epoch, partition, version`,
		`'d', if(number MOD 3 = 0, 'mobile', 'web'), 'UTC', 'daybook.events', 1, number MOD 12, 1 + number MOD 10`
	for _, sql := range []string{
		`INSERT INTO session_days_versions (network_id, user_id, date, session_id, started_at, ended_at, duration_s, runs, session_started_ms, ` + common + `)
		SELECT network_id, user_id, date, session_id, started_at, ended_at, duration_s, [(started_at, ended_at)], 0, ` + values + ` FROM (SELECT ` + columns + ` FROM numbers(%d, %d))`,
		`INSERT INTO sessions_versions (network_id, user_id, date, session_id, started_at, ended_at, duration_s, started_ms, ended_ms, gap_ms, events, end_reason, ` + common + `)
		SELECT network_id, user_id, date, session_id, started_at, ended_at, duration_s, toUnixTimestamp(started_at) * 1000, toUnixTimestamp(ended_at) * 1000, 1800000, 5, 'inactivity', ` + values + ` FROM (SELECT ` + columns + ` FROM numbers(%d, %d))`,
	} {
		exec(b, s, fmt.Sprintf(sql, 0, n)+" SETTINGS max_partitions_per_insert_block = 0")
		exec(b, s, fmt.Sprintf(sql, 0, n/10)+" SETTINGS max_partitions_per_insert_block = 0") // stored twice
	}
}

// BenchmarkReads reports the median and the 99th percentile of the questions
// that ARCHITECTURE.md section 6 sets targets for.
func BenchmarkReads(b *testing.B) {
	s := open(b)
	start := time.Now()
	fillReads(b, s, *benchUsers)
	b.Logf("filled %d session-days in %s", benchNetworks*benchDays**benchUsers, time.Since(start).Round(time.Millisecond))
	first := date(b, "2026-01-01")
	for name, ask := range map[string]func(i int) int{
		"UserDays14": func(i int) int {
			q := query.UserDays{Network: fmt.Sprintf("net%02d", i%benchNetworks), User: fmt.Sprintf("user-%d", i%*benchUsers), From: first + 40, To: first + 53, Limit: 100}
			return len(rows(b, q.Run(b.Context(), s)))
		},
		"DaySessions": func(i int) int {
			q := query.DaySessions{Network: fmt.Sprintf("net%02d", i%benchNetworks), User: fmt.Sprintf("user-%d", i%*benchUsers), From: first + 40, To: first + 40, Limit: 100}
			return len(rows(b, q.Run(b.Context(), s)))
		},
		"NetworkDays90": func(i int) int {
			return len(rows(b, query.NetworkDays{Network: fmt.Sprintf("net%02d", i%benchNetworks), From: first + 5, To: first + 94, Limit: 100}.Run(b.Context(), s)))
		},
		"SessionsPage": func(i int) int {
			return len(rows(b, query.Sessions{Network: fmt.Sprintf("net%02d", i%benchNetworks), From: first + 40, To: first + 46, Limit: 100}.Run(b.Context(), s)))
		},
		"SessionsExport": func(i int) int {
			n := 0
			for _, err := range (query.Sessions{Network: fmt.Sprintf("net%02d", i%benchNetworks), From: first, To: first + 99, Limit: query.All}).Run(b.Context(), s) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			return n
		},
		"Freshness": func(i int) int {
			if _, err := (query.Freshness{Network: fmt.Sprintf("net%02d", i%benchNetworks)}).Ask(b.Context(), s); err != nil {
				b.Fatal(err)
			}
			return 1
		},
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			answered := 0
			before := engineCPU(b, s)
			for i := 0; b.Loop(); i++ {
				start := time.Now()
				n := ask(i * 7919)
				if n == 0 {
					b.Fatal("no rows")
				}
				answered += n
				took = append(took, time.Since(start))
			}
			b.ReportMetric(float64(answered)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64((engineCPU(b, s)-before).Microseconds())/1000/float64(len(took)), "engine-ms")
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
