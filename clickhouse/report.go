package clickhouse

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"daybook/schemas"
)

// OwnedFor is how long a report of a partition holds: a partition of which
// nothing newer was said counts as unowned. The view partitions has the same
// number in its text.
const OwnedFor = 15 * time.Second

// reportBlock encodes what a worker says of its partitions.
type reportBlock struct {
	block
	place

	worker                             *texts
	next, published, committed, logEnd *proto.ColInt64
	open, outOfOrder                   *proto.ColInt64
	caughtUp, checkpoint               *optionalInstants
	horizon                            *proto.ColMap[string, int64]
	updated                            *proto.ColDateTime64
	released                           *proto.ColBool
	version                            *proto.ColUInt64
}

// optionalInstants is a column Nullable(DateTime64(3, 'UTC')) of milliseconds,
// where 0 stands for none.
type optionalInstants struct {
	null proto.ColUInt8
	ms   *proto.ColDateTime64
}

func (c *optionalInstants) append(ms int64) {
	c.null.Append(bit(ms == 0))
	c.ms.AppendRaw(instant(ms))
}

// Type implements proto.ColInput.
func (*optionalInstants) Type() proto.ColumnType { return "Nullable(DateTime64(3, 'UTC'))" }

// Rows implements proto.ColInput.
func (c *optionalInstants) Rows() int { return c.null.Rows() }

// Reset empties the column and keeps its memory.
func (c *optionalInstants) Reset() { c.null.Reset(); c.ms.Reset() }

// EncodeColumn implements proto.ColInput.
func (c *optionalInstants) EncodeColumn(b *proto.Buffer) {
	c.null.EncodeColumn(b)
	c.ms.EncodeColumn(b)
}

// WriteColumn implements proto.ColInput.
func (c *optionalInstants) WriteColumn(w *proto.Writer) { w.ChainBuffer(c.EncodeColumn) }

func newReportBlock() *reportBlock {
	b := &reportBlock{block: block{table: "partitions_versions"}}
	number := func(name string) *proto.ColInt64 { return column(&b.block, name, new(proto.ColInt64)) }
	maybe := func(name string) *optionalInstants {
		return column(&b.block, name, &optionalInstants{ms: newInstants()})
	}
	b.place = newPlace(&b.block)
	b.worker = column(&b.block, "worker", new(texts))
	b.next, b.published, b.committed = number("next_offset"), number("published_offset"), number("committed_offset")
	b.logEnd, b.open, b.outOfOrder = number("log_end"), number("open_sessions"), number("out_of_orderness_ms")
	b.caughtUp, b.checkpoint = maybe("caught_up_at"), maybe("checkpoint_at")
	b.horizon = column(&b.block, "horizon_ms", proto.NewMap(proto.ColumnOf[string](new(proto.ColStr)), proto.ColumnOf[int64](new(proto.ColInt64))))
	b.updated = column(&b.block, "updated_at", newInstants())
	b.released = column(&b.block, "released", new(proto.ColBool))
	b.version = column(&b.block, "version", new(proto.ColUInt64))
	return b
}

func (b *reportBlock) append(p *schemas.PartitionStatus) {
	b.place.append(p.Topic, p.Epoch, p.Partition)
	b.worker.Append(p.Worker)
	b.next.Append(p.Next)
	b.published.Append(p.Published)
	b.committed.Append(p.Committed)
	b.logEnd.Append(p.LogEnd)
	b.caughtUp.append(p.CaughtUpMs)
	b.checkpoint.append(p.CheckpointMs)
	b.open.Append(p.OpenSessions)
	b.outOfOrder.Append(p.OutOfOrderMs)
	kv := make([]proto.KV[string, int64], 0, len(p.HorizonMs))
	for _, network := range slices.Sorted(maps.Keys(p.HorizonMs)) {
		kv = append(kv, proto.KV[string, int64]{Key: network, Value: p.HorizonMs[network]})
	}
	b.horizon.AppendKV(kv)
	b.updated.AppendRaw(instant(p.UpdatedMs))
	b.released.Append(p.Released)
	b.version.Append(uint64(max(0, p.UpdatedMs)))
	b.rows++
}

// Report stores what a worker says of the partitions that it owns: the newest
// by UpdatedMs counts. It is about the present, so it is not tried again: the
// next report says more.
func (s *Store) Report(ctx context.Context, statuses []schemas.PartitionStatus) error {
	b := newReportBlock()
	for i := range statuses {
		b.append(&statuses[i])
	}
	h := newHistoryBlock()
	for i := range statuses {
		h.append(&statuses[i])
	}
	return errors.Join(s.insertOnce(ctx, &b.block), s.insertOnce(ctx, &h.block))
}

// Partitions gives the newest report on each partition of the topic's newest
// epoch, by partition. HorizonMs is filled in. Owned says whether the report
// still holds.
func (s *Store) Partitions(ctx context.Context, topic string) ([]PartitionReport, error) {
	var out []PartitionReport
	err := s.each(ctx, "read partitions",
		"SELECT topic, epoch, partition, worker, next_offset, published_offset, committed_offset, log_end,\n"+
			"  ifNull(toUnixTimestamp64Milli(caught_up_at), 0), ifNull(toUnixTimestamp64Milli(checkpoint_at), 0), open_sessions, horizon_ms,\n"+
			"  toUnixTimestamp64Milli(updated_at), out_of_orderness_ms, released, owned\n"+
			"FROM partitions WHERE topic = {topic:String} AND epoch = (SELECT max(epoch) FROM partitions WHERE topic = {topic:String})\n"+
			"ORDER BY partition",
		[]any{named("topic", topic)},
		func(rows driver.Rows) error {
			var p PartitionReport
			if err := rows.Scan(&p.Topic, &p.Epoch, &p.Partition, &p.Worker, &p.Next, &p.Published, &p.Committed, &p.LogEnd,
				&p.CaughtUpMs, &p.CheckpointMs, &p.OpenSessions, &p.HorizonMs, &p.UpdatedMs, &p.OutOfOrderMs, &p.Released, &p.Owned); err != nil {
				return err
			}
			out = append(out, p)
			return nil
		})
	return out, err
}

// PartitionReport is a report with whether it still holds.
type PartitionReport struct {
	schemas.PartitionStatus

	Owned bool // reported within OwnedFor and not released
}
