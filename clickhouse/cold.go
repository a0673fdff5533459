package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"daybook/schemas"
)

// belowSQL keeps rows of this partition's log below an offset. Earlier epochs
// count whole: their partitions were others.
const belowSQL = "(epoch < {epoch:UInt16} OR epoch = {epoch:UInt16} AND partition = {partition:Int32} AND offset < {below:Int64})"

// ownSQL is belowSQL whatever the offset.
const ownSQL = "(epoch < {epoch:UInt16} OR epoch = {epoch:UInt16} AND partition = {partition:Int32})"

const (
	coldNetworksSQL = "SELECT network_id, toUnixTimestamp64Milli(max(time)), countIf(" + belowSQL + "), toUnixTimestamp64Milli(maxIf(time, " + belowSQL + "))\n" +
		"FROM events_versions WHERE " + ownSQL + " GROUP BY network_id ORDER BY network_id"
	coldSettingsSQL = "SELECT network_id, n.1, n.2, n.3, n.4, n.5, n.6, n.7.1, n.7.2 FROM (\n" +
		"  SELECT network_id, argMax((offset, position, title, toString(zone), gap_ms, retention_days, dark), (position, epoch, offset)) AS n\n" +
		"  FROM settings_history_versions WHERE " + belowSQL + " GROUP BY network_id\n" +
		") ORDER BY network_id"
	coldFactsSQL = "SELECT network_id, user_id, n.1, n.2, n.3 FROM (\n" +
		"  SELECT network_id, user_id, argMax((offset, toString(zone), name), (epoch, offset)) AS n\n" +
		"  FROM user_facts_versions WHERE " + belowSQL + " GROUP BY network_id, user_id\n" +
		") ORDER BY network_id, user_id"
)

// ColdState tells what the tables know of a partition's log below an offset,
// for a start without a checkpoint (ARCHITECTURE.md section 4.8): the extent of
// each network's events, and the newest setting and facts. WatermarkMs is the
// greatest event time itself; the out-of-orderness is the caller's to take off.
func (s *Store) ColdState(ctx context.Context, epoch uint16, partition int32, below int64) (*schemas.ColdState, error) {
	cold := &schemas.ColdState{}
	args := []any{named("epoch", epoch), named("partition", partition), named("below", below)}
	err := s.each(ctx, "read extent of stored events", coldNetworksSQL, args, func(rows driver.Rows) error {
		var n schemas.ColdNetwork
		var count uint64
		if err := rows.Scan(&n.Network, &n.GreatestMs, &count, &n.WatermarkMs); err != nil {
			return err
		}
		if count == 0 {
			n.WatermarkMs = math.MinInt64
		}
		cold.Networks = append(cold.Networks, n)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = s.each(ctx, "read settings history", coldSettingsSQL, args, func(rows driver.Rows) error {
		var (
			r        schemas.SettingRow
			gap      uint32
			days     uint32
			from, to []int64
		)
		if err := rows.Scan(&r.Control.Network, &r.Offset, &r.Control.Position, &r.Control.Title, &r.Control.Zone, &gap, &days, &from, &to); err != nil {
			return err
		}
		r.Control.GapMs, r.Control.RetentionDays = int32(gap), int32(days)
		for i := range from {
			r.Control.Dark = append(r.Control.Dark, schemas.Dark{FromMs: from[i], ToMs: to[i]})
		}
		cold.Settings = append(cold.Settings, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = s.each(ctx, "read user facts", coldFactsSQL, args, func(rows driver.Rows) error {
		var r schemas.UserFactRow
		if err := rows.Scan(&r.Network, &r.User, &r.Offset, &r.Zone, &r.Name); err != nil {
			return err
		}
		cold.Facts = append(cold.Facts, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return cold, nil
}

// each runs a statement and gives its rows to scan. Transient errors are tried
// again until ctx ends, as long as no row was given.
func (s *Store) each(ctx context.Context, doing, sql string, args []any, scan func(driver.Rows) error) error {
	for attempt := 1; ; attempt++ {
		given, err := s.eachOnce(ctx, sql, args, scan)
		err = wrap(ctx, doing, err)
		if err == nil || given || !errors.Is(err, ErrTransient) {
			return err
		}
		if stop := pause(ctx, backoff(attempt)); stop != nil {
			return errors.Join(stop, err)
		}
	}
}

func (s *Store) eachOnce(ctx context.Context, sql string, args []any, scan func(driver.Rows) error) (given bool, err error) {
	rows, err := s.conn.Query(ctx, sql, args...)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		given = true
		if err := scan(rows); err != nil {
			return given, fmt.Errorf("%w: %w", ErrPermanent, err) // a column's type: our own bug
		}
	}
	return given, rows.Err()
}
