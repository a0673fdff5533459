package readapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"daybook/clickhouse/export"
	"daybook/clickhouse/query"
)

// Day is the total of one active local day of a user. Seconds.
type Day struct {
	Date      query.Date `json:"date" format:"date" doc:"Local date of the subject."`
	Sessions  uint64     `json:"sessions" doc:"Sessions that began on the day."`
	DurationS int64      `json:"duration_s" doc:"Sum of the day's slices, seconds: what the rows of the day add up to."`
	ActiveS   int64      `json:"active_s" doc:"Union of the slices, seconds: time with at least one session."`
	OverlapS  int64      `json:"overlap_s" doc:"duration_s less active_s: time on several devices at once."`
	MobileS   int64      `json:"mobile_s" doc:"Part of duration_s on Mobile."`
	WebS      int64      `json:"web_s" doc:"Part of duration_s on Web."`
}

// dayList is the day list of one user: an answer that also says whose dates
// these are.
type dayList struct {
	List[Day]

	UserID   string     `json:"user_id" doc:"Id of the user."`
	TimeZone string     `json:"time_zone" doc:"IANA name of the subject's zone today; each session keeps the one it was recorded in."`
	From     query.Date `json:"from" format:"date" doc:"First date of the range."`
	To       query.Date `json:"to" format:"date" doc:"Last date of the range."`
}

// UserInput names one user.
type UserInput struct {
	NetworkInput

	User string `path:"user" doc:"Id of the user, percent-encoded." maxLength:"256"`
}

// ViewerInput says where the viewer is.
type ViewerInput struct {
	ViewerZone string `query:"viewer_tz" maxLength:"64" doc:"IANA name of the zone that the viewer is in now; sessions whose offset differs bear a note."`
}

type recordInput struct {
	UserInput
	RangeInput
	ViewerInput
	PageInput
	FormatInput
}

func (a *API) registerActivityRecord() {
	register[recordInput, dayList](a, huma.Operation{
		OperationID: "activity-record", Method: http.MethodGet, Path: "/v1/networks/{network}/users/{user}/activity-record", Tags: []string{"Activity record"},
		Summary:     "A user's active days, newest first",
		Description: "The past two weeks by default; days without activity are not listed. As CSV: one row a slice of a session, oldest first.",
	}, true, a.getRecord)
}

func (a *API) getRecord(ctx context.Context, in *recordInput) (*huma.StreamResponse, error) {
	quick, cancel := a.queryContext(ctx)
	defer cancel()
	body, sub, err := a.beginRecord(quick, in)
	if err != nil {
		return nil, err
	}
	if in.csv() {
		return a.recordCSV(ctx, in.FormatInput, sub, body.Stamp, body.From, body.To), nil
	}
	if err := a.fillRecord(quick, body, in); err != nil {
		return nil, err
	}
	return answer(http.StatusOK, body), nil
}

// record gives one page of a user's days.
func (a *API) record(ctx context.Context, in *recordInput) (*dayList, *subject, error) {
	body, sub, err := a.beginRecord(ctx, in)
	if err == nil {
		err = a.fillRecord(ctx, body, in)
	}
	return body, sub, err
}

func (a *API) beginRecord(ctx context.Context, in *recordInput) (*dayList, *subject, error) {
	body := &dayList{UserID: in.User, List: List[Day]{Items: []Day{}, Stamp: a.newStamp()}}
	if _, err := viewer(in.ViewerZone); err != nil {
		return nil, nil, err
	}
	sub, err := a.freshSubject(ctx, &body.Stamp, in.Network, in.User)
	if err != nil {
		return nil, nil, err
	}
	body.TimeZone = sub.name
	body.From, body.To, err = a.dates(in.RangeInput, sub.zone)
	return body, sub, err
}

func (a *API) fillRecord(ctx context.Context, body *dayList, in *recordInput) error {
	// The range is part of the scope as it was resolved, so a cursor taken before
	// midnight does not silently page through another fortnight after it.
	name := scope("record", in.Network, in.User, in.From, in.To)
	q := query.UserDays{Network: in.Network, User: in.User, From: body.From, To: body.To, Limit: in.Limit + 1}
	var at dayPosition
	if err := a.cursors.open(name, in.Cursor, &at); err != nil {
		return err
	}
	if in.Cursor != "" {
		q.From, q.To, q.After = at.From, at.To, &at.Date
		body.From, body.To = at.From, at.To
	}
	for row, err := range q.Run(ctx, a.db) {
		if err != nil {
			return a.storage(ctx, "activity record", err)
		}
		if body.full(in.Limit, a.cursors, name, func() any {
			return dayPosition{From: q.From, To: q.To, Date: body.Items[len(body.Items)-1].Date}
		}) {
			break
		}
		body.Items = append(body.Items, Day(row))
	}
	return nil
}

// dayPosition is the cursor of a list of days: the range as it was resolved
// for the first page, so that a list begun before midnight keeps its days.
type dayPosition struct {
	From query.Date `json:"f"`
	To   query.Date `json:"t"`
	Date query.Date `json:"d"`
}

// recordColumns is export contract 1 (SEMANTICS.md section 7).
func recordColumns() []string {
	return []string{
		"user_id", "user_name", "date", "session_no", "device_type", "start", "end", "duration_s", "duration",
		"time_zone", "utc_offset", "continues_from", "continues_to", "end_reason", "day_total_s",
	}
}

// recordCSV is the record of one user as contract 1: a row a slice (SPK-25).
func (a *API) recordCSV(ctx context.Context, in FormatInput, sub *subject, s Stamp, from, to query.Date) *huma.StreamResponse {
	network, user := sub.network.NetworkID, sub.user.UserID
	f := in.csvFile("activity-record_"+network+"_"+userTag(user)+"_"+from.String()+"_"+to.String(), s, recordColumns()...)
	f.rows = func(ctx context.Context, out *export.CSV) error {
		var day []query.DaySession // the rows of one day wait for its total
		q := query.DaySessions{Network: network, User: user, From: from, To: to, Limit: query.All}
		for row, err := range q.Run(ctx, a.db) {
			if err != nil {
				return err
			}
			if len(day) > 0 && day[0].Date != row.Date {
				if err := a.writeDay(out, sub, day); err != nil {
					return err
				}
				day = day[:0]
			}
			day = append(day, row)
		}
		return a.writeDay(out, sub, day)
	}
	return a.stream(ctx, f)
}

func (a *API) writeDay(out *export.CSV, sub *subject, day []query.DaySession) error {
	total := int64(0)
	for i := range day {
		total += day[i].DurationS
	}
	for i := range day {
		row := &day[i]
		zone, name := a.zones.pick(row.Zone, sub.name)
		start, end := row.StartedAt.In(zone), row.EndedAt.In(zone)
		err := out.Text(sub.user.UserID).Text(sub.user.Name).Date(int32(row.Date)).Int(int64(i + 1)).Plain(deviceType(row.DeviceClass)).
			Instant(start).Instant(end).Int(row.DurationS).Plain(clock(row.DurationS)).
			Plain(name).Plain(start.Format("-07:00")).Bool(row.ContinuesFrom).Bool(row.ContinuesTo).Plain(row.EndReason).Int(total).End()
		if err != nil {
			return err
		}
	}
	return nil
}
