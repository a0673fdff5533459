package verify

import (
	"context"
	"fmt"

	"daybook/clickhouse/query"
	"daybook/schemas"
)

// versionTables are the tables whose rows carry the position of a flush or of a
// record. The version of an event falls, so its offset stands for it.
func versionTables() map[string]string {
	const flush, record = "max(version)", "max(bitShiftLeft(toUInt64(epoch), 48) + toUInt64(offset) + 1)"
	return map[string]string{
		"events": record, "rejects": record, "settings_history": record, "user_facts": record,
		"sessions": flush, "session_days": flush, "users": flush, "ledger": flush, "progress": flush,
	}
}

// newest is the greatest position that the rows of a table have of a partition.
type newest struct {
	table     string
	epoch     uint16
	partition int32
	version   uint64
	strange   uint64 // rows of another topic
}

// checkVersions looks for rows from the future: of a position that the log has
// not reached, or of an epoch that no topic had. The log's end is read after the
// rows, so that it cannot be behind them.
func (r *run) checkVersions(ctx context.Context) error {
	var all []newest
	if r.wants("versions") {
		var err error
		if all, err = r.newestRows(ctx); err != nil {
			return err
		}
	}
	var err error
	if r.ends, err = r.Log.Ends(ctx); err != nil {
		return fmt.Errorf("read the log's ends: %w", err)
	}
	for _, n := range all {
		identity := fmt.Sprintf("%s epoch %d partition %d", n.table, n.epoch, n.partition)
		end, known := r.end(n.epoch, n.partition)
		c := r.report.Check("P6", "versions")
		switch {
		case n.strange > 0:
			c.Add(r.Details, identity, fmt.Sprintf("%d rows are of another topic than %s", n.strange, r.Topic))
		case !known:
			c.Add(r.Details, identity, "neither Kafka nor the ledger knows this partition")
		case n.version > schemas.Version(n.epoch, end):
			c.Add(r.Details, identity, fmt.Sprintf("a row has version %d (epoch %d, offset %d), the log ends at %d", n.version, n.version>>48, n.version&(1<<48-1), end))
		}
	}
	return nil
}

func (r *run) newestRows(ctx context.Context) (all []newest, err error) {
	r.Progress("versions")
	c := r.report.Check("P6", "versions")
	for table, position := range versionTables() {
		err := r.each(ctx, query.Statement{
			Text: "SELECT epoch, partition, " + position + ", countIf(topic != {topic:String}), count()\nFROM " + table + "_versions GROUP BY epoch, partition ORDER BY epoch, partition",
			Args: []query.Arg{{Name: "topic", Value: r.Topic}},
		}, func(rows query.Rows) error {
			n := newest{table: table}
			var count uint64
			if err := rows.Scan(&n.epoch, &n.partition, &n.version, &n.strange, &count); err != nil {
				return err
			}
			c.Looked += count
			all = append(all, n)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("check versions of %s: %w", table, err)
		}
	}
	return all, nil
}

// end gives where a partition's log ends: as Kafka says, and for an epoch that it
// does not have any more, as the ledger does.
func (r *run) end(epoch uint16, partition int32) (int64, bool) {
	if e, ok := r.ends[partition]; ok && epoch == r.Epoch {
		return e[1], true
	}
	for i := range r.report.Places {
		if p := &r.report.Places[i]; p.Epoch == epoch && p.Partition == partition && !p.Current {
			return p.Stored, true
		}
	}
	return 0, false
}

// checkPositions compares what was committed with what is stored (P6), and both
// with the log.
func (r *run) checkPositions(context.Context) error {
	for i := range r.report.Places {
		p := &r.report.Places[i]
		end, known := r.ends[p.Partition]
		if !p.Current {
			continue
		}
		p.LogStart, p.LogEnd = end[0], end[1]
		if p.Stored < p.LogEnd {
			r.report.Notes = append(r.report.Notes, fmt.Sprintf("partition %d: offsets %d to %d were not stored when this began, and were not judged", p.Partition, p.Stored, p.LogEnd-1))
		}
		if r.wants("positions") {
			r.checkPosition(p, known)
		}
	}
	return nil
}

func (r *run) checkPosition(p *Place, known bool) {
	c := r.report.Check("P6", "positions")
	c.Looked++
	wrong := func(format string, args ...any) {
		c.Add(r.Details, fmt.Sprintf("epoch %d partition %d", p.Epoch, p.Partition), fmt.Sprintf(format, args...))
	}
	switch {
	case !known:
		wrong("Kafka does not have this partition")
		return
	case p.Committed > p.Stored:
		wrong("offset %d is committed, rows are stored up to %d", p.Committed, p.Stored)
	case p.Stored > p.LogEnd:
		wrong("rows are stored up to offset %d, the log ends at %d", p.Stored, p.LogEnd)
	}
	if p.Published > p.Stored {
		wrong("sessions are published up to %d, rows are stored up to %d", p.Published, p.Stored)
	}
	if p.Committed >= 0 && p.pointer != p.Committed {
		wrong("offset %d is committed with no checkpoint of it (%d)", p.Committed, p.pointer)
	}
}
