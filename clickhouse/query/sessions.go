package query

import (
	"context"
	"iter"
	"time"
)

// Sessions asks for session rows whose start has a local date in [From, To].
type Sessions struct {
	Network     string // required
	User        string // "" for all users of the network
	DeviceClass string // "mobile", "web", "" for both
	From        Date   // inclusive
	To          Date   // inclusive
	After       *SessionCursor
	Limit       int // 1 to All
}

// SessionCursor names the last row of a page: the total order of Sessions is
// (started_at, session_id), ascending.
type SessionCursor struct {
	StartedAt time.Time // whole seconds UTC
	SessionID string    // UUID text
}

// Session is one presence session. Instants are UTC, whole seconds.
type Session struct {
	NetworkID   string    `json:"network_id"`
	UserID      string    `json:"user_id"`
	DeviceID    string    `json:"device_id"`
	DeviceClass string    `json:"device_class"` // "mobile" or "web"
	SessionID   string    `json:"session_id"`   // UUID text
	Date        Date      `json:"date"`         // local date of the start in Zone
	StartedAt   time.Time `json:"started_at"`
	EndedAt     time.Time `json:"ended_at"`
	DurationS   int64     `json:"duration_s"`
	Status      string    `json:"status"` // "open", "closed", "final"
	EndReason   string    `json:"end_reason"`
	Events      uint32    `json:"events"`
	Zone        string    `json:"zone"` // IANA name
	Robot       bool      `json:"robot"`
}

// Run streams the sessions.
func (q Sessions) Run(ctx context.Context, db Querier) iter.Seq2[Session, error] {
	return withMarks(ctx, db, q.Network, q.SQL, func(m marks) func(Rows, *Session) error {
		// An export has millions of rows: where they go is said once a Stream, not for
		// each of them (a list of 16 pointers on the heap).
		var into *Session
		var dest []any
		var at place
		var over int64
		return func(r Rows, s *Session) error {
			if into != s {
				into = s
				dest = []any{
					&s.UserID, &s.DeviceID, &s.DeviceClass, &s.SessionID, (*int32)(&s.Date),
					&s.StartedAt, &s.EndedAt, &s.DurationS, &s.EndReason, &s.Events, &s.Zone, &s.Robot,
					&at.topic, &at.epoch, &at.partition, &over,
				}
			}
			err := r.Scan(dest...)
			s.NetworkID, s.Status = q.Network, m.status(at, over)
			return err
		}
	})
}

// withMarks streams rows whose status is told by marks that are read before them.
func withMarks[T any](ctx context.Context, db Querier, network string, sql func() (Statement, error), scan func(marks) func(Rows, *T) error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		if _, err := sql(); err != nil {
			yield(zero, err)
			return
		}
		m, err := readMarks(ctx, db, network)
		if err != nil {
			yield(zero, err)
			return
		}
		Stream(ctx, db, sql, scan(m))(yield)
	}
}

// SQL gives the statement.
func (q Sessions) SQL() (Statement, error) {
	return q.statement("user_id, device_id, device_class, toString(session_id) AS id, toInt32(date) AS day,\n" +
		"  started_at, ended_at, toInt64(duration_s), end_reason, events, zone, robot,\n" +
		"  topic, epoch, partition, ended_ms + gap_ms AS over")
}

// statement asks for columns of the sessions.
func (q Sessions) statement(columns string) (Statement, error) {
	if q.Network == "" {
		return Statement{}, ErrNoNetwork
	}
	if err := checkLimit(q.Limit); err != nil {
		return Statement{}, err
	}
	st := Statement{
		// started_at repeats the range, a day wider at both ends (zones reach from
		// UTC-12 to UTC+14): it is what the partitions and the sort key know.
		Text: "SELECT " + columns + "\n" +
			"FROM sessions_versions FINAL\n" +
			"WHERE network_id = {network:String} AND date BETWEEN toDate({from:Int32}) AND toDate({to:Int32})\n" +
			"  AND started_at BETWEEN toDateTime({first:Int64}, 'UTC') AND toDateTime({last:Int64}, 'UTC')",
		Args: []Arg{
			{"network", q.Network},
			{"from", int32(q.From)},
			{"to", int32(q.To)},
			{"first", max(0, int64(q.From)-1) * 86400},
			{"last", min(1<<32-1, (int64(q.To)+2)*86400)},
			{"limit", int64(q.Limit)},
		},
	}
	if q.User != "" {
		st.Text += " AND user_id = {user:String}"
		st.Args = append(st.Args, Arg{"user", q.User})
		st.Threads = 1
	}
	if q.DeviceClass != "" {
		st.Text += " AND device_class = {class:String}"
		st.Args = append(st.Args, Arg{"class", q.DeviceClass})
	}
	if q.After != nil {
		st.Text += "\n  AND (started_at, session_id) > (toDateTime({after:Int64}, 'UTC'), toUUID({after_id:String}))"
		st.Args = append(st.Args, Arg{"after", q.After.StartedAt.Unix()}, Arg{"after_id", q.After.SessionID})
	}
	st.Text += "\nORDER BY started_at, session_id\nLIMIT {limit:Int64}"
	return st, nil
}

// DaySessions asks for the slices of one user's local day (or days), each with
// its whole session.
type DaySessions struct {
	Network string // required
	User    string // required
	From    Date   // inclusive
	To      Date   // inclusive; equal to From for one day
	After   *DayCursor
	Limit   int // 1 to All
}

