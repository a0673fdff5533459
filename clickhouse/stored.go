package clickhouse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	chgo "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"daybook/schemas"
)

// Bounds of one read: parameters travel in the request's address, of which a
// server takes 1 MB (http_max_uri_size) and 128 KB a parameter
// (http_max_field_value_size); escaping can double user text.
const (
	windowsPerRead   = 1000
	textBytesPerRead = 50_000
)

const storedEventsSQL = `WITH windows AS (
    SELECT w.1 AS network, w.2 AS user, w.3 AS from_ms, w.4 AS to_ms
    FROM (SELECT arrayJoin(arrayZip({networks:Array(String)}, {users:Array(String)}, {from:Array(Int64)}, {to:Array(Int64)})) AS w)
)
SELECT e.network_id, e.user_id, toUnixTimestamp64Milli(e.time) AS time_ms, e.source, e.event_id, e.device_id, e.device_class, e.kind,
    e.robot, e.class_unknown, e.time_clamped, e.gap_ms, e.recording_period, e.zone, e.content_hash, e.epoch, e.offset
FROM (
    SELECT * FROM events_versions
    WHERE (network_id, user_id) IN (SELECT network, user FROM windows)
      AND time BETWEEN fromUnixTimestamp64Milli({first:Int64}, 'UTC') AND fromUnixTimestamp64Milli({last:Int64}, 'UTC')
      AND (epoch < {epoch:UInt16} OR epoch = {epoch:UInt16} AND partition = {partition:Int32} AND offset < {below:Int64})
) AS e
INNER JOIN windows AS w ON w.network = e.network_id AND w.user = e.user_id
WHERE time_ms BETWEEN w.from_ms AND w.to_ms
ORDER BY e.network_id, e.user_id, e.time, e.source, e.event_id, e.epoch, e.offset`

// StoredEvents reads back the accepted events of the windows that the log
// holds below the query's offset, each once, and gives them to yield, which
// must not keep the pointer. The order is that of (network, user, time, source,
// id) within a bulk of windows. Events of earlier epochs count as below every
// offset of this one; their Offset is negative, in the order of the log.
//
// It sees every insert that was acknowledged before it was called, whoever
// wrote it. Transient errors are tried again until ctx ends, as long as nothing
// of the bulk was given to yield; an error of yield ends the read and is
// returned as it is.
func (s *Store) StoredEvents(ctx context.Context, q schemas.EventsQuery, yield func(*schemas.StoredEvent) error) error {
	windows := mergeWindows(q.Windows)
	for len(windows) > 0 {
		n, text := 0, 0
		for n < len(windows) && n < windowsPerRead && text < textBytesPerRead {
			text += len(windows[n].Network) + len(windows[n].User) + 8
			n++
		}
		if err := s.readBulk(ctx, q, windows[:n], yield); err != nil {
			return err
		}
		windows = windows[n:]
	}
	return nil
}

// mergeWindows sorts the windows by user and unites those of one user that
// touch: an event must not be given twice.
func mergeWindows(in []schemas.EventsWindow) []schemas.EventsWindow {
	sorted := slices.Clone(in)
	slices.SortFunc(sorted, func(a, b schemas.EventsWindow) int {
		return cmp.Or(cmp.Compare(a.Network, b.Network), cmp.Compare(a.User, b.User), cmp.Compare(a.FromMs, b.FromMs))
	})
	out := sorted[:0]
	for _, w := range sorted {
		if w.ToMs < w.FromMs {
			continue
		}
		if n := len(out); n > 0 && out[n-1].Network == w.Network && out[n-1].User == w.User && w.FromMs <= out[n-1].ToMs {
			out[n-1].ToMs = max(out[n-1].ToMs, w.ToMs)
			continue
		}
		out = append(out, w)
	}
	return out
}

// readBulk runs one read, again after transient errors until a row was given.
func (s *Store) readBulk(ctx context.Context, q schemas.EventsQuery, windows []schemas.EventsWindow, yield func(*schemas.StoredEvent) error) error {
	for attempt := 1; ; attempt++ {
		given := false
		err := s.readWindows(ctx, q, windows, func(e *schemas.StoredEvent) error {
			given = true
			return yield(e)
		})
		if err == nil || given || !errors.Is(err, ErrTransient) {
			return err
		}
		if stop := pause(ctx, backoff(attempt)); stop != nil {
			return errors.Join(stop, err)
		}
	}
}

func (s *Store) readWindows(ctx context.Context, q schemas.EventsQuery, windows []schemas.EventsWindow, yield func(*schemas.StoredEvent) error) error {
	networks, users := make([]string, len(windows)), make([]string, len(windows))
	from, to := make([]int64, len(windows)), make([]int64, len(windows))
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	for i, w := range windows {
		networks[i], users[i] = w.Network, w.User
		from[i], to[i] = max(w.FromMs, firstInstantMs), min(w.ToMs, lastInstantMs)
		first, last = min(first, from[i]), max(last, to[i])
	}
	// The error of yield must not be taken for one of the read; leaving early must
	// end the query.
	readCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	rows, err := s.conn.Query(chgo.Context(readCtx, chgo.WithSettings(readSettings())), storedEventsSQL,
		named("networks", networks), named("users", users), named("from", from), named("to", to), named("first", first), named("last", last),
		named("epoch", q.Epoch), named("partition", q.Partition), named("below", q.BelowOffset))
	if err != nil {
		return wrap(ctx, "read stored events", err)
	}
	defer func() { cancel(); _ = rows.Close() }() // read to its end, or given up: Err has said what there is to say
	var e, before schemas.StoredEvent
	for n := 0; rows.Next(); n++ {
		before = e
		if err := scanStored(rows, q.Epoch, &e); err != nil {
			return fmt.Errorf("read stored events: %w: %w", ErrPermanent, err) // a column's type: our own bug
		}
		// Unmerged rows of one identity: the first occurrence is the event.
		if n > 0 && e.TimeMs == before.TimeMs && e.ID == before.ID && e.User == before.User && e.Source == before.Source && e.Network == before.Network {
			continue
		}
		if err := yield(&e); err != nil {
			return err
		}
	}
	return wrap(ctx, "read stored events", rows.Err())
}

func scanStored(rows driver.Rows, epoch uint16, e *schemas.StoredEvent) error {
	var (
		class, kind                 string
		robot, unknown, timeClamped bool
		gap                         uint32
		rowEpoch                    uint16
	)
	if err := rows.Scan(&e.Network, &e.User, &e.TimeMs, &e.Source, &e.ID, &e.Device, &class, &kind, &robot, &unknown, &timeClamped,
		&gap, &e.Period, &e.Zone, &e.Content, &rowEpoch, &e.Offset); err != nil {
		return err
	}
	e.Class, e.Kind, e.GapMs, e.Flags = classOfName(class), kindOfName(kind), int32(gap), 0
	e.Offset -= int64(epoch-rowEpoch) << 48
	for _, f := range []struct {
		set  bool
		flag schemas.EventFlags
	}{{robot, schemas.FlagRobot}, {unknown, schemas.FlagClassUnknown}, {timeClamped, schemas.FlagTimeClamped}} {
		if f.set {
			e.Flags |= f.flag
		}
	}
	return nil
}
