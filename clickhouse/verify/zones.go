package verify

import (
	"context"
	"fmt"
	"time"

	"daybook/clickhouse/query"
	"daybook/schemas/zones"
)

// changesPerRead bounds the offsets of zones that one statement carries: a server
// takes 128 KB a parameter, an instant has some 11 bytes.
const changesPerRead = 5_000

// zoneTable is the offsets from UTC of some zones, by the checker's database.
type zoneTable struct {
	names          []string
	froms, offsets [][]int64 // by zone: from an instant on, seconds
	changes        int
}

// checkSlices runs the check of slices with the offsets of the zones that the
// scope's sessions have, a bounded number of them at a time.
func (r *run) checkSlices(ctx context.Context, s *scope) error {
	if !r.wants("slices") {
		return nil
	}
	var tables []*zoneTable
	st := query.Statement{Text: "SELECT toString(zone), toInt64(min(toUnixTimestamp(started_at))), toInt64(max(toUnixTimestamp(ended_at)))\n" +
		"FROM sessions_versions FINAL WHERE " + s.users + " GROUP BY zone ORDER BY zone"}
	for _, a := range s.args {
		switch a.Name {
		case "from_network", "from_user", "to_network", "to_user":
			st.Args = append(st.Args, a)
		}
	}
	err := r.each(ctx, st, func(rows query.Rows) error {
		var name string
		var from, to int64
		if err := rows.Scan(&name, &from, &to); err != nil {
			return err
		}
		if n := len(tables); n == 0 || tables[n-1].changes > changesPerRead {
			tables = append(tables, new(zoneTable))
		}
		tables[len(tables)-1].add(name, from, to)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read zones: %w", err)
	}
	r.report.Check("P4", "slices")
	for _, t := range tables {
		c := *s
		c.args = append([]query.Arg(nil), s.args...)
		c.with("zone_names", t.names).with("zone_froms", t.froms).with("zone_offsets", t.offsets)
		if err := r.judge(ctx, "P4", "slices", &c); err != nil {
			return err
		}
	}
	return nil
}

// add takes in the offsets of a zone from one instant to another. A name that
// the database lacks counts as UTC, as it does where local dates are made.
func (t *zoneTable) add(name string, from, to int64) {
	loc, err := zones.Load(name)
	if err != nil {
		loc = time.UTC
	}
	first := time.Unix(from-86_400, 0).In(loc)
	_, offset := first.Zone()
	froms, offsets := []int64{-1 << 40}, []int64{int64(offset)}
	for _, next := first.ZoneBounds(); !next.IsZero() && next.Unix() <= to+86_400; _, next = next.ZoneBounds() {
		if _, o := next.Zone(); int64(o) != offsets[len(offsets)-1] {
			froms, offsets = append(froms, next.Unix()), append(offsets, int64(o))
		}
	}
	t.names, t.froms, t.offsets = append(t.names, name), append(t.froms, froms), append(t.offsets, offsets)
	t.changes += len(froms)
}
