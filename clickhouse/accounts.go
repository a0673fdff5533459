package clickhouse

import (
	"context"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"daybook/schemas"
)

// Gap is a stretch of the log, [From, To), that a person skipped because it can
// no longer be read.
type Gap struct {
	Topic     string
	Epoch     uint16
	Partition int32
	From, To  int64
	Reason    string
	Actor     string
}

// WriteGap stores a gap. The same gap again changes nothing.
func (s *Store) WriteGap(ctx context.Context, g Gap) error {
	err := s.conn.Exec(ctx, "INSERT INTO gaps_versions (topic, epoch, partition, from_offset, to_offset, reason, actor, skipped_at, version)\n"+
		"SELECT {topic:String}, {epoch:UInt16}, {partition:Int32}, {from:Int64}, {to:Int64}, {reason:String}, {actor:String},"+
		" fromUnixTimestamp64Milli({at:Int64}, 'UTC'), {version:UInt64}",
		named("topic", g.Topic), named("epoch", g.Epoch), named("partition", g.Partition), named("from", g.From), named("to", g.To),
		named("reason", g.Reason), named("actor", g.Actor), named("at", time.Now().UnixMilli()), named("version", schemas.Version(g.Epoch, g.To)))
	return wrap(ctx, "write gap", err)
}

// GapEnd gives the end of the recorded gap of a partition that an offset lies
// in, exclusive; 0 if there is none.
func (s *Store) GapEnd(ctx context.Context, epoch uint16, partition int32, offset int64) (int64, error) {
	var to int64
	row := s.conn.QueryRow(ctx, "SELECT max(to_offset) FROM gaps WHERE epoch = {epoch:UInt16} AND partition = {partition:Int32}"+
		" AND from_offset <= {at:Int64} AND to_offset > {at:Int64}",
		named("epoch", epoch), named("partition", partition), named("at", offset))
	return to, wrap(ctx, "look for a gap", row.Scan(&to))
}

// Account is what became of offsets: each is exactly one of Accepted,
// Duplicate, NotRecorded, Rejected and Skipped (I7).
type Account struct {
	From, To    int64 // [From, To)
	Accepted    uint64
	Duplicate   uint64
	Conflicts   uint64 // a part of Duplicate
	NotRecorded map[string]uint64
	Rejected    map[string]uint64
	Skipped     map[string]uint64
}

// Accounts gives, for each partition of an epoch, the account of everything
// that the ledger holds of it.
func (s *Store) Accounts(ctx context.Context, topic string, epoch uint16) (map[int32]Account, error) {
	out := map[int32]Account{}
	args := []any{named("topic", topic), named("epoch", epoch)}
	err := s.each(ctx, "read ledger",
		"SELECT partition, min(block), max(next_offset), sum(accepted), sum(duplicate), sum(conflicts)\n"+
			"FROM ledger WHERE topic = {topic:String} AND epoch = {epoch:UInt16} GROUP BY partition ORDER BY partition", args,
		func(rows driver.Rows) error {
			var p int32
			a := Account{NotRecorded: map[string]uint64{}, Rejected: map[string]uint64{}, Skipped: map[string]uint64{}}
			if err := rows.Scan(&p, &a.From, &a.To, &a.Accepted, &a.Duplicate, &a.Conflicts); err != nil {
				return err
			}
			out[p] = a
			return nil
		})
	if err != nil {
		return nil, err
	}
	err = s.each(ctx, "read ledger reasons",
		"SELECT partition, class, reason, sum(records)\n"+
			"FROM ledger_reasons WHERE topic = {topic:String} AND epoch = {epoch:UInt16} AND reason != '' GROUP BY partition, class, reason\n"+
			"ORDER BY partition, class, reason", args,
		func(rows driver.Rows) error {
			var (
				p             int32
				class, reason string
				n             uint64
			)
			if err := rows.Scan(&p, &class, &reason, &n); err != nil {
				return err
			}
			into := map[string]map[string]uint64{"not_recorded": out[p].NotRecorded, "rejected": out[p].Rejected, "skipped": out[p].Skipped}[class]
			if into != nil {
				into[reason] += n
			}
			return nil
		})
	return out, err
}

// Reject is a record that could not be taken, as stored.
type Reject struct {
	Topic      string
	Partition  int32
	Offset     int64
	Reason     string
	Field      string
	Detail     string
	Key        string
	Raw        string // at most 64 KB of the value; any bytes
	RawBytes   uint32 // of the whole value
	RecordedAt time.Time
	File       string
	Line       uint64
}

// RejectsOf gives up to limit rejects of a partition of an epoch in [from, to),
// by offset.
func (s *Store) RejectsOf(ctx context.Context, epoch uint16, partition int32, from, to int64, limit int) ([]Reject, error) {
	var out []Reject
	err := s.each(ctx, "read rejects",
		"SELECT topic, partition, offset, reason, field, detail, key, raw, raw_bytes, recorded_at, file, line FROM rejects\n"+
			"WHERE epoch = {epoch:UInt16} AND partition = {partition:Int32} AND offset >= {from:Int64} AND offset < {to:Int64}\n"+
			"ORDER BY topic, offset LIMIT {limit:Int64}",
		[]any{named("epoch", epoch), named("partition", partition), named("from", from), named("to", to), named("limit", int64(limit))},
		func(rows driver.Rows) error {
			var r Reject
			if err := rows.Scan(&r.Topic, &r.Partition, &r.Offset, &r.Reason, &r.Field, &r.Detail, &r.Key, &r.Raw, &r.RawBytes, &r.RecordedAt, &r.File, &r.Line); err != nil {
				return err
			}
			out = append(out, r)
			return nil
		})
	return out, err
}
