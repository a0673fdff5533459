package readapi

import (
	"context"
	"fmt"
	"net/http"

	"daybook/clickhouse/query"
	"daybook/clickhouse/readapi/web"
)

// pageRows is how many rows a page shows before it offers the next one.
const pageRows = 100

func (p *page) networks(ctx context.Context, r *http.Request) (web.Page, any, error) {
	body, err := p.API.networks(ctx, PageInput{Limit: pageRows, Cursor: r.URL.Query().Get("cursor")})
	if err != nil {
		return "", nil, err
	}
	view := &web.NetworksView{Frame: web.Frame{Title: "Networks"}}
	for _, n := range body.Items {
		view.Networks = append(view.Networks, web.NetworkRow{ID: n.NetworkID, Title: n.Title, Zone: n.Zone, Gap: gapWords(n.GapS), Recording: n.Recording})
	}
	if body.NextCursor != nil {
		view.More = address("/", "cursor", *body.NextCursor)
	}
	return web.Networks, view, nil
}

func (p *page) users(ctx context.Context, r *http.Request) (web.Page, any, error) {
	in := &usersInput{Search: cut(r.URL.Query().Get("q"), 256)}
	in.Network, in.Limit, in.Cursor = r.PathValue("network"), pageRows, r.URL.Query().Get("cursor")
	body, n, err := p.API.users(ctx, in)
	if err != nil {
		return "", nil, err
	}
	zone, _ := p.zones.pick(n.Zone)
	view := &web.UsersView{
		Frame:   web.Frame{Title: title(n), Crumbs: crumbs(), Fresh: fresh(&body.Stamp, zone)},
		Network: n.NetworkID, Search: in.Search,
	}
	for i := range body.Items {
		u := &body.Items[i]
		view.Users = append(view.Users, web.UserRow{ID: u.UserID, Name: u.Name, Zone: u.Zone, First: dateText(u.FirstDate), Last: dateText(u.LastDate)})
	}
	if body.NextCursor != nil {
		view.More = address("/n/"+n.NetworkID, "q", in.Search, "cursor", *body.NextCursor)
	}
	return web.Users, view, nil
}

// gapWords gives "30 min", "1 h 30 min", "90 s".
func gapWords(seconds int64) string {
	switch h, m := seconds/3600, seconds/60%60; {
	case seconds%60 != 0:
		return fmt.Sprintf("%d s", seconds)
	case h == 0:
		return fmt.Sprintf("%d min", m)
	case m == 0:
		return fmt.Sprintf("%d h", h)
	default:
		return fmt.Sprintf("%d h %d min", h, m)
	}
}

func title(n *query.Network) string {
	if n.Title != "" {
		return n.Title
	}
	return n.NetworkID
}

func crumbs(more ...web.Link) []web.Link {
	return append([]web.Link{{Text: "Networks", Href: "/"}}, more...)
}

func cut(s string, length int) string {
	if len(s) > length {
		return s[:length]
	}
	return s
}
