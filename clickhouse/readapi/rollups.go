package readapi

import (
	"context"
	"iter"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"daybook/clickhouse/export"
	"daybook/clickhouse/query"
)

// Rollup is the total of one local date over the users of a network, or of one
// user. Seconds.
type Rollup struct {
	Date      query.Date `json:"date" format:"date" doc:"Local date, each user's own."`
	Users     uint64     `json:"users" doc:"Users with activity on the date."`
	Sessions  uint64     `json:"sessions" doc:"Sessions that began on the date."`
	DurationS int64      `json:"duration_s" doc:"Sum of the slices."`
	ActiveS   int64      `json:"active_s" doc:"Sum over users of the union of their slices."`
	OverlapS  int64      `json:"overlap_s" doc:"duration_s less active_s."`
	MobileS   int64      `json:"mobile_s" doc:"Part of duration_s on Mobile."`
	WebS      int64      `json:"web_s" doc:"Part of duration_s on Web."`
}

type rollupsInput struct {
	NetworkInput
	RangeInput
	PageInput
	FormatInput

	User string `query:"user" maxLength:"256" doc:"Only this user's days."`
}

func (a *API) registerRollups() {
	register[rollupsInput, List[Rollup]](a, huma.Operation{
		OperationID: "daily-rollups", Method: http.MethodGet, Path: "/v1/networks/{network}/rollups/daily", Tags: []string{"Rollups"},
		Summary:     "Daily totals of a network, or of one user, oldest first",
		Description: "The past two weeks by default; dates without activity are not listed.",
	}, true, a.listRollups)
}

func (a *API) listRollups(ctx context.Context, in *rollupsInput) (*huma.StreamResponse, error) {
	quick, cancel := a.queryContext(ctx)
	defer cancel()
	body := &List[Rollup]{Items: []Rollup{}, Stamp: a.newStamp()}
	from, to, err := a.scopedRange(quick, in.Network, in.User, in.RangeInput, &body.Stamp)
	if err != nil {
		return nil, err
	}
	if in.csv() {
		return a.rollupsCSV(ctx, in, body.Stamp, from, to), nil
	}
	name := scope("rollups", in.Network, in.User, in.From, in.To)
	var at dayPosition
	if err := a.cursors.open(name, in.Cursor, &at); err != nil {
		return nil, err
	}
	var after *query.Date
	if in.Cursor != "" {
		from, to, after = at.From, at.To, &at.Date
	}
	for row, err := range a.rollups(quick, in, from, to, after, in.Limit+1) {
		if err != nil {
			return nil, a.storage(quick, "rollups", err)
		}
		if body.full(in.Limit, a.cursors, name, func() any {
			return dayPosition{From: from, To: to, Date: body.Items[len(body.Items)-1].Date}
		}) {
			break
		}
		body.Items = append(body.Items, row)
	}
	return answer(http.StatusOK, body), nil
}

// rollups reads the days of the network, or of the one user.
func (a *API) rollups(ctx context.Context, in *rollupsInput, from, to query.Date, after *query.Date, limit int) iter.Seq2[Rollup, error] {
	return func(yield func(Rollup, error) bool) {
		if in.User == "" {
			q := query.NetworkDays{Network: in.Network, From: from, To: to, After: after, Limit: limit}
			for row, err := range q.Run(ctx, a.db) {
				if !yield(Rollup(row), err) {
					return
				}
			}
			return
		}
		q := query.UserDays{Network: in.Network, User: in.User, From: from, To: to, Oldest: true, After: after, Limit: limit}
		for d, err := range q.Run(ctx, a.db) {
			row := Rollup{
				Date: d.Date, Users: 1, Sessions: d.Sessions, DurationS: d.DurationS,
				ActiveS: d.ActiveS, OverlapS: d.OverlapS, MobileS: d.MobileS, WebS: d.WebS,
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

func (a *API) rollupsCSV(ctx context.Context, in *rollupsInput, s Stamp, from, to query.Date) *huma.StreamResponse {
	name := "daily_" + in.Network
	if in.User != "" {
		name += "_" + userTag(in.User)
	}
	f := in.csvFile(name+"_"+from.String()+"_"+to.String(), s,
		"date", "users", "sessions", "duration_s", "active_s", "overlap_s", "mobile_s", "web_s")
	f.rows = func(ctx context.Context, out *export.CSV) error {
		for row, err := range a.rollups(ctx, in, from, to, nil, query.All) {
			if err != nil {
				return err
			}
			if err := out.Date(int32(row.Date)).Int(int64(row.Users)).Int(int64(row.Sessions)).Int(row.DurationS).
				Int(row.ActiveS).Int(row.OverlapS).Int(row.MobileS).Int(row.WebS).End(); err != nil {
				return err
			}
		}
		return nil
	}
	return a.stream(ctx, f)
}
