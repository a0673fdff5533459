package query

import (
	"context"
	"iter"
	"time"
)

// Users asks for the users of a network, ascending by id.
type Users struct {
	Network    string // required
	Search     string // part of id or name, without regard to case; "" for all
	ActiveFrom *Date  // only users with a day in [ActiveFrom, ActiveTo]
	ActiveTo   *Date
	After      string // cursor: the last user id of the page before
	Limit      int    // 1 to All
}

// User is one user of a network.
type User struct {
	UserID    string `json:"user_id"`
	Name      string `json:"name"` // "" if none is on record
	Zone      string `json:"zone"` // IANA name; "" if none is on record
	FirstDate *Date  `json:"first_date"`
	LastDate  *Date  `json:"last_date"` // latest local day with a session; nil if none
}

// Networks asks for the networks, ascending by id. Only limits the answer to
// those that the asker may see; nil means every one, for an administrator.
type Networks struct {
	Only  []string
	After string // cursor: the last network id of the page before
	Limit int    // 1 to All
}

// Network is one network with its newest applied settings.
type Network struct {
	NetworkID string    `json:"network_id"`
	Title     string    `json:"title"`
	Zone      string    `json:"zone"` // IANA name, "UTC" by default
	GapMs     int64     `json:"gap_ms"`
	Recording bool      `json:"recording"`
	Position  int64     `json:"position"` // in the settings catalogue
	ChangedAt time.Time `json:"-"`
}

// Run streams the users.
func (q Users) Run(ctx context.Context, db Querier) iter.Seq2[User, error] {
	return Stream(ctx, db, q.SQL, scanUser)
}

// Run streams the networks.
func (q Networks) Run(ctx context.Context, db Querier) iter.Seq2[Network, error] {
	return Stream(ctx, db, q.SQL, func(r Rows, n *Network) error {
		return r.Scan(&n.NetworkID, &n.Title, &n.Zone, &n.GapMs, &n.Recording, &n.Position, &n.ChangedAt)
	})
}

// SQL gives the statement.
func (q Users) SQL() (Statement, error) {
	if q.Network == "" {
		return Statement{}, ErrNoNetwork
	}
	if err := checkLimit(q.Limit); err != nil {
		return Statement{}, err
	}
	page := "  SELECT user_id, name, zone FROM users\n" +
		"  WHERE network_id = {network:String} AND user_id > {after:String}"
	args := []Arg{{"network", q.Network}, {"after", q.After}, {"limit", int64(q.Limit)}}
	if q.Search != "" {
		page += "\n    AND (positionCaseInsensitiveUTF8(user_id, {search:String}) > 0 OR positionCaseInsensitiveUTF8(name, {search:String}) > 0)"
		args = append(args, Arg{"search", q.Search})
	}
	if q.ActiveFrom != nil || q.ActiveTo != nil {
		from, to := FirstDate, LastDate
		if q.ActiveFrom != nil {
			from = *q.ActiveFrom
		}
		if q.ActiveTo != nil {
			to = *q.ActiveTo
		}
		page += "\n    AND user_id IN (SELECT user_id FROM session_days WHERE network_id = {network:String}" +
			" AND date BETWEEN toDate({from:Int32}) AND toDate({to:Int32}))"
		args = append(args, Arg{"from", int32(from)}, Arg{"to", int32(to)})
	}
	return Statement{
		Text: "WITH page AS (\n" + page + "\n  ORDER BY user_id LIMIT {limit:Int64}\n)\n" +
			"SELECT user_id, name, zone, days > 0, toInt32(first_date), toInt32(last_date)\n" +
			"FROM page LEFT JOIN (\n" +
			"  SELECT user_id, count() AS days, min(date) AS first_date, max(date) AS last_date FROM session_days\n" +
			"  WHERE network_id = {network:String} AND user_id IN (SELECT user_id FROM page)\n" +
			"  GROUP BY user_id\n" +
			") AS active USING (user_id)\n" +
			"ORDER BY user_id\nLIMIT {limit:Int64}",
		Args: args,
	}, nil
}

func scanUser(r Rows, u *User) error {
	var (
		active      bool
		first, last int32
	)
	if err := r.Scan(&u.UserID, &u.Name, &u.Zone, &active, &first, &last); err != nil {
		return err
	}
	if active {
		from, to := Date(first), Date(last)
		u.FirstDate, u.LastDate = &from, &to
	}
	return nil
}

// SQL gives the statement.
func (q Networks) SQL() (Statement, error) {
	if err := checkLimit(q.Limit); err != nil {
		return Statement{}, err
	}
	st := Statement{
		Text: "SELECT network_id, title, zone, toInt64(gap_ms), recording, position, changed_at FROM networks\n" +
			"WHERE network_id > {after:String}",
		Args: []Arg{{"after", q.After}, {"limit", int64(q.Limit)}},
	}
	if q.Only != nil {
		st.Text += " AND network_id IN {only:Array(String)}"
		st.Args = append(st.Args, Arg{"only", q.Only})
	}
	st.Text += "\nORDER BY network_id\nLIMIT {limit:Int64}"
	return st, nil
}
