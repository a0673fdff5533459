package readapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"daybook/clickhouse/query"
)

// DaySession is the part of a session that shows one local date; Times are the
// slice's, in the subject's zone.
type DaySession struct {
	Date             query.Date `json:"date" format:"date" doc:"Local date of the subject."`
	SessionID        string     `json:"session_id" doc:"Id of the whole session."`
	DeviceClass      string     `json:"device_class" enum:"mobile,web" doc:"mobile or web."`
	StartedAt        string     `json:"started_at" format:"date-time" doc:"Start of the part on this day, with the subject's offset."`
	EndedAt          string     `json:"ended_at" format:"date-time" doc:"End of the part on this day; of an open session its last signal so far."`
	DurationS        int64      `json:"duration_s" doc:"Seconds on this day; the rows of a day add up to its total."`
	Status           string     `json:"status" enum:"open,closed,final" doc:"open: still running; closed: ended; final: no late event can change it cheaply."`
	EndReason        string     `json:"end_reason" doc:"Why it ended where it did."`
	ContinuesFrom    bool       `json:"continues_from" doc:"It began on an earlier day, and is counted there."`
	ContinuesTo      bool       `json:"continues_to" doc:"It goes on on the next day."`
	SessionStartedAt string     `json:"session_started_at" format:"date-time" doc:"Start of the whole session."`
	SessionEndedAt   string     `json:"session_ended_at" format:"date-time" doc:"End of the whole session."`
	SessionDurationS int64      `json:"session_duration_s" doc:"Seconds of the whole session."`
	Zone             string     `json:"zone" doc:"IANA name of the subject's zone, frozen when the session was first seen."`
	ZoneNote         *ZoneNote  `json:"zone_note" doc:"Set if the subject's offset differs from the viewer's."`
	Robot            bool       `json:"robot" doc:"The user agent names a robot."`
}

// dayAnswer is one day: its total, and the sessions that add up to it.
type dayAnswer struct {
	List[DaySession]

	UserID   string `json:"user_id" doc:"Id of the user."`
	TimeZone string `json:"time_zone" doc:"IANA name of the subject's zone today."`
	Day      Day    `json:"day" doc:"Totals of the day; zero if it has no activity."`

	slices []query.DaySession // the rows behind Items, for the page
}

type dayInput struct {
	UserInput
	ViewerInput
	PageInput
	FormatInput

	Date string `path:"date" format:"date" doc:"Local date, YYYY-MM-DD."`
}

func (a *API) registerActivityDay() {
	register[dayInput, dayAnswer](a, huma.Operation{
		OperationID: "activity-day", Method: http.MethodGet, Path: "/v1/networks/{network}/users/{user}/activity-record/{date}", Tags: []string{"Activity record"},
		Summary: "The sessions of one day, in order of start",
	}, true, a.getDay)
}

func (a *API) getDay(ctx context.Context, in *dayInput) (*huma.StreamResponse, error) {
	quick, cancel := a.queryContext(ctx)
	defer cancel()
	body, sub, err := a.beginDay(quick, in)
	if err != nil {
		return nil, err
	}
	if in.csv() {
		return a.recordCSV(ctx, in.FormatInput, sub, body.Stamp, body.Day.Date, body.Day.Date), nil
	}
	if err := a.fillDay(quick, body, in, sub); err != nil {
		return nil, err
	}
	return answer(http.StatusOK, body), nil
}

// day gives one page of a day's sessions.
func (a *API) day(ctx context.Context, in *dayInput) (*dayAnswer, *subject, error) {
	body, sub, err := a.beginDay(ctx, in)
	if err == nil {
		err = a.fillDay(ctx, body, in, sub)
	}
	return body, sub, err
}

func (a *API) beginDay(ctx context.Context, in *dayInput) (*dayAnswer, *subject, error) {
	body := &dayAnswer{UserID: in.User, List: List[DaySession]{Items: []DaySession{}, Stamp: a.newStamp()}}
	var err error
	if body.Day.Date, err = dateParameter("path.date", in.Date); err != nil {
		return nil, nil, err
	}
	if _, err = viewer(in.ViewerZone); err != nil {
		return nil, nil, err
	}
	sub, err := a.freshSubject(ctx, &body.Stamp, in.Network, in.User)
	if err != nil {
		return nil, nil, err
	}
	body.TimeZone = sub.name
	return body, sub, nil
}

func (a *API) fillDay(ctx context.Context, body *dayAnswer, in *dayInput, sub *subject) error {
	date := body.Day.Date
	name := scope("day", in.Network, in.User, in.Date)
	q := query.DaySessions{Network: in.Network, User: in.User, From: date, To: date, Limit: in.Limit + 1}
	var at rowPosition
	if err := a.cursors.open(name, in.Cursor, &at); err != nil {
		return err
	}
	if in.Cursor != "" {
		q.After = &query.DayCursor{Date: date, StartedAt: time.Unix(at.At, 0).UTC(), SessionID: at.ID}
	}
	view, _ := viewer(in.ViewerZone) // checked when the answer was begun
	return together(
		func() error {
			for row, err := range (query.UserDays{Network: in.Network, User: in.User, From: date, To: date, Limit: 1}).Run(ctx, a.db) {
				if err != nil {
					return a.storage(ctx, "activity day", err)
				}
				body.Day = Day(row)
			}
			return nil
		},
		func() error {
			for row, err := range q.Run(ctx, a.db) {
				if err != nil {
					return a.storage(ctx, "activity day", err)
				}
				if body.full(in.Limit, a.cursors, name, func() any {
					last := &body.slices[len(body.slices)-1]
					return rowPosition{At: last.StartedAt.Unix(), ID: last.SessionID}
				}) {
					break
				}
				body.slices = append(body.slices, row)
				body.Items = append(body.Items, a.daySessionOf(&row, sub.name, view))
			}
			return nil
		},
	)
}

// rowPosition is the cursor of lists in order of (start, session id).
type rowPosition struct {
	At int64  `json:"t"` // Unix seconds
	ID string `json:"i"`
}

func (a *API) daySessionOf(row *query.DaySession, fallback string, view *time.Location) DaySession {
	zone, name := a.zones.pick(row.Zone, fallback)
	return DaySession{
		Date: row.Date, SessionID: row.SessionID, DeviceClass: row.DeviceClass,
		StartedAt: instant(row.StartedAt.In(zone)), EndedAt: instant(row.EndedAt.In(zone)), DurationS: row.DurationS,
		Status: row.Status, EndReason: row.EndReason, ContinuesFrom: row.ContinuesFrom, ContinuesTo: row.ContinuesTo,
		SessionStartedAt: instant(row.SessionStartedAt.In(zone)), SessionEndedAt: instant(row.SessionEndedAt.In(zone)),
		SessionDurationS: row.SessionDurationS, Zone: name, Robot: row.Robot,
		ZoneNote: zoneNote(row.SessionStartedAt, row.SessionEndedAt, zone, name, view),
	}
}

// instant formats RFC 3339 in the location of t; UTC is +00:00, so that every
// time of a column has an offset.
func instant(t time.Time) string { return t.Format("2006-01-02T15:04:05-07:00") }

// deviceType gives the two words of SPK-19.
func deviceType(class string) string {
	if class == "mobile" {
		return "Mobile"
	}
	return "Web"
}
