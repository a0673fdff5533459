package clickhouse

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"daybook/schemas"
)

// A row counts with the instant that its place in the table has: a row that was
// put there by hand may say otherwise of itself.
const (
	rowsWhere = ` WHERE network_id = {network:String} AND user_id IN {users:Array(String)}
    AND started_at <= toDateTime({to:Int64}, 'UTC') AND ended_at >= toDateTime({from:Int64}, 'UTC') AND version <= {version:UInt64}`
	storedSessionsSQL = `SELECT user_id, device_id, replaceAll(toString(session_id), '-', '') AS id,
    if(greatest(0, toInt64(floor(started_ms / 1000))) = toInt64(toUnixTimestamp(started_at)), started_ms, 1000 * toInt64(toUnixTimestamp(started_at))) AS start, toInt32(0) AS day
FROM sessions_versions FINAL` + rowsWhere + ` ORDER BY user_id, started_at, session_id`
	storedSlicesSQL = `SELECT user_id, device_id, replaceAll(toString(session_id), '-', '') AS id, session_started_ms AS start, toInt32(date) AS day
FROM session_days_versions FINAL` + rowsWhere + ` ORDER BY user_id, date, session_id`
)

// StoredRows yields the sessions and slices that the tables show of users in a
// span of time, with versions up to the query's: what a repair compares with the
// events. It sees every insert that was acknowledged before.
func (s *Store) StoredRows(ctx context.Context, q schemas.RowsQuery, yield func(*schemas.StoredRow) error) error {
	args := []any{
		named("network", q.Network), named("users", q.Users), named("version", q.Version),
		named("from", clampSecond(q.FromMs)), named("to", clampSecond(q.ToMs)),
	}
	for _, sql := range []string{storedSessionsSQL, storedSlicesSQL} {
		err := s.each(ctx, "read stored rows", sql, args, func(rows driver.Rows) error {
			r := schemas.StoredRow{Slice: sql == storedSlicesSQL}
			var id string
			if err := rows.Scan(&r.User, &r.Device, &id, &r.StartMs, &r.Date); err != nil {
				return err
			}
			if n, err := hex.Decode(r.ID[:], []byte(id)); err != nil || n != len(r.ID) {
				return fmt.Errorf("session id %q is no UUID", id)
			}
			return yield(&r)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// clampSecond gives the second of an instant as the tables hold it.
func clampSecond(ms int64) int64 { return min(max(ms, 0)/1000, 1<<32-1) }
