package clickhouse

import (
	"math"
	"slices"
	"time"

	"github.com/ClickHouse/ch-go/proto"
)

// lowCardinality is a column LowCardinality(String) that takes bytes without
// allocating for a value that it already has. ch-go's own takes strings, keeps
// every value beside its dictionary, and builds that in a second pass.
type lowCardinality struct {
	index map[string]uint32 // value → place in dict
	dict  proto.ColStr
	keys  []uint32 // place in dict, by row
	last  uint32   // place of the row before: neighbours are often equal
}

// Bits of the column's head in the Native format: keys of the dictionary travel
// with the block, and there is no other.
const (
	lowCardinalityVersion = 1
	lowCardinalityUpdate  = 1<<9 | 1<<10
)

func newLowCardinality() *lowCardinality { return &lowCardinality{index: map[string]uint32{}} }

func (c *lowCardinality) Append(v string) { appendValue(c, v) }

func (c *lowCardinality) AppendBytes(v []byte) { appendValue(c, v) }

func appendValue[T string | []byte](c *lowCardinality, v T) {
	if len(c.keys) > 0 {
		p := c.dict.Pos[c.last]
		if string(c.dict.Buf[p.Start:p.End]) == string(v) {
			c.keys = append(c.keys, c.last)
			return
		}
	}
	at, ok := c.index[string(v)]
	if !ok {
		at = uint32(len(c.index))
		c.dict.Append(string(v))
		c.index[string(v)] = at
	}
	c.keys, c.last = append(c.keys, at), at
}

// Type implements proto.ColInput.
func (*lowCardinality) Type() proto.ColumnType { return "LowCardinality(String)" }

// Rows implements proto.ColInput.
func (c *lowCardinality) Rows() int { return len(c.keys) }

// Reset empties the column and keeps its memory.
func (c *lowCardinality) Reset() {
	clear(c.index)
	c.dict.Reset()
	c.keys, c.last = c.keys[:0], 0
}

// EncodeState implements proto.StateEncoder.
func (*lowCardinality) EncodeState(b *proto.Buffer) { b.PutInt64(lowCardinalityVersion) }

// EncodeColumn implements proto.ColInput.
func (c *lowCardinality) EncodeColumn(b *proto.Buffer) {
	n := len(c.index)
	width := 0 // log2 of the bytes of a key
	switch {
	case n > math.MaxUint16:
		width = 2
	case n > math.MaxUint8:
		width = 1
	}
	b.PutInt64(lowCardinalityUpdate | int64(width))
	b.PutInt64(int64(n))
	c.dict.EncodeColumn(b)
	b.PutInt64(int64(len(c.keys)))
	b.Buf = slices.Grow(b.Buf, len(c.keys)<<width)
	for _, k := range c.keys {
		switch width {
		case 0:
			b.Buf = append(b.Buf, byte(k))
		case 1:
			b.Buf = append(b.Buf, byte(k), byte(k>>8))
		default:
			b.Buf = append(b.Buf, byte(k), byte(k>>8), byte(k>>16), byte(k>>24))
		}
	}
}

// WriteColumn implements proto.ColInput.
func (c *lowCardinality) WriteColumn(w *proto.Writer) { w.ChainBuffer(c.EncodeColumn) }

// pairs is a column Array(Tuple(T, T)) of which the elements are appended one by
// one.
type pairs[T any] struct {
	typ      proto.ColumnType
	ends     proto.ColUInt64 // by row: elements up to its end
	from, to appender[T]
}

// appender is a column that takes values of T as they are stored.
type appender[T any] interface {
	proto.ColInput
	proto.Resettable
	AppendRaw(v T)
}

// rawInt64 is a column Int64 with the method that pairs needs.
type rawInt64 struct{ proto.ColInt64 }

// AppendRaw appends a value.
func (c *rawInt64) AppendRaw(v int64) { c.Append(v) }

func newSecondPairs() *pairs[proto.DateTime] {
	return &pairs[proto.DateTime]{typ: "Array(Tuple(DateTime('UTC'), DateTime('UTC')))", from: newSeconds(), to: newSeconds()}
}

func newInt64Pairs() *pairs[int64] {
	return &pairs[int64]{typ: "Array(Tuple(Int64, Int64))", from: new(rawInt64), to: new(rawInt64)}
}

// Type implements proto.ColInput.
func (c *pairs[T]) Type() proto.ColumnType { return c.typ }

// Rows implements proto.ColInput.
func (c *pairs[T]) Rows() int { return c.ends.Rows() }

// Reset empties the column and keeps its memory.
func (c *pairs[T]) Reset() {
	c.ends.Reset()
	c.from.Reset()
	c.to.Reset()
}

func (c *pairs[T]) add(from, to T) {
	c.from.AppendRaw(from)
	c.to.AppendRaw(to)
}

// endRow closes the row to which the elements since the last call belong.
func (c *pairs[T]) endRow() { c.ends.Append(uint64(c.from.Rows())) }

// EncodeColumn implements proto.ColInput.
func (c *pairs[T]) EncodeColumn(b *proto.Buffer) {
	c.ends.EncodeColumn(b)
	c.from.EncodeColumn(b)
	c.to.EncodeColumn(b)
}

// WriteColumn implements proto.ColInput.
func (c *pairs[T]) WriteColumn(w *proto.Writer) { w.ChainBuffer(c.EncodeColumn) }

// instants is a column of instants in milliseconds, DateTime64(3, 'UTC').
func newInstants() *proto.ColDateTime64 {
	return new(proto.ColDateTime64).WithPrecision(proto.PrecisionMilli).WithLocation(time.UTC)
}

// Bounds of DateTime64: 1900-01-01 to 2299-12-31. Event times are far inside;
// the timestamp of a rejected record may be anything.
const (
	firstInstantMs = -2_208_988_800_000
	lastInstantMs  = 10_413_791_999_999
)

func instant(ms int64) proto.DateTime64 {
	return proto.DateTime64(min(max(ms, firstInstantMs), lastInstantMs))
}

// seconds truncates milliseconds to the second that is stored.
func seconds(ms int64) int64 {
	s := ms / 1000
	if ms%1000 < 0 {
		s--
	}
	return s
}

// second is a whole second as DateTime, whose range is 1970 to 2106.
func second(s int64) proto.DateTime { return proto.DateTime(min(max(s, 0), math.MaxUint32)) }

func newSeconds() *proto.ColDateTime { return &proto.ColDateTime{Location: time.UTC} }
