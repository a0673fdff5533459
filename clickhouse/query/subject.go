package query

import (
	"context"
	"iter"
)

// Questions about one network or one user read the tables, not the views
// networks and users: planning is what a lookup costs, and a view doubles it. A
// test holds them to what the views say.

// OneNetwork asks for one network, by its exact id.
type OneNetwork struct {
	Network string // required
}

// Run gives the network; there is none if it is unknown.
func (q OneNetwork) Run(ctx context.Context, db Querier) iter.Seq2[Network, error] {
	return Stream(ctx, db, q.SQL, func(r Rows, n *Network) error {
		n.NetworkID = q.Network
		return r.Scan(&n.Title, &n.Zone, &n.GapMs, &n.Recording, &n.Position, &n.ChangedAt)
	})
}

// SQL gives the statement. As in the view networks the newest position wins;
// every partition that applied it says the same, at another time.
func (q OneNetwork) SQL() (Statement, error) {
	if q.Network == "" {
		return Statement{}, ErrNoNetwork
	}
	return Statement{
		Text: "SELECT any(title), if(any(h.zone) = '', 'UTC', any(h.zone)), toInt64(any(gap_ms)),\n" +
			"  NOT arrayExists(d -> d.1 <= toUnixTimestamp64Milli(now64(3)) AND toUnixTimestamp64Milli(now64(3)) < d.2, any(dark)),\n" +
			"  position, min(written_at)\n" +
			"FROM settings_history_versions AS h WHERE network_id = {network:String}\n" +
			"GROUP BY position ORDER BY position DESC\nLIMIT 1",
		Args:    []Arg{{"network", q.Network}},
		Threads: 1,
	}, nil
}

// OneUser asks for one user, by exact ids.
type OneUser struct {
	Network string // required
	User    string // required
}

// UserRow is a user with the partition that all of the user's events lie on.
// First and last dates are not asked for: LastDay does.
type UserRow struct {
	User

	Partition int32
}

// Run gives the user; there is none if the network has no record of the user.
func (q OneUser) Run(ctx context.Context, db Querier) iter.Seq2[UserRow, error] {
	return Stream(ctx, db, q.SQL, func(r Rows, u *UserRow) error {
		u.UserID = q.User
		return r.Scan(&u.Name, &u.Zone, &u.Partition)
	})
}

// SQL gives the statement.
func (q OneUser) SQL() (Statement, error) {
	if err := q.check(); err != nil {
		return Statement{}, err
	}
	return Statement{
		Text: "SELECT name, zone, partition FROM users_versions\n" +
			"WHERE network_id = {network:String} AND user_id = {user:String}\n" +
			"ORDER BY version DESC\nLIMIT 1",
		Args:    []Arg{{"network", q.Network}, {"user", q.User}},
		Threads: 1,
	}, nil
}

func (q OneUser) check() error {
	switch {
	case q.Network == "":
		return ErrNoNetwork
	case q.User == "":
		return ErrNoUser
	}
	return nil
}

// LastDay asks for a user's last local date with a session.
type LastDay OneUser

// Ask gives the date, or nil if there is none.
func (q LastDay) Ask(ctx context.Context, db Querier) (last *Date, err error) {
	scan := func(r Rows, d *Date) error { return r.Scan((*int32)(d)) }
	for date, err := range Stream(ctx, db, q.SQL, scan) {
		return &date, err
	}
	return nil, nil //nolint:nilnil // no day is a fine answer
}

// SQL gives the statement.
func (q LastDay) SQL() (Statement, error) {
	if err := OneUser(q).check(); err != nil {
		return Statement{}, err
	}
	return Statement{
		Text: "SELECT toInt32(max(date)) AS day FROM session_days\n" +
			"WHERE network_id = {network:String} AND user_id = {user:String}\n" +
			"HAVING count() > 0\nLIMIT 1",
		Args:    []Arg{{"network", q.Network}, {"user", q.User}},
		Threads: 1,
	}, nil
}
