package query

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"
)

// NetworkDays asks for the daily rollup of a network: what the view
// daily_networks gives, at one instant while the question runs. Days whose
// stored values hold are taken from daily_networks_stored, the others are
// computed.
type NetworkDays struct {
	Network string // required
	From    Date   // inclusive
	To      Date   // inclusive
	Newest  bool   // descending by date; the default is oldest first
	After   *Date  // cursor: the last date of the page before
	Limit   int    // 1 to All
}

// NetworkDay is one date of a network: the sum over its users of their local
// days with that date. Seconds.
type NetworkDay struct {
	Date      Date   `json:"date"`
	Users     uint64 `json:"users"` // with any session time or session on the day
	Sessions  uint64 `json:"sessions"`
	DurationS int64  `json:"duration_s"`
	ActiveS   int64  `json:"active_s"` // sum over users of their unions
	OverlapS  int64  `json:"overlap_s"`
	MobileS   int64  `json:"mobile_s"`
	WebS      int64  `json:"web_s"`
}

// storedDay is a date that has slices, with the values that were stored of it.
type storedDay struct {
	NetworkDay

	fingerprint uint64 // of the stored values, if there are any
	holds       bool   // the slices are those that the values were computed from
}

// checkedRounds bounds how often days are looked at again because others
// changed meanwhile. Not measured: writers of one network that change ever new
// days that fast are a replay of history.
const checkedRounds = 3

// Run gives the days.
//
// It is exact, and at one instant: first it reads which stored days hold. If
// all do, they are the answer. Else one statement, and so one
// snapshot of the slices, gives the values of the days that do not hold
// together with the fingerprints of all: if those of the stored days still are
// what they were stored with, all values are of this snapshot. If not, the days
// that changed meanwhile join the computed ones.
func (q NetworkDays) Run(ctx context.Context, db Querier) iter.Seq2[NetworkDay, error] {
	return func(yield func(NetworkDay, error) bool) {
		days, err := q.days(ctx, db)
		if err != nil {
			yield(NetworkDay{}, err)
			return
		}
		slices.SortFunc(days, func(a, b NetworkDay) int {
			if q.Newest {
				a, b = b, a
			}
			return cmp.Compare(a.Date, b.Date)
		})
		for _, d := range days[:min(q.Limit, len(days))] {
			if !yield(d, nil) {
				return
			}
		}
	}
}

func (q NetworkDays) days(ctx context.Context, db Querier) (out []NetworkDay, err error) {
	known, err := q.known(ctx, db)
	if err != nil {
		return nil, err
	}
	changed := map[Date]struct{}{}
	for date, d := range known {
		if !d.holds {
			changed[date] = struct{}{}
		}
	}
	for round := 0; len(changed) > 0; round++ {
		if round == checkedRounds || 2*len(changed) > len(known) {
			return all(Stream(ctx, db, q.SQL, scanNetworkDay))
		}
		computed, late, err := q.compute(ctx, db, known, changed)
		if err != nil {
			return nil, err
		}
		if len(late) == 0 {
			out = computed
			break
		}
		maps.Copy(changed, late)
	}
	for date, d := range known {
		if _, ok := changed[date]; !ok && d.Users > 0 {
			out = append(out, d.NetworkDay)
		}
	}
	return out, nil
}

// known gives the dates that have slices, each with its stored values if they
// hold. The two statements may run at once: what was stored with a fingerprint
// holds at the instant of the fingerprints that shows it, whenever it was read.
func (q NetworkDays) known(ctx context.Context, db Querier) (map[Date]storedDay, error) {
	var there, stored []storedDay
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		there, err = all(Stream(ctx, db, q.Fingerprints, func(r Rows, d *storedDay) error {
			return r.Scan((*int32)(&d.Date), &d.fingerprint)
		}))
		return err
	})
	g.Go(func() (err error) { stored, err = all(Stream(ctx, db, q.Stored, scanStoredDay)); return err })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	known := make(map[Date]storedDay, len(there))
	for _, d := range there {
		known[d.Date] = d
	}
	for _, d := range stored {
		if now, ok := known[d.Date]; ok && now.fingerprint == d.fingerprint {
			known[d.Date] = d
		}
	}
	return known, nil
}

