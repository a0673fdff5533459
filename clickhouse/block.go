package clickhouse

import (
	"fmt"
	"strings"

	"github.com/ClickHouse/ch-go/proto"

	"daybook/clickhouse/ddl"
)

// block is one insert into one table as a Native block, whose memory is used
// again by the next flush.
type block struct {
	table   string // without the database
	columns []proto.InputColumn
	rows    int
	buf     proto.Buffer
	into    string // statement, made at the first encoding
}

// column registers a column, in the order of the block.
func column[C proto.ColInput](b *block, name string, c C) C {
	b.columns = append(b.columns, proto.InputColumn{Name: name, Data: c})
	return c
}

func (b *block) reset() {
	for _, c := range b.columns {
		if r, ok := c.Data.(proto.Resettable); ok {
			r.Reset()
		}
	}
	b.rows = 0
	b.buf.Reset()
}

// encode fills buf with the block. A column of another length than rows is our
// own bug, and is said to be.
func (b *block) encode() error {
	b.buf.Reset()
	head := proto.Block{Columns: len(b.columns), Rows: b.rows}
	// Revision 0: what every server and the embedded engine read in an INSERT.
	if err := head.EncodeRawBlock(&b.buf, 0, b.columns); err != nil {
		return fmt.Errorf("encode %s: %w: %w", b.table, ErrPermanent, err)
	}
	return nil
}

// statement gives the INSERT, its columns named, so that a table may have more.
func (b *block) statement(database string) string {
	if b.into == "" {
		names := make([]string, len(b.columns))
		for i, c := range b.columns {
			names[i] = ddl.Quote(c.Name)
		}
		b.into = "INSERT INTO " + ddl.Quote(database) + "." + ddl.Quote(b.table) + " (" + strings.Join(names, ", ") + ")"
	}
	return b.into
}

// place is the position in the log that rows of most tables bear.
type place struct {
	topic     *lowCardinality
	epoch     *proto.ColUInt16
	partition *proto.ColInt32
}

func newPlace(b *block) place {
	return place{
		topic:     column(b, "topic", newLowCardinality()),
		epoch:     column(b, "epoch", new(proto.ColUInt16)),
		partition: column(b, "partition", new(proto.ColInt32)),
	}
}

func (p place) append(topic string, epoch uint16, partition int32) {
	p.topic.Append(topic)
	p.epoch.Append(epoch)
	p.partition.Append(partition)
}
