package verify

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"daybook/clickhouse/query"
)

// readPlaces takes the positions: first what was committed, then what was
// reported, then the ledger's end, so that the later ones are never behind
// because of the order of reading.
func (r *run) readPlaces(ctx context.Context) error {
	r.Progress("positions")
	committed, err := r.Log.Committed(ctx)
	if err != nil {
		return fmt.Errorf("read committed offsets: %w", err)
	}
	places := map[[2]int64]*Place{}
	place := func(epoch uint16, partition int32) *Place {
		key := [2]int64{int64(epoch), int64(partition)}
		if places[key] == nil {
			places[key] = &Place{Topic: r.Topic, Epoch: epoch, Partition: partition, Current: epoch == r.Epoch, Committed: -1, pointer: -1, block: 8192, OutOfOrderMs: -1}
		}
		return places[key]
	}
	for partition, c := range committed {
		p := place(r.Epoch, partition)
		p.Committed, p.pointer = c.Offset, c.Pointer
		p.Published = max(0, c.Offset)
	}
	topic := []query.Arg{{Name: "topic", Value: r.Topic}}
	err = r.each(ctx, query.Statement{
		Text: "SELECT epoch, partition, published_offset, out_of_orderness_ms FROM partitions WHERE topic = {topic:String}", Args: topic,
	}, func(rows query.Rows) error {
		var epoch uint16
		var partition int32
		var published, outOfOrder int64
		if err := rows.Scan(&epoch, &partition, &published, &outOfOrder); err != nil {
			return err
		}
		p := place(epoch, partition)
		p.Published, p.OutOfOrderMs = max(p.Published, published), outOfOrder
		return nil
	})
	if err != nil {
		return fmt.Errorf("read reports: %w", err)
	}
	err = r.each(ctx, query.Statement{
		Text: "SELECT epoch, partition, max(next_offset), toInt64(max(size)) FROM ledger WHERE topic = {topic:String} GROUP BY epoch, partition", Args: topic,
	}, func(rows query.Rows) error {
		var epoch uint16
		var partition int32
		var stored, block int64
		if err := rows.Scan(&epoch, &partition, &stored, &block); err != nil {
			return err
		}
		p := place(epoch, partition)
		p.Stored, p.block = stored, max(1, block)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read ledger: %w", err)
	}
	for _, p := range places {
		r.report.Places = append(r.report.Places, *p)
	}
	slices.SortFunc(r.report.Places, func(a, b Place) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Partition, b.Partition))
	})
	return r.readGaps(ctx)
}

// gap is a stretch of the log that a person gave up, [from, to).
type gap struct {
	epoch     uint16
	partition int32
	from, to  int64
}

func (r *run) readGaps(ctx context.Context) error {
	err := r.each(ctx, query.Statement{
		Text: "SELECT epoch, partition, from_offset, to_offset FROM gaps WHERE topic = {topic:String} ORDER BY epoch, partition, from_offset",
		Args: []query.Arg{{Name: "topic", Value: r.Topic}},
	}, func(rows query.Rows) error {
		var g gap
		if err := rows.Scan(&g.epoch, &g.partition, &g.from, &g.to); err != nil {
			return err
		}
		r.gaps = append(r.gaps, g)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read gaps: %w", err)
	}
	return nil
}

// checkGaps compares what the ledger counts as given up with the recorded gaps:
// a stretch is skipped only where a person said so (P1).
func (r *run) checkGaps(ctx context.Context) error {
	if !r.wants("gaps") {
		return nil
	}
	c := r.report.Check("P1", "gaps")
	c.Looked += uint64(len(r.gaps))
	err := r.each(ctx, query.Statement{
		Text: "SELECT epoch, partition, block, toInt64(block + size), toInt64(skipped['gap']) FROM ledger WHERE topic = {topic:String} AND skipped['gap'] > 0",
		Args: []query.Arg{{Name: "topic", Value: r.Topic}},
	}, func(rows query.Rows) error {
		var epoch uint16
		var partition int32
		var from, to, skipped int64
		if err := rows.Scan(&epoch, &partition, &from, &to, &skipped); err != nil {
			return err
		}
		c.Looked++
		if known := r.covered(epoch, partition, from, to); skipped > known {
			c.Add(r.Details, fmt.Sprintf("epoch %d partition %d block %d", epoch, partition, from),
				fmt.Sprintf("%d offsets were passed over as a gap, %d of them are recorded in gaps", skipped, known))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("check gaps: %w", err)
	}
	return nil
}

// covered counts the offsets of [from, to) that lie in recorded gaps, which are
// sorted and may overlap.
func (r *run) covered(epoch uint16, partition int32, from, to int64) int64 {
	n := int64(0)
	for _, g := range r.gaps {
		if g.epoch != epoch || g.partition != partition {
			continue
		}
		a, b := max(from, g.from), min(to, g.to)
		if b > a {
			n += b - a
			from = b
		}
	}
	return n
}
