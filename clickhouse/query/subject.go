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
// nil if the network has no record of the user.
type SubjectRow struct {
	Network Network
	User    *User
}

// Run gives the row, if there is one.
func (q Subject) Run(ctx context.Context, db Querier) iter.Seq2[SubjectRow, error] {
	return Stream(ctx, db, q.SQL, func(r Rows, s *SubjectRow) error {
		var (
			user        User
			days        uint64
			first, last int32
		)
		s.Network.NetworkID = q.Network
		if err := r.Scan(&s.Network.Title, &s.Network.Zone, &s.Network.GapMs, &s.Network.Recording,
			&user.UserID, &user.Name, &user.Zone, &days, &first, &last); err != nil {
			return err
		}
		if days > 0 {
			from, to := Date(first), Date(last)
			user.FirstDate, user.LastDate = &from, &to
		}
		if user.UserID != "" {
			s.User = &user
		}
		return nil
	})
}

// SQL gives the statement.
func (q Subject) SQL() (Statement, error) {
	switch {
	case q.Network == "":
		return Statement{}, ErrNoNetwork
	case q.User == "":
		return Statement{}, ErrNoUser
	}
	return Statement{
		Text: "SELECT n.title, n.zone, toInt64(n.gap_ms), n.recording, u.user_id, u.name, u.zone, toUInt64(d.days), toInt32(d.first_date), toInt32(d.last_date)\n" +
			"FROM (SELECT 1 AS k, title, zone, gap_ms, recording FROM networks WHERE network_id = {network:String}) AS n\n" +
			"LEFT JOIN (\n" +
			"  SELECT 1 AS k, user_id, name, zone FROM users WHERE network_id = {network:String} AND user_id = {user:String}\n" +
			") AS u USING (k)\n" +
			"LEFT JOIN (\n" +
			"  SELECT 1 AS k, count() AS days, min(date) AS first_date, max(date) AS last_date FROM session_days\n" +
			"  WHERE network_id = {network:String} AND user_id = {user:String}\n" +
			") AS d USING (k)\n" +
			"LIMIT 1",
		Args: []Arg{{"network", q.Network}, {"user", q.User}},
	}, nil
}
