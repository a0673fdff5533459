package query

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// blockReader reads an answer in the format Native: blocks of columns, each column
// behind its name and type. It holds one block at a time, in memory that it uses
// again, and makes no value of a cell before it is asked for.
//
//	block  = [info] columns rows { name type [custom] values }   numbers are uvarints
//	values = fixed size each, little-endian; text: a uvarint of its bytes before it
//	info   = 1 overflows 2 bucket 0                              a byte and four
//	custom = 0                                                   else not understood
//
// A server puts info and custom there, because the driver asks for its own revision
// of the format; the embedded engine speaks revision 0, which has neither. An answer
// of one column cannot be told from info, so there are always more.
type blockReader struct {
	r        io.Reader
	columns  []blockColumn // as the statement has them, two at least
	withInfo bool          // the block at hand has info and custom
	buf      []byte        // buf[at:] is read and not yet looked at
	at       int
	err      error // of r
}

// blockColumn is a column of the block at hand.
type blockColumn struct {
	name, kind string // kind: the type as ClickHouse names it, without its arguments
	size       int    // bytes of a value; 0: text
	from, to   int    // where the values lie in the buffer
	data       []byte // the values; of text those that were not taken yet
}

// Bounds of what is believed of an answer: far above max_block_size, and above the
// longest id that is accepted.
const (
	mostColumns   = 1 << 10
	mostBlockRows = 1 << 24
	mostTextBytes = 1 << 24
	readBytes     = 64 << 10 // asked for at a time: as much as the driver's reader gives
)

var errNotNative = errors.New("answer is not in the format Native that was asked for")

// next reads the next block and gives its rows; io.EOF after the last one. What the
// columns gave before is no longer valid.
func (b *blockReader) next() (rows int, err error) {
	b.buf, b.at = append(b.buf[:0], b.buf[b.at:]...), 0
	for len(b.buf) == 0 {
		if err := b.more(); err != nil {
			return 0, err // io.EOF is the end only here, and only if the connection says so itself
		}
	}
	if b.withInfo = b.buf[0] == infoOverflows; b.withInfo {
		if err := b.info(); err != nil {
			return 0, err
		}
	}
	columns, err := b.uvarint(mostColumns)
	if err != nil {
		return 0, err
	}
	if columns != len(b.columns) {
		return 0, fmt.Errorf("%w: %d columns, want %d", errNotNative, columns, len(b.columns))
	}
	if rows, err = b.uvarint(mostBlockRows); err != nil {
		return 0, err
	}
	for i := range b.columns {
		if err := b.column(&b.columns[i], rows); err != nil {
			return 0, err
		}
	}
	for i := range b.columns { // not before: the buffer moves while it grows
		c := &b.columns[i]
		c.data = b.buf[c.from:c.to]
	}
	return rows, nil
}

// Fields of info.
const (
	infoEnd = iota
	infoOverflows
	infoBucket
)

// info reads over what a distributed query says of its blocks.
func (b *blockReader) info() error {
	for {
		field, err := b.uvarint(infoBucket)
		if err != nil || field == infoEnd {
			return err
		}
		size := 1
		if field == infoBucket {
			size = 4
		}
		if err := b.need(size); err != nil {
			return err
		}
		b.at += size
	}
}

// column reads one column.
func (b *blockReader) column(c *blockColumn, rows int) error {
	if err := b.head(c); err != nil {
		return err
	}
	c.from = b.at
	if c.size > 0 {
		if err := b.need(rows * c.size); err != nil {
			return err
		}
		b.at += rows * c.size
	} else {
		for range rows {
			if _, err := b.text(); err != nil {
				return err
			}
		}
	}
	c.to = b.at
	return nil
}

// head checks that the next column is the one that was asked for.
func (b *blockReader) head(c *blockColumn) error {
	name, err := b.text()
	if err != nil {
		return err
	}
	if string(name) != c.name {
		return fmt.Errorf("%w: column %.100q, want %s", errNotNative, name, c.name)
	}
	kind, err := b.text()
	if err != nil {
		return err
	}
	if kind, _, _ = bytes.Cut(kind, []byte("(")); string(kind) != c.kind {
		return fmt.Errorf("%w: column %s is of type %.100q, want %s", errNotNative, c.name, kind, c.kind)
	}
	if !b.withInfo {
		return nil
	}
	if err := b.need(1); err != nil {
		return err
	}
	if b.buf[b.at] != 0 {
		return fmt.Errorf("%w: column %s is serialized in a way of its own", errNotNative, c.name)
	}
	b.at++
	return nil
}

// text takes a text; it is valid until more is read.
func (b *blockReader) text() ([]byte, error) {
	n, err := b.uvarint(mostTextBytes)
	if err != nil {
		return nil, err
	}
	if len(b.buf)-b.at < n {
		if err := b.need(n); err != nil {
			return nil, err
		}
	}
	b.at += n
	return b.buf[b.at-n : b.at], nil
}

// uvarint takes a number of at most a bound.
func (b *blockReader) uvarint(most uint64) (int, error) {
	if b.at < len(b.buf) && b.buf[b.at] < 0x80 && most >= 0x80 { // the length of most ids
		b.at++
		return int(b.buf[b.at-1]), nil
	}
	for {
		v, n := binary.Uvarint(b.buf[b.at:])
		switch {
		case n > 0 && v <= most:
			b.at += n
			return int(v), nil
		case n != 0 || len(b.buf)-b.at > binary.MaxVarintLen64:
			return 0, fmt.Errorf("%w: a number above %d", errNotNative, most)
		}
		if err := b.need(len(b.buf) - b.at + 1); err != nil {
			return 0, err
		}
	}
}

// need reads until n bytes lie behind at. The end of the answer is none here.
func (b *blockReader) need(n int) error {
	for len(b.buf)-b.at < n {
		if err := b.more(); errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		} else if err != nil {
			return err
		}
	}
	return nil
}

// more reads what is there: memory follows what came, not what was said. An error
// that comes with bytes is told when they are not enough.
func (b *blockReader) more() error {
	if b.err != nil {
		return b.err
	}
	b.buf = slices.Grow(b.buf, readBytes)
	got, err := b.r.Read(b.buf[len(b.buf):cap(b.buf)])
	b.buf, b.err = b.buf[:len(b.buf)+got], err
	if got > 0 {
		return nil
	}
	return err
}

// take gives the next value of a text.
func (c *blockColumn) take() []byte {
	n, w := uint64(c.data[0]), 1
	if n >= 0x80 {
		n, w = binary.Uvarint(c.data)
	}
	end := w + int(n)
	text := c.data[w:end:end]
	c.data = c.data[end:]
	return text
}

func (c *blockColumn) uint16(i int) uint16 { return binary.LittleEndian.Uint16(c.data[2*i:]) }
func (c *blockColumn) uint32(i int) uint32 { return binary.LittleEndian.Uint32(c.data[4*i:]) }
func (c *blockColumn) uint64(i int) uint64 { return binary.LittleEndian.Uint64(c.data[8*i:]) }

// uuid gives the bytes of a UUID in the order of its text; each half travels
// little-endian.
func (c *blockColumn) uuid(i int) (id [16]byte) {
	binary.BigEndian.PutUint64(id[:8], binary.LittleEndian.Uint64(c.data[16*i:]))
	binary.BigEndian.PutUint64(id[8:], binary.LittleEndian.Uint64(c.data[16*i+8:]))
	return id
}
