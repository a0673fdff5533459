package clickhouse

import (
	"context"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"daybook/schemas"
)

const (
	aheadLedgerSQL = "SELECT block, size, next_offset, accepted, duplicate, conflicts, not_recorded, rejected, skipped FROM ledger\n" +
		"WHERE epoch = {epoch:UInt16} AND partition = {partition:Int32} AND block + size > {from:Int64} ORDER BY block"
	aheadSpansSQL = "SELECT network_id, user_id, toUnixTimestamp64Milli(min(time)), toUnixTimestamp64Milli(max(time)) FROM events_versions\n" +
		"WHERE epoch = {epoch:UInt16} AND partition = {partition:Int32} AND offset >= {from:Int64} GROUP BY network_id, user_id ORDER BY network_id, user_id"
	aheadOffsetsSQL = "SELECT DISTINCT offset FROM events_versions\n" +
		"WHERE epoch = {epoch:UInt16} AND partition = {partition:Int32} AND offset >= {from:Int64} ORDER BY offset"
)

// Ahead tells what is stored of a partition at or above an offset: what was
// written before its position could be committed. A gap that a person has
// recorded is passed with it.
func (s *Store) Ahead(ctx context.Context, epoch uint16, partition int32, from int64) (*schemas.Ahead, error) {
	ahead, end := &schemas.Ahead{}, from
	args := func(offset int64) []any {
		return []any{named("epoch", epoch), named("partition", partition), named("from", offset)}
	}
	err := s.each(ctx, "read the ledger ahead", aheadLedgerSQL, args(from), func(rows driver.Rows) error {
		var l schemas.LedgerRow
		if err := rows.Scan(&l.Block, &l.Size, &l.Next, &l.Accepted, &l.Duplicate, &l.Conflicts, &l.NotRecorded, &l.Rejected, &l.Skipped); err != nil {
			return err
		}
		ahead.Ledger = append(ahead.Ledger, l)
		if l.Block <= end {
			end = max(end, l.Next)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = s.each(ctx, "read users of events ahead", aheadSpansSQL, args(from), func(rows driver.Rows) error {
		var w schemas.EventsWindow
		if err := rows.Scan(&w.Network, &w.User, &w.FromMs, &w.ToMs); err != nil {
			return err
		}
		ahead.Spans = append(ahead.Spans, w)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = s.each(ctx, "read offsets of events ahead", aheadOffsetsSQL, args(end), func(rows driver.Rows) error {
		var offset int64
		if err := rows.Scan(&offset); err != nil {
			return err
		}
		ahead.Offsets = append(ahead.Offsets, offset)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return ahead, nil
}
