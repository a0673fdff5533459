package clickhouse

import (
	"context"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Trace is what is known of one event id: daybook trace prints it.
type Trace struct {
	Events  []TracedEvent
	Rejects []Reject // whose stored value contains the id
}

// TracedEvent is one accepted event of the id, with the session that holds it.
type TracedEvent struct {
	Network, User, Source, ID, Type, Kind string
	Time, ReceivedAt                      time.Time
	DeviceID, DeviceClass                 string
	Topic                                 string
	Epoch                                 uint16
	Partition                             int32
	Offset                                int64
	Rows                                  uint64 // stored occurrences, one unless unmerged repeats of a write lie about
	Session                               *TracedSession
}

// TracedSession is the presence session that holds an event.
type TracedSession struct {
	ID                 string
	StartedAt, EndedAt time.Time
	Events             uint32
	Status, EndReason  string
	Dates              []string // YYYY-MM-DD of its slices
}

// maxTraced bounds the answer: an id names one event, or a few of several users.
const maxTraced = 100

// TraceEvent finds an event by its id. It reads the whole column of ids: seconds
// on a large table, for a person who asks.
func (s *Store) TraceEvent(ctx context.Context, eventID string) (*Trace, error) {
	t := &Trace{}
	err := s.each(ctx, "trace event",
		"SELECT network_id, user_id, source, event_id, any(e.type), any(e.kind), time, any(e.received_at), any(e.device_id), any(e.device_class),\n"+
			"  argMax(e.topic, version), argMax(e.epoch, version), argMax(e.partition, version), argMax(e.offset, version), count()\n"+
			"FROM events_versions AS e WHERE event_id = {id:String}\n"+
			"GROUP BY network_id, user_id, time, source, event_id ORDER BY network_id, user_id, time, source LIMIT {limit:Int64}",
		[]any{named("id", eventID), named("limit", int64(maxTraced))},
		func(rows driver.Rows) error {
			var e TracedEvent
			if err := rows.Scan(&e.Network, &e.User, &e.Source, &e.ID, &e.Type, &e.Kind, &e.Time, &e.ReceivedAt, &e.DeviceID, &e.DeviceClass,
				&e.Topic, &e.Epoch, &e.Partition, &e.Offset, &e.Rows); err != nil {
				return err
			}
			t.Events = append(t.Events, e)
			return nil
		})
	if err != nil {
		return nil, err
	}
	for i := range t.Events {
		if err := s.sessionOf(ctx, &t.Events[i]); err != nil {
			return nil, err
		}
	}
	err = s.each(ctx, "trace reject",
		"SELECT topic, partition, offset, reason, field, detail, key, raw, raw_bytes, recorded_at, file, line FROM rejects\n"+
			"WHERE position(raw, {id:String}) > 0 ORDER BY topic, epoch, partition, offset LIMIT {limit:Int64}",
		[]any{named("id", eventID), named("limit", int64(maxTraced))},
		func(rows driver.Rows) error {
			var r Reject
			if err := rows.Scan(&r.Topic, &r.Partition, &r.Offset, &r.Reason, &r.Field, &r.Detail, &r.Key, &r.Raw, &r.RawBytes, &r.RecordedAt, &r.File, &r.Line); err != nil {
				return err
			}
			t.Rejects = append(t.Rejects, r)
			return nil
		})
	return t, err
}

func (s *Store) sessionOf(ctx context.Context, e *TracedEvent) error {
	at := e.Time.UnixMilli()
	err := s.each(ctx, "trace session",
		"SELECT toString(session_id), started_at, ended_at, events, status, end_reason\n"+
			"FROM sessions WHERE network_id = {network:String} AND user_id = {user:String} AND device_id = {device:String}\n"+
			"  AND started_at BETWEEN toDateTime({day_before:Int64}, 'UTC') AND toDateTime({second:Int64}, 'UTC')\n"+
			"  AND started_ms <= {at:Int64} AND ended_ms >= {at:Int64}\n"+
			"ORDER BY started_ms DESC LIMIT 1",
		[]any{
			named("network", e.Network), named("user", e.User), named("device", e.DeviceID), named("at", at),
			named("second", seconds(at)), named("day_before", max(0, seconds(at)-2*86400)),
		},
		func(rows driver.Rows) error {
			var t TracedSession
			if err := rows.Scan(&t.ID, &t.StartedAt, &t.EndedAt, &t.Events, &t.Status, &t.EndReason); err != nil {
				return err
			}
			e.Session = &t
			return nil
		})
	if err != nil || e.Session == nil {
		return err
	}
	return s.each(ctx, "trace slices",
		"SELECT toString(date) FROM session_days\n"+
			"WHERE network_id = {network:String} AND user_id = {user:String} AND session_id = toUUID({session:String}) ORDER BY date LIMIT {limit:Int64}",
		[]any{named("network", e.Network), named("user", e.User), named("session", e.Session.ID), named("limit", int64(maxTraced))},
		func(rows driver.Rows) error {
			var date string
			if err := rows.Scan(&date); err != nil {
				return err
			}
			e.Session.Dates = append(e.Session.Dates, date)
			return nil
		})
}
