package clickhouse

import (
	"maps"
	"slices"

	"github.com/ClickHouse/ch-go/proto"

	"daybook/schemas"
)

// historyBlock encodes how the histories of networks come on.
type historyBlock struct {
	block
	place

	network                   *lowCardinality
	late, reentries, readBack *proto.ColInt64
	lateRate, rate            *proto.ColFloat64
	workingOn                 *optionalInstants
	updated                   *proto.ColDateTime64
	version                   *proto.ColUInt64
}

func newHistoryBlock() *historyBlock {
	b := &historyBlock{block: block{table: "history_versions"}}
	number := func(name string) *proto.ColInt64 { return column(&b.block, name, new(proto.ColInt64)) }
	b.network = column(&b.block, "network_id", newLowCardinality())
	b.place = newPlace(&b.block)
	b.late, b.reentries, b.readBack = number("late"), number("reentries"), number("read_back")
	b.lateRate = column(&b.block, "late_per_second", new(proto.ColFloat64))
	b.rate = column(&b.block, "records_per_second", new(proto.ColFloat64))
	b.workingOn = column(&b.block, "working_on", &optionalInstants{ms: newInstants()})
	b.updated = column(&b.block, "updated_at", newInstants())
	b.version = column(&b.block, "version", new(proto.ColUInt64))
	return b
}

func (b *historyBlock) append(p *schemas.PartitionStatus) {
	for _, network := range slices.Sorted(maps.Keys(p.History)) {
		h := p.History[network]
		b.network.Append(network)
		b.place.append(p.Topic, p.Epoch, p.Partition)
		b.late.Append(h.Late)
		b.reentries.Append(h.Reentries)
		b.readBack.Append(h.ReadBack)
		b.lateRate.Append(h.Rate)
		b.rate.Append(p.RecordRate)
		b.workingOn.append(h.WorkingOn)
		b.updated.AppendRaw(instant(p.UpdatedMs))
		b.version.Append(uint64(max(0, p.UpdatedMs)))
		b.rows++
	}
}