// compute gives the values of the changed days, and the other days that have
// changed, come or gone (erasure leaves no row of a day) since known was read.
func (q NetworkDays) compute(ctx context.Context, db Querier, known map[Date]storedDay, changed map[Date]struct{}) (computed []NetworkDay, late map[Date]struct{}, err error) {
	late = map[Date]struct{}{}
	for date, d := range known {
		if _, ok := changed[date]; !ok && d.Users > 0 {
			late[date] = struct{}{} // until its fingerprint is seen
		}
	}
	question := func() (Statement, error) { return q.Checked(slices.Sorted(maps.Keys(changed))) }
	for d, err := range Stream(ctx, db, question, scanStoredDay) {
		if err != nil {
			return nil, nil, err
		}
		if d.holds {
			computed = append(computed, d.NetworkDay)
			continue
		}
		if _, ok := changed[d.Date]; ok {
			continue
		}
		if was := known[d.Date]; was.holds && was.fingerprint == d.fingerprint {
			delete(late, d.Date)
		} else {
			late[d.Date] = struct{}{}
		}
	}
	return computed, late, nil
}

const networkDay = "users, sessions, toInt64(duration_s), toInt64(active_s), toInt64(overlap_s), toInt64(mobile_s), toInt64(web_s)"

func scanNetworkDay(r Rows, d *NetworkDay) error {
	return r.Scan((*int32)(&d.Date), &d.Users, &d.Sessions, &d.DurationS, &d.ActiveS, &d.OverlapS, &d.MobileS, &d.WebS)
}

func scanStoredDay(r Rows, d *storedDay) error {
	return r.Scan((*int32)(&d.Date), &d.Users, &d.Sessions, &d.DurationS, &d.ActiveS, &d.OverlapS, &d.MobileS, &d.WebS, &d.fingerprint, &d.holds)
}

// SQL gives the statement that computes every day.
func (q NetworkDays) SQL() (Statement, error) {
	order := "ASC"
	if q.Newest {
		order = "DESC"
	}
	return q.statement("SELECT toInt32(date) AS day, "+networkDay+"\n"+
		"FROM daily_networks\n"+
		"WHERE network_id = {network:String} AND date BETWEEN toDate({from:Int32}) AND toDate({to:Int32})\n"+
		"ORDER BY date "+order+"\nLIMIT {limit:Int64}", q.Limit)
}

// Fingerprints gives the statement that reads the dates that have slices, each
// with the fingerprint of what is there now.
func (q NetworkDays) Fingerprints() (Statement, error) {
	st, err := q.statement("SELECT toInt32(date) AS day, fingerprint FROM session_day_fingerprints\n"+
		"WHERE network_id = {network:String} AND date BETWEEN toDate({from:Int32}) AND toDate({to:Int32})\n"+
		"LIMIT {limit:Int64}", All) // the page is cut when all days are known
	st.Threads = 1
	return st, err
}

// Stored gives the statement that reads the stored days, each with the
// fingerprint that its values were computed from.
func (q NetworkDays) Stored() (Statement, error) {
	st, err := q.statement("SELECT toInt32(date) AS day, "+networkDay+", fingerprint, true AS holds\n"+
		"FROM daily_networks_stored FINAL\n"+
		"WHERE network_id = {network:String} AND date BETWEEN toDate({from:Int32}) AND toDate({to:Int32})\n"+
		"LIMIT {limit:Int64}", All)
	st.Threads = 1
	return st, err
}

// Checked gives the statement that computes some days, and reads the
// fingerprints of all, in one snapshot of the slices.
func (q NetworkDays) Checked(days []Date) (Statement, error) {
	list := make([]int32, len(days))
	for i, d := range days {
		list[i] = int32(d)
	}
	return q.statement("SELECT toInt32(date) AS day, "+networkDay+", toUInt64(0) AS fingerprint, true AS computed\n"+
		"FROM daily_networks\n"+
		"WHERE network_id = {network:String} AND date IN (SELECT toDate(arrayJoin({days:Array(Int32)})))\n"+
		"UNION ALL\n"+
		"SELECT toInt32(date), 0, 0, 0, 0, 0, 0, 0, fingerprint, false FROM session_day_fingerprints\n"+
		"WHERE network_id = {network:String} AND date BETWEEN toDate({from:Int32}) AND toDate({to:Int32})\n"+
		"LIMIT {limit:Int64}\n"+
		"SETTINGS enable_shared_storage_snapshot_in_query = 1", All, Arg{"days", list})
}

// statement binds what every statement of the question names. A cursor narrows
// the range.
func (q NetworkDays) statement(text string, limit int, more ...Arg) (Statement, error) {
	if q.Network == "" {
		return Statement{}, ErrNoNetwork
	}
	if err := checkLimit(q.Limit); err != nil {
		return Statement{}, err
	}
	from, to := q.From, q.To
	if q.After != nil && q.Newest {
		to = min(to, *q.After-1)
	} else if q.After != nil {
		from = max(from, *q.After+1)
	}
	return Statement{
		Text: text,
		Args: append([]Arg{{"network", q.Network}, {"from", int32(from)}, {"to", int32(to)}, {"limit", int64(limit)}}, more...),
	}, nil
}
