package readapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"daybook/clickhouse/query"
)

// Session is one whole presence session, times in its own zone.
type Session struct {
	SessionID   string     `json:"session_id" doc:"Id of the session."`
	UserID      string     `json:"user_id" doc:"Id of the user."`
	Date        query.Date `json:"date" format:"date" doc:"Local date of its start: the day that it is counted on."`
	DeviceID    string     `json:"device_id" doc:"The client's id of the device, else its class."`
	DeviceClass string     `json:"device_class" enum:"mobile,web" doc:"mobile or web."`
	StartedAt   string     `json:"started_at" format:"date-time" doc:"First signal, with the subject's offset."`
	EndedAt     string     `json:"ended_at" format:"date-time" doc:"Last signal; of an open session the last so far."`
	DurationS   int64      `json:"duration_s" doc:"Elapsed seconds."`
	Status      string     `json:"status" enum:"open,closed,final" doc:"open: still running; closed: ended; final: no late event can change it cheaply."`
	EndReason   string     `json:"end_reason" doc:"Why it ended where it did."`
	Events      uint32     `json:"events" doc:"Events that it is made of."`
	Zone        string     `json:"zone" doc:"IANA name of the subject's zone, frozen when the session was first seen."`
	Robot       bool       `json:"robot" doc:"The user agent names a robot."`
}

type sessionsInput struct {
	NetworkInput
	RangeInput
	PageInput
	FormatInput

	User        string `query:"user" maxLength:"256" doc:"Only sessions of this user."`
	DeviceClass string `query:"device_class" enum:"mobile,web" doc:"Only sessions on this class of device."`
}

func (a *API) registerSessions() {
	register[sessionsInput, List[Session]](a, huma.Operation{
		OperationID: "list-sessions", Method: http.MethodGet, Path: "/v1/networks/{network}/sessions", Tags: []string{"Sessions"},
		Summary:     "Sessions of a network that began in a range of local dates, in order of start",
		Description: "The past two weeks in the network's zone by default. A session belongs to the local date of its start.",
	}, true, a.listSessions)
}

func (a *API) listSessions(ctx context.Context, in *sessionsInput) (*huma.StreamResponse, error) {
	quick, cancel := a.queryContext(ctx)
	defer cancel()
	body := &List[Session]{Items: []Session{}, Stamp: a.newStamp()}
	from, to, err := a.scopedRange(quick, in.Network, in.User, in.RangeInput, &body.Stamp)
	if err != nil {
		return nil, err
	}
	q := query.Sessions{Network: in.Network, User: in.User, DeviceClass: in.DeviceClass, From: from, To: to, Limit: query.All}
	if in.csv() {
		return a.sessionsCSV(ctx, in.FormatInput, body.Stamp, q), nil
	}
	name := scope("sessions", in.Network, in.User, in.DeviceClass, in.From, in.To)
	q.Limit = in.Limit + 1
	var at sessionPosition
	if err := a.cursors.open(name, in.Cursor, &at); err != nil {
		return nil, err
	}
	if in.Cursor != "" {
		q.From, q.To = at.From, at.To
		q.After = &query.SessionCursor{StartedAt: time.Unix(at.At, 0).UTC(), SessionID: at.ID}
	}
	var last query.Session
	for row, err := range q.Run(quick, a.db) {
		if err != nil {
			return nil, a.storage(quick, "sessions", err)
		}
		if body.full(in.Limit, a.cursors, name, func() any {
			return sessionPosition{From: q.From, To: q.To, rowPosition: rowPosition{At: last.StartedAt.Unix(), ID: last.SessionID}}
		}) {
			break
		}
		last = row
		body.Items = append(body.Items, a.sessionOf(&row))
	}
	return answer(http.StatusOK, body), nil
}

// sessionPosition is the cursor: the range as resolved, and the last row.
type sessionPosition struct {
	rowPosition

	From query.Date `json:"f"`
	To   query.Date `json:"u"`
}

// scopedRange resolves network, and user if one is named, and the range; today
// is that of the user's zone, else of the network's.
func (a *API) scopedRange(ctx context.Context, network, user string, in RangeInput, s *Stamp) (from, to query.Date, err error) {
	var zone *time.Location
	if user != "" {
		sub, err := a.freshSubject(ctx, s, network, user)
		if err != nil {
			return 0, 0, err
		}
		zone = sub.zone
	} else {
		n, err := a.freshNetwork(ctx, s, network)
		if err != nil {
			return 0, 0, err
		}
		zone, _ = a.zones.pick(n.Zone)
	}
	return a.dates(in, zone)
}

func (a *API) sessionOf(row *query.Session) Session {
	zone, name := a.zones.pick(row.Zone)
	return Session{
		SessionID: row.SessionID, UserID: row.UserID, Date: row.Date, DeviceID: row.DeviceID, DeviceClass: row.DeviceClass,
		StartedAt: instant(row.StartedAt.In(zone)), EndedAt: instant(row.EndedAt.In(zone)), DurationS: row.DurationS,
		Status: row.Status, EndReason: row.EndReason, Events: row.Events, Zone: name, Robot: row.Robot,
	}
}
