package clickhouse

import (
	"maps"
	"slices"

	"github.com/ClickHouse/ch-go/proto"

	"daybook/schemas"
)

// rejectsBlock encodes records that could not be taken.
type rejectsBlock struct {
	block
	place

	reason, field    *lowCardinality
	detail, key, raw *texts
	file             *texts
	rawBytes         *proto.ColUInt32
	recorded         *proto.ColDateTime64
	offset           *proto.ColInt64
	line, version    *proto.ColUInt64
}

func newRejectsBlock() *rejectsBlock {
	b := &rejectsBlock{block: block{table: "rejects_versions"}}
	text := func(name string) *texts { return column(&b.block, name, new(texts)) }
	b.place = newPlace(&b.block)
	b.offset = column(&b.block, "offset", new(proto.ColInt64))
	b.reason, b.field = column(&b.block, "reason", newLowCardinality()), column(&b.block, "field", newLowCardinality())
	b.detail, b.key, b.raw = text("detail"), text("key"), text("raw")
	b.rawBytes = column(&b.block, "raw_bytes", new(proto.ColUInt32))
	b.recorded = column(&b.block, "recorded_at", newInstants())
	b.file, b.line = text("file"), column(&b.block, "line", new(proto.ColUInt64))
	b.version = column(&b.block, "version", new(proto.ColUInt64))
	return b
}

func (b *rejectsBlock) append(f *schemas.Flush, r *schemas.RejectRow) {
	b.place.append(f.Topic, f.Epoch, f.Partition)
	b.offset.Append(r.Offset)
	b.reason.Append(r.Reason.String())
	b.field.Append(r.Field)
	b.detail.Append(r.Detail)
	b.key.AppendBytes(r.Key)
	b.raw.AppendBytes(r.Raw)
	b.rawBytes.Append(r.RawBytes)
	b.recorded.AppendRaw(instant(r.TimestampMs))
	b.file.Append(r.File)
	b.line.Append(r.Line)
	b.version.Append(schemas.Version(f.Epoch, r.Offset))
	b.rows++
}

// counts is a column Map(String, UInt32), its keys in order: two writers give
// the same bytes.
type counts struct {
	*proto.ColMap[string, uint32]

	keys []string
	kv   []proto.KV[string, uint32]
}

func newCounts(b *block, name string) *counts {
	return &counts{ColMap: column(b, name, proto.NewMap(proto.ColumnOf[string](new(proto.ColStr)), proto.ColumnOf[uint32](new(proto.ColUInt32))))}
}

func (c *counts) append(m map[string]uint32) {
	c.keys, c.kv = slices.AppendSeq(c.keys[:0], maps.Keys(m)), c.kv[:0]
	slices.Sort(c.keys)
	for _, k := range c.keys {
		c.kv = append(c.kv, proto.KV[string, uint32]{Key: k, Value: m[k]})
	}
	c.AppendKV(c.kv)
}

// ledgerBlock encodes what became of the offsets.
type ledgerBlock struct {
	block
	place

	first, next                    *proto.ColInt64
	size                           *proto.ColInt32
	accepted, duplicate, conflicts *proto.ColUInt32
	notRecorded, rejected, skipped *counts
	version                        *proto.ColUInt64
}

func newLedgerBlock() *ledgerBlock {
	b := &ledgerBlock{block: block{table: "ledger_versions"}}
	number := func(name string) *proto.ColUInt32 { return column(&b.block, name, new(proto.ColUInt32)) }
	b.place = newPlace(&b.block)
	b.first, b.size = column(&b.block, "block", new(proto.ColInt64)), column(&b.block, "size", new(proto.ColInt32))
	b.next = column(&b.block, "next_offset", new(proto.ColInt64))
	b.accepted, b.duplicate, b.conflicts = number("accepted"), number("duplicate"), number("conflicts")
	b.notRecorded, b.rejected, b.skipped = newCounts(&b.block, "not_recorded"), newCounts(&b.block, "rejected"), newCounts(&b.block, "skipped")
	b.version = column(&b.block, "version", new(proto.ColUInt64))
	return b
}

func (b *ledgerBlock) append(f *schemas.Flush, r *schemas.LedgerRow) {
	b.place.append(f.Topic, f.Epoch, f.Partition)
	b.first.Append(r.Block)
	b.size.Append(r.Size)
	b.next.Append(r.Next)
	b.accepted.Append(r.Accepted)
	b.duplicate.Append(r.Duplicate)
	b.conflicts.Append(r.Conflicts)
	b.notRecorded.append(r.NotRecorded)
	b.rejected.append(r.Rejected)
	b.skipped.append(r.Skipped)
	b.version.Append(schemas.Version(f.Epoch, f.Next))
	b.rows++
}

// progressBlock encodes watermarks.
type progressBlock struct {
	block
	place

	network   *lowCardinality
	watermark *proto.ColDateTime64
	next      *proto.ColInt64
	version   *proto.ColUInt64
}

func newProgressBlock() *progressBlock {
	b := &progressBlock{block: block{table: "progress_versions"}}
	b.network = column(&b.block, "network_id", newLowCardinality())
	b.place = newPlace(&b.block)
	b.watermark = column(&b.block, "watermark", newInstants())
	b.next = column(&b.block, "next_offset", new(proto.ColInt64))
	b.version = column(&b.block, "version", new(proto.ColUInt64))
	return b
}

func (b *progressBlock) append(f *schemas.Flush, r *schemas.ProgressRow) {
	b.network.Append(r.Network)
	b.place.append(f.Topic, f.Epoch, f.Partition)
	b.watermark.AppendRaw(instant(r.WatermarkMs))
	b.next.Append(f.Next)
	b.version.Append(schemas.Version(f.Epoch, f.Next))
	b.rows++
}