// DayCursor names the last row of a page: the total order of DaySessions is
// (date, started_at, session_id), ascending.
type DayCursor struct {
	Date      Date
	StartedAt time.Time // of the slice
	SessionID string    // UUID text
}

// DaySession is the part of a session that shows one local date. Instants are
// UTC, whole seconds; StartedAt, EndedAt and DurationS are the slice's.
type DaySession struct {
	Date             Date           `json:"date"`
	SessionID        string         `json:"session_id"`
	DeviceID         string         `json:"device_id"`
	DeviceClass      string         `json:"device_class"`
	StartedAt        time.Time      `json:"started_at"`
	EndedAt          time.Time      `json:"ended_at"`
	DurationS        int64          `json:"duration_s"`
	Runs             [][2]time.Time `json:"-"` // half-open; more than one where a date is not one interval
	ContinuesFrom    bool           `json:"continues_from"`
	ContinuesTo      bool           `json:"continues_to"`
	Zone             string         `json:"zone"`
	SessionStartedAt time.Time      `json:"session_started_at"`
	SessionEndedAt   time.Time      `json:"session_ended_at"`
	SessionDurationS int64          `json:"session_duration_s"`
	Status           string         `json:"status"`
	EndReason        string         `json:"end_reason"`
	Events           uint32         `json:"events"` // of the whole session
	Robot            bool           `json:"robot"`
}

// Run streams the slices.
func (q DaySessions) Run(ctx context.Context, db Querier) iter.Seq2[DaySession, error] {
	return withMarks(ctx, db, q.Network, q.SQL, func(m marks) func(Rows, *DaySession) error {
		var from, to []time.Time
		var at place
		var over int64
		return func(r Rows, s *DaySession) error {
			err := r.Scan((*int32)(&s.Date), &s.SessionID, &s.DeviceID, &s.DeviceClass, &s.StartedAt, &s.EndedAt, &s.DurationS,
				&from, &to, &s.ContinuesFrom, &s.ContinuesTo, &s.Zone, &s.SessionStartedAt, &s.SessionEndedAt, &s.SessionDurationS,
				&s.EndReason, &s.Events, &s.Robot, &at.topic, &at.epoch, &at.partition, &over)
			s.Status = m.status(at, over)
			for i := range from {
				s.Runs = append(s.Runs, [2]time.Time{from[i], to[i]})
			}
			return err
		}
	})
}

// SQL gives the statement.
func (q DaySessions) SQL() (Statement, error) {
	switch {
	case q.Network == "":
		return Statement{}, ErrNoNetwork
	case q.User == "":
		return Statement{}, ErrNoUser
	}
	if err := checkLimit(q.Limit); err != nil {
		return Statement{}, err
	}
	st := Statement{
		// Both sides bear the whole key, so that each reads a few granules. A
		// session is at most a day long (SEMANTICS.md section 9, cap) and a zone at
		// most 14 hours away: two days to either side hold every session concerned.
		Text: "SELECT toInt32(d.date) AS day, toString(d.session_id) AS id, d.device_id, d.device_class, d.started_at, d.ended_at,\n" +
			"  toInt64(d.duration_s), d.runs.1, d.runs.2, d.continues_from, d.continues_to, d.zone,\n" +
			"  s.started_at, s.ended_at, toInt64(s.duration_s), s.end_reason, s.events, d.robot,\n" +
			"  s.topic, s.epoch, s.partition, s.ended_ms + s.gap_ms AS over\n" +
			"FROM (\n" +
			"  SELECT date, session_id, device_id, device_class, started_at, ended_at, duration_s, runs, continues_from, continues_to, zone, robot\n" +
			"  FROM session_days_versions FINAL\n" +
			"  WHERE network_id = {network:String} AND user_id = {user:String} AND date BETWEEN toDate({from:Int32}) AND toDate({to:Int32})\n" +
			") AS d\n" +
			"INNER JOIN (\n" +
			"  SELECT session_id, started_at, ended_at, duration_s, end_reason, events, topic, epoch, partition, ended_ms, gap_ms\n" +
			"  FROM sessions_versions FINAL\n" +
			"  WHERE network_id = {network:String} AND user_id = {user:String}\n" +
			"    AND started_at BETWEEN toDateTime({first:Int64}, 'UTC') AND toDateTime({last:Int64}, 'UTC')\n" +
			") AS s ON s.session_id = d.session_id",
		Args: []Arg{
			{"network", q.Network},
			{"user", q.User},
			{"from", int32(q.From)},
			{"to", int32(q.To)},
			{"first", max(0, int64(q.From)-2) * 86400},
			{"last", min(1<<32-1, (int64(q.To)+2)*86400)},
			{"limit", int64(q.Limit)},
		},
		Threads: 1,
	}
	if q.After != nil {
		st.Text += "\nWHERE (d.date, d.started_at, d.session_id) > (toDate({after_date:Int32}), toDateTime({after:Int64}, 'UTC'), toUUID({after_id:String}))"
		st.Args = append(st.Args, Arg{"after_date", int32(q.After.Date)},
			Arg{"after", q.After.StartedAt.Unix()}, Arg{"after_id", q.After.SessionID})
	}
	st.Text += "\nORDER BY d.date, d.started_at, d.session_id\nLIMIT {limit:Int64}"
	return st, nil
}
