package readapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"daybook/clickhouse/export"
	"daybook/clickhouse/query"
)

// User is one person of a network's record.
type User struct {
	UserID    string      `json:"user_id" doc:"Id of the user, as the producers send it."`
	Name      string      `json:"name" doc:"Name on record, or empty."`
	Zone      string      `json:"zone" doc:"IANA name: on record, else the network's."`
	FirstDate *query.Date `json:"first_date" format:"date" doc:"First active local date; null if there is none."`
	LastDate  *query.Date `json:"last_date" format:"date" doc:"Last active local date."`
}

type usersInput struct {
	NetworkInput
	PageInput
	FormatInput

	Search     string `query:"q" maxLength:"256" doc:"Part of the id or name, in any case of letters."`
	ActiveFrom string `query:"active_from" format:"date" doc:"Only users with an active day on or after this date."`
	ActiveTo   string `query:"active_to" format:"date" doc:"Only users with an active day on or before this date."`
}

func (a *API) registerUsers() {
	register[usersInput, List[User]](a, huma.Operation{
		OperationID: "list-users", Method: http.MethodGet, Path: "/v1/networks/{network}/users", Tags: []string{"Users"},
		Summary: "Users of a network, ascending by id",
	}, true, a.listUsers)
}

func (a *API) listUsers(ctx context.Context, in *usersInput) (*huma.StreamResponse, error) {
	quick, cancel := a.queryContext(ctx)
	defer cancel()
	body, n, q, err := a.beginUsers(quick, in)
	if err != nil {
		return nil, err
	}
	if in.csv() {
		f := in.csvFile("users_"+n.NetworkID, body.Stamp, "user_id", "name", "zone", "first_date", "last_date")
		q.After, q.Limit = "", query.All
		f.rows = func(ctx context.Context, out *export.CSV) error {
			for row, err := range q.Run(ctx, a.db) {
				if err != nil {
					return err
				}
				u := a.userOf(&row, n)
				if err := out.Text(u.UserID).Text(u.Name).Text(u.Zone).Plain(dateText(u.FirstDate)).Plain(dateText(u.LastDate)).End(); err != nil {
					return err
				}
			}
			return nil
		}
		return a.stream(ctx, f), nil
	}
	if err := a.fillUsers(quick, body, in, n, q); err != nil {
		return nil, err
	}
	return answer(http.StatusOK, body), nil
}

// users gives one page of users and their network.
func (a *API) users(ctx context.Context, in *usersInput) (*List[User], *query.Network, error) {
	body, n, q, err := a.beginUsers(ctx, in)
	if err == nil {
		err = a.fillUsers(ctx, body, in, n, q)
	}
	return body, n, err
}

func (a *API) beginUsers(ctx context.Context, in *usersInput) (body *List[User], n *query.Network, q query.Users, err error) {
	body = &List[User]{Items: []User{}, Stamp: a.newStamp()}
	q = query.Users{Network: in.Network, Search: in.Search, Limit: in.Limit + 1}
	if in.ActiveFrom != "" {
		d, err := dateParameter("query.active_from", in.ActiveFrom)
		if err != nil {
			return nil, nil, q, err
		}
		q.ActiveFrom = &d
	}
	if in.ActiveTo != "" {
		d, err := dateParameter("query.active_to", in.ActiveTo)
		if err != nil {
			return nil, nil, q, err
		}
		q.ActiveTo = &d
	}
	if err := a.cursors.open(in.scope(), in.Cursor, &q.After); err != nil {
		return nil, nil, q, err
	}
	n, err = a.freshNetwork(ctx, &body.Stamp, in.Network)
	return body, n, q, err
}

func (in *usersInput) scope() string {
	return scope("users", in.Network, in.Search, in.ActiveFrom, in.ActiveTo)
}

func (a *API) fillUsers(ctx context.Context, body *List[User], in *usersInput, n *query.Network, q query.Users) error {
	for row, err := range q.Run(ctx, a.db) {
		if err != nil {
			return a.storage(ctx, "users", err)
		}
		if body.full(in.Limit, a.cursors, in.scope(), func() any { return body.Items[len(body.Items)-1].UserID }) {
			break
		}
		body.Items = append(body.Items, a.userOf(&row, n))
	}
	return nil
}

func (a *API) userOf(u *query.User, n *query.Network) User {
	out := User{UserID: u.UserID, Name: u.Name, FirstDate: u.FirstDate, LastDate: u.LastDate}
	_, out.Zone = a.zones.pick(u.Zone, n.Zone)
	return out
}

func dateText(d *query.Date) string {
	if d == nil {
		return ""
	}
	return d.String()
}
