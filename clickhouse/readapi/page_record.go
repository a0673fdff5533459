package readapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"daybook/clickhouse/query"
	"daybook/clickhouse/readapi/web"
)

// maxDrawn bounds the slices that the day bars of one page may show; beyond it
// the list comes without bars. 14 days of 140 sessions each still have them.
const maxDrawn = 2000

func (p *page) record(ctx context.Context, r *http.Request) (web.Page, any, error) {
	get := r.URL.Query().Get
	in := &recordInput{}
	in.Network, in.User, in.From, in.To = r.PathValue("network"), get("user"), get("from"), get("to")
	in.ViewerZone, in.Limit, in.Cursor = viewerZone(r), pageRows, get("cursor")
	body, sub, err := p.API.record(ctx, in)
	if err != nil {
		return "", nil, err
	}
	view := &web.RecordView{
		Frame: web.Frame{
			Title: nameOf(sub), Crumbs: crumbs(networkCrumb(sub)), Fresh: fresh(&body.Stamp, sub.zone),
			ViewerZone: in.ViewerZone, TellZone: true,
		},
		Network: in.Network, User: in.User, Name: sub.user.Name, Zone: sub.name,
		From: body.From.String(), To: body.To.String(), Default: in.From == "" && in.To == "",
		CSV: address(recordPath(in.Network, in.User), "format", "csv", "from", body.From.String(), "to", body.To.String()),
	}
	drawn, err := p.slices(ctx, in, body)
	if err != nil {
		return "", nil, err
	}
	for i := range body.Items {
		d := &body.Items[i]
		row := web.DayRow{Date: d.Date.Time(), Total: totalOf(d)}
		row.Spans = drawn[d.Date]
		view.Days = append(view.Days, row)
		view.Total = sum(view.Total, row.Total)
	}
	if body.NextCursor != nil {
		view.More = address("/n/"+in.Network+"/record", "user", in.User, "from", in.From, "to", in.To, "viewer_tz", in.ViewerZone, "cursor", *body.NextCursor)
	}
	var last *query.Date
	if len(body.Items) == 0 {
		if last, err = p.lastDay(ctx, sub); err != nil {
			return "", nil, err
		}
	}
	if last != nil && (*last < body.From || *last > body.To) {
		from := max(*last-(defaultDays-1), query.FirstDate)
		view.LastActive = &web.Link{
			Text: "Show the two weeks up to the last active day, " + last.Time().Format("2 Jan 2006"),
			Href: address("/n/"+in.Network+"/record", "user", in.User, "from", from.String(), "to", last.String(), "viewer_tz", in.ViewerZone),
		}
	}
	return web.Record, view, nil
}

// slices gives what the bars of the listed days show.
func (p *page) slices(ctx context.Context, in *recordInput, body *dayList) (map[query.Date][]web.Span, error) {
	if len(body.Items) == 0 {
		return nil, nil
	}
	q := query.DaySessions{
		Network: in.Network, User: in.User, Limit: maxDrawn + 1,
		From: body.Items[len(body.Items)-1].Date, To: body.Items[0].Date,
	}
	byDate, n := map[query.Date][]query.DaySession{}, 0
	for row, err := range q.Run(ctx, p.db) {
		if err != nil {
			return nil, p.storage(ctx, "day bars", err)
		}
		if n++; n > maxDrawn {
			return nil, nil
		}
		byDate[row.Date] = append(byDate[row.Date], row)
	}
	out := make(map[query.Date][]web.Span, len(byDate))
	for date, rows := range byDate {
		zone, _ := p.zones.pick(rows[0].Zone, body.TimeZone)
		start, end := dayBounds(date, zone)
		out[date] = spans(rows, start, end)
	}
	return out, nil
}

