package query

import (
	"context"
	"iter"
)

// Subject asks for one user together with the network, by exact ids: what
// every answer about a person must know first.
type Subject struct {
	Network string // required
	User    string // required
}

// SubjectRow is the answer; there is none if the network is unknown. User is
// nil if the network has no record of the user. Its first and last dates are
// not asked for: LastDay does.
type SubjectRow struct {
	Network   Network
	User      *User
	Partition *int32 // that all events of the user lie on
}

// Run gives the row, if there is one.
func (q Subject) Run(ctx context.Context, db Querier) iter.Seq2[SubjectRow, error] {
	return Stream(ctx, db, q.SQL, func(r Rows, s *SubjectRow) error {
		var (
			user      User
			partition int32
		)
		s.Network.NetworkID = q.Network
		if err := r.Scan(&s.Network.Title, &s.Network.Zone, &s.Network.GapMs, &s.Network.Recording,
			&user.UserID, &user.Name, &user.Zone, &partition); err != nil {
			return err
		}
		if user.UserID != "" {
			s.User, s.Partition = &user, &partition
		}
		return nil
	})
}

// SQL gives the statement.
func (q Subject) SQL() (Statement, error) {
	if err := q.check(); err != nil {
		return Statement{}, err
	}
	// From the tables, not the views networks and users: planning is what a lookup
	// costs, and views in it were a third of that. As networks does, the newest
	// position wins; every copy of a position says the same.
	return Statement{
		Text: "SELECT n.title, n.shown, toInt64(n.gap_ms), n.recording, u.user_id, u.name, u.zone, u.partition\n" +
			"FROM (\n" +
			"  SELECT 1 AS k, title, if(zone = '', 'UTC', zone) AS shown, gap_ms,\n" +
			"    NOT arrayExists(d -> d.1 <= toUnixTimestamp64Milli(now64(3)) AND toUnixTimestamp64Milli(now64(3)) < d.2, dark) AS recording\n" +
			"  FROM settings_history_versions WHERE network_id = {network:String}\n" +
			"  ORDER BY position DESC LIMIT 1\n" +
			") AS n\n" +
			"LEFT JOIN (\n" +
			"  SELECT 1 AS k, user_id, name, zone, partition FROM users_versions FINAL WHERE network_id = {network:String} AND user_id = {user:String}\n" +
			") AS u USING (k)\n" +
			"LIMIT 1",
		Args:    []Arg{{"network", q.Network}, {"user", q.User}},
		Threads: 1,
	}, nil
}

func (q Subject) check() error {
	switch {
	case q.Network == "":
		return ErrNoNetwork
	case q.User == "":
		return ErrNoUser
	}
	return nil
}

// LastDay asks for a user's last local date with a session.
type LastDay Subject

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
	if err := Subject(q).check(); err != nil {
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
