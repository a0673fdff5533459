package query

import (
	"context"
	"iter"
	"time"
)

// Questions about one network or one user read the versions in the tables and choose
// here, not in the views networks and users: planning is what a lookup costs, a view
// doubles it, and groups and an order make it half as much again. A test holds them to
// what the views say.

// OneNetwork asks for one network, by its exact id.
type OneNetwork struct {
	Network string // required
}

// Run gives the network; there is none if it is unknown. As in the view networks the
// newest position wins; every partition that applied it says the same, at another
// time, of which the first counts.
func (q OneNetwork) Run(ctx context.Context, db Querier) iter.Seq2[Network, error] {
	return func(yield func(Network, error) bool) {
		var newest *Network
		for n, err := range Stream(ctx, db, q.SQL, q.scan) {
			switch {
			case err != nil:
				yield(Network{}, err)
				return
			case newest == nil || n.Position > newest.Position:
				newest = &n
			case n.Position == newest.Position && n.ChangedAt.Before(newest.ChangedAt):
				newest.ChangedAt = n.ChangedAt
			}
		}
		if newest != nil {
			yield(*newest, nil)
		}
	}
}

func (q OneNetwork) scan(r Rows, n *Network) error {
	var from, to []int64 // spans in which nothing is recorded, half-open: Unix milliseconds
	if err := r.Scan(&n.Title, &n.Zone, &n.GapMs, &from, &to, &n.Position, &n.ChangedAt); err != nil {
		return err
	}
	if n.NetworkID = q.Network; n.Zone == "" {
		n.Zone = "UTC"
	}
	n.Recording = true
	for i, now := 0, time.Now().UnixMilli(); i < min(len(from), len(to)); i++ {
		n.Recording = n.Recording && (now < from[i] || to[i] <= now)
	}
	return nil
}

// SQL gives the statement: every version of the setting, in no order.
func (q OneNetwork) SQL() (Statement, error) {
	if q.Network == "" {
		return Statement{}, ErrNoNetwork
	}
	return Statement{
		Text: "SELECT title, zone, toInt64(gap_ms), dark.1, dark.2, position, written_at\n" +
			"FROM settings_history_versions WHERE network_id = {network:String}\n" +
			"LIMIT {limit:Int64}",
		Args:    []Arg{{"network", q.Network}, {"limit", int64(All)}},
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
	return func(yield func(UserRow, error) bool) {
		var (
			newest         *UserRow
			version, above uint64
		)
		for u, err := range Stream(ctx, db, q.SQL, func(r Rows, u *UserRow) error {
			u.UserID = q.User
			return r.Scan(&u.Name, &u.Zone, &u.Partition, &version)
		}) {
			if err != nil {
				yield(UserRow{}, err)
				return
			}
			if newest == nil || version > above {
				newest, above = &u, version
			}
		}
		if newest != nil {
			yield(*newest, nil)
		}
	}
}

// SQL gives the statement: every version of the user, in no order.
func (q OneUser) SQL() (Statement, error) {
	if err := q.check(); err != nil {
		return Statement{}, err
	}
	return Statement{
		Text: "SELECT name, zone, partition, version FROM users_versions\n" +
			"WHERE network_id = {network:String} AND user_id = {user:String}\n" +
			"LIMIT {limit:Int64}",
		Args:    []Arg{{"network", q.Network}, {"user", q.User}, {"limit", int64(All)}},
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
