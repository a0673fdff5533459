package clickhouse

import (
	"bytes"
	"fmt"
	"io"
	"slices"
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
	native  parts        // the block as it travels; most of it lies in the columns
	heads   proto.Buffer // memory of what does not
	into    string       // statement, made at the first encoding
}

// parts are bytes that travel one after the other and lie apart.
type parts [][]byte

// Write takes the next part as it is: it must not change while the parts travel.
// The columns' own bytes are written once, when a row is appended, and copied once,
// into the connection.
func (p *parts) Write(b []byte) (int, error) {
	*p = append(*p, b)
	return len(b), nil
}

// size gives the bytes of all parts.
func (p *parts) size() (n int) {
	for _, b := range *p {
		n += len(b)
	}
	return n
}

// reader reads the parts from the first byte on.
func (p *parts) reader() io.Reader {
	all := make([]io.Reader, len(*p))
	for i, b := range *p {
		all[i] = bytes.NewReader(b)
	}
	return io.MultiReader(all...)
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
	b.rows, b.native = 0, b.native[:0]
}

// encode lays out the block as it travels. A column of another length than rows is
// our own bug, and is said to be.
func (b *block) encode() error {
	b.heads.Reset()
	b.heads.Buf = slices.Grow(b.heads.Buf, b.headBytes())
	b.native = b.native[:0]
	w := proto.NewWriter(&b.native, &b.heads)
	head := proto.Block{Columns: len(b.columns), Rows: b.rows}
	// Revision 0: what every server and the embedded engine read in an INSERT.
	err := head.WriteBlock(w, 0, b.columns)
	if err == nil {
		_, err = w.Flush()
	}
	if err != nil {
		return fmt.Errorf("encode %s: %w: %w", b.table, ErrPermanent, err)
	}
	return nil
}

// headBytes bounds what of the block does not travel from the memory of its columns:
// names and types, columns of few values.
func (b *block) headBytes() int {
	const most = 128 // of a name and a type
	n := most * (1 + len(b.columns))
	for _, c := range b.columns {
		if low, ok := c.Data.(*lowCardinality); ok {
			n += low.headBytes()
		}
	}
	return n
}

// giveUp lets go of memory that a request which was given up may still read. The
// columns stay as they are until the rows are released, which those of a failed
// insert never are.
func (b *block) giveUp() { b.native, b.heads.Buf = nil, nil }

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
