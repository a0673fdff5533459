package query

import (
	"context"
	"iter"
)

// UserDays asks for one user's active days: view daily_users. It is the day
// list of the activity record and the daily rollup of a user.
type UserDays struct {
	Network string // required
	User    string // required
	From    Date   // inclusive
	To      Date   // inclusive
	Oldest  bool   // ascending by date; the default is newest first
	After   *Date  // cursor: the last date of the page before, nil at the start
	Limit   int    // 1 to All
}

// UserDay is one local day of one user. Seconds.
type UserDay struct {
	Date      Date   `json:"date"`
	Sessions  uint64 `json:"sessions"`   // that began on this day
	DurationS int64  `json:"duration_s"` // sum of the day's slices
	ActiveS   int64  `json:"active_s"`   // union: time with at least one session
	OverlapS  int64  `json:"overlap_s"`  // sum less union
	MobileS   int64  `json:"mobile_s"`
	WebS      int64  `json:"web_s"`
}

// Run streams the days.
func (q UserDays) Run(ctx context.Context, db Querier) iter.Seq2[UserDay, error] {
	return Stream(ctx, db, q.SQL, func(r Rows, d *UserDay) error {
		return r.Scan((*int32)(&d.Date), &d.Sessions, &d.DurationS, &d.ActiveS, &d.OverlapS, &d.MobileS, &d.WebS)
	})
}

// SQL gives the statement. It says what the view daily_users says, from the
// table (subject.go).
func (q UserDays) SQL() (Statement, error) {
	if err := q.check(); err != nil {
		return Statement{}, err
	}
	order, cursor := "DESC", " AND date < toDate({after:Int32})"
	if q.Oldest {
		order, cursor = "ASC", " AND date > toDate({after:Int32})"
	}
	st := Statement{
		Text: "SELECT toInt32(date) AS day, countIf(NOT s.continues_from), toInt64(sum(s.duration_s)) AS total,\n" +
			"  toInt64(intervalLengthSumArray(s.runs.1, s.runs.2)) AS active, total - active,\n" +
			"  toInt64(sumIf(s.duration_s, s.device_class = 'mobile')), toInt64(sumIf(s.duration_s, s.device_class = 'web'))\n" +
			"FROM session_days_versions AS s FINAL\n" +
			"WHERE network_id = {network:String} AND user_id = {user:String}" +
			" AND date BETWEEN toDate({from:Int32}) AND toDate({to:Int32})",
		Args: []Arg{
			{"network", q.Network}, {"user", q.User}, {"from", int32(q.From)}, {"to", int32(q.To)}, {"limit", int64(q.Limit)},
		},
		Threads: 1,
	}
	if q.After != nil {
		st.Text += cursor
		st.Args = append(st.Args, Arg{"after", int32(*q.After)})
	}
	st.Text += "\nGROUP BY date\nORDER BY date " + order + "\nLIMIT {limit:Int64}"
	return st, nil
}

func (q UserDays) check() error {
	switch {
	case q.Network == "":
		return ErrNoNetwork
	case q.User == "":
		return ErrNoUser
	}
	return checkLimit(q.Limit)
}