func (p *page) day(ctx context.Context, r *http.Request) (web.Page, any, error) {
	get := r.URL.Query().Get
	in := &dayInput{Date: get("date")}
	in.Network, in.User, in.ViewerZone = r.PathValue("network"), get("user"), viewerZone(r)
	in.Limit, in.Cursor = pageRows, get("cursor")
	body, sub, err := p.API.day(ctx, in)
	if err != nil {
		return "", nil, err
	}
	date := body.Day.Date
	back := web.Link{Text: nameOf(sub), Href: address("/n/"+in.Network+"/record", "user", in.User, "viewer_tz", get("viewer_tz"))}
	if query.DateOf(body.AsOf.In(sub.zone))-date >= defaultDays {
		from := max(date-(defaultDays-1), query.FirstDate)
		back.Href = address("/n/"+in.Network+"/record", "user", in.User, "from", from.String(), "to", date.String(), "viewer_tz", get("viewer_tz"))
	}
	view := &web.DayView{
		Frame: web.Frame{
			Title: date.Time().Format("2 January 2006") + ", " + nameOf(sub), Crumbs: crumbs(networkCrumb(sub), back),
			Fresh: fresh(&body.Stamp, sub.zone), ViewerZone: in.ViewerZone, TellZone: true,
		},
		Network: in.Network, User: in.User, Name: sub.user.Name, Zone: sub.name, Date: date.Time(),
		Total: totalOf(&body.Day), Back: back.Href, Whole: in.Cursor == "" && body.NextCursor == nil,
		CSV: address(recordPath(in.Network, in.User)+"/"+date.String(), "format", "csv"),
	}
	p.fillSessions(view, body, sub)
	if body.NextCursor != nil {
		view.More = address("/n/"+in.Network+"/day", "user", in.User, "date", in.Date, "viewer_tz", get("viewer_tz"), "cursor", *body.NextCursor)
	}
	return web.Day, view, nil
}

// fillSessions adds the rows, and the bar that shows them.
func (p *page) fillSessions(view *web.DayView, body *dayAnswer, sub *subject) {
	zone := sub.zone
	if len(body.slices) > 0 {
		zone, view.Zone = p.zones.pick(body.slices[0].Zone, sub.name)
	}
	start, end := dayBounds(body.Day.Date, zone)
	odd := end.Sub(start) != 24*time.Hour
	if odd && len(body.slices) > 0 {
		view.OddLength = fmt.Sprintf("clocks change, the day has %s h", trimFloat(end.Sub(start).Hours()))
	}
	view.Hours, view.Spans = hours(body.Day.Date, start, end, zone), spans(body.slices, start, end)
	for i := range body.slices {
		s, item := &body.slices[i], &body.Items[i]
		in, _ := p.zones.pick(s.Zone, sub.name)
		row := web.SessionRow{
			No: i + 1, Device: deviceType(s.DeviceClass), Start: s.StartedAt.In(in), End: s.EndedAt.In(in), Seconds: s.DurationS,
			Open: s.Status == "open" && !s.ContinuesTo, FromBefore: s.ContinuesFrom, Onwards: s.ContinuesTo, Offset: odd, Robot: s.Robot,
		}
		if item.ZoneNote != nil {
			row.Note = item.ZoneNote.Text
		}
		view.Rows += s.DurationS
		view.Sessions = append(view.Sessions, row)
	}
}

func trimFloat(h float64) string { return fmt.Sprintf("%g", h) }

func nameOf(s *subject) string {
	if s.user.Name != "" {
		return s.user.Name
	}
	return s.user.UserID
}

func networkCrumb(s *subject) web.Link {
	return web.Link{Text: title(&s.network), Href: "/n/" + s.network.NetworkID}
}

func recordPath(network, user string) string {
	return "/v1/networks/" + network + "/users/" + url.PathEscape(user) + "/activity-record"
}

func totalOf(d *Day) web.Total {
	return web.Total{Days: 1, Sessions: d.Sessions, Seconds: d.DurationS, Overlap: d.OverlapS, Mobile: d.MobileS, Web: d.WebS}
}

func sum(a, b web.Total) web.Total {
	return web.Total{
		Days: a.Days + b.Days, Sessions: a.Sessions + b.Sessions, Seconds: a.Seconds + b.Seconds,
		Overlap: a.Overlap + b.Overlap, Mobile: a.Mobile + b.Mobile, Web: a.Web + b.Web,
	}
}
