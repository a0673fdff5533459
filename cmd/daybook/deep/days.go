package deep

import (
	"cmp"
	"context"
	"slices"

	"daybook/clickhouse/verify"
	"daybook/pipeline/reference"
)

// userDays compares daily_users for the users who have slices on the partition:
// the view itself has none. A day without any slice is found where the view is
// compared with the slices.
func (d *reader) userDays() error {
	all := daysOf(d.h.Slices)
	return compare(d, table[verify.UserDayKey, verify.UserDayRow]{
		name: "daily_users", n: len(all),
		key:    func(i int) verify.UserDayKey { return all[i].UserDayKey },
		row:    func(i int) (verify.UserDayRow, error) { return all[i], nil },
		of:     func(x verify.UserDayRow) verify.UserDayKey { return x.UserDayKey },
		judged: func(k verify.UserDayKey) bool { return d.h.judged(k.Network, k.User) },
		stored: verify.Rows[verify.UserDayRow](d.ctx, d.db,
			"daily_users WHERE (network_id, user_id) IN (SELECT network_id, user_id FROM session_days_versions WHERE "+here+")", d.args()...),
	})
}

// daysOf adds up slices by user and date.
func daysOf(all []reference.Slice) []verify.UserDayRow {
	type day struct {
		row  verify.UserDayRow
		runs [][2]int64
	}
	days := map[verify.UserDayKey]*day{}
	for i := range all {
		s := &all[i]
		k := verify.UserDayKey{Network: s.Network, User: s.User, Date: s.Date}
		d := days[k]
		if d == nil {
			d = &day{row: verify.UserDayRow{UserDayKey: k}}
			days[k] = d
		}
		if !s.ContinuesFrom {
			d.row.Sessions++
		}
		d.row.Duration += int64(s.Seconds)
		if s.Class.String() == "mobile" {
			d.row.Mobile += int64(s.Seconds)
		} else {
			d.row.Web += int64(s.Seconds)
		}
		d.runs = append(d.runs, s.Runs...)
	}
	out := make([]verify.UserDayRow, 0, len(days))
	for _, d := range days {
		d.row.Active = union(d.runs)
		d.row.Overlap = d.row.Duration - d.row.Active
		out = append(out, d.row)
	}
	return out
}

// union gives the seconds that at least one run covers.
func union(runs [][2]int64) (seconds int64) {
	slices.SortFunc(runs, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
	reached := int64(-1 << 62)
	for _, r := range runs {
		seconds += max(0, r[1]-max(r[0], reached))
		reached = max(reached, r[1])
	}
	return seconds
}

// networkDays adds up the days of all partitions.
type networkDays struct {
	rows   map[verify.NetworkDayKey]*verify.NetworkDayRow
	untold map[verify.NetworkDayKey]bool // a user of whom it cannot be told has a slice there
	open   map[string]bool               // networks of users who may have slices that no log here tells of
	places []*verify.Place
}

func newNetworkDays() *networkDays {
	return &networkDays{rows: map[verify.NetworkDayKey]*verify.NetworkDayRow{}, untold: map[verify.NetworkDayKey]bool{}, open: map[string]bool{}}
}

func (n *networkDays) add(h *history) {
	n.places = append(n.places, h.place)
	for u := range h.earlier {
		n.open[u.Network] = true
	}
	for _, d := range daysOf(h.Slices) {
		k := verify.NetworkDayKey{Network: d.Network, Date: d.Date}
		row := n.rows[k]
		if row == nil {
			row = &verify.NetworkDayRow{NetworkDayKey: k}
			n.rows[k] = row
		}
		row.Users++
		row.Sessions += d.Sessions
		row.Duration += d.Duration
		row.Active += d.Active
		row.Overlap += d.Overlap
		row.Mobile += d.Mobile
		row.Web += d.Web
		if !h.judged(d.Network, d.User) {
			n.untold[k] = true
		}
	}
}

// compareNetworkDays compares daily_networks, once the days of every partition
// are added up.
func (r *run) compareNetworkDays(ctx context.Context) error {
	n := r.days
	all := make([]*verify.NetworkDayRow, 0, len(n.rows))
	for _, row := range n.rows {
		all = append(all, row)
	}
	d := &reader{run: r, ctx: ctx}
	return compare(d, table[verify.NetworkDayKey, verify.NetworkDayRow]{
		name: "daily_networks", n: len(all),
		key:    func(i int) verify.NetworkDayKey { return all[i].NetworkDayKey },
		row:    func(i int) (verify.NetworkDayRow, error) { return *all[i], nil },
		of:     func(x verify.NetworkDayRow) verify.NetworkDayKey { return x.NetworkDayKey },
		judged: func(k verify.NetworkDayKey) bool { return !n.untold[k] && !n.open[k.Network] },
		again:  r.newerDates,
		stored: verify.Rows[verify.NetworkDayRow](ctx, r.db, "daily_networks"),
	})
}

// newerDates notes the dates of which a slice is newer than what was published
// when the run began.
func (r *run) newerDates(ctx context.Context) error {
	for _, p := range r.days.places {
		rows := verify.Rows[verify.NetworkDayKey](ctx, r.db,
			"(SELECT DISTINCT network_id, date FROM session_days_versions WHERE "+here+" AND bitAnd(version, 281474976710655) > {published:Int64})", at(p)...)
		for k, err := range rows {
			if err != nil {
				return err
			}
			r.days.untold[k] = true
		}
	}
	return nil
}
