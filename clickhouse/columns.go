package clickhouse

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"slices"
	"time"

	"github.com/ClickHouse/ch-go/proto"
)

// texts is a column String, held as it travels: each value behind its length.
// ch-go's keeps places beside the bytes and puts both together at the end.
type texts struct {
	buf  []byte
	rows int
}

func (c *texts) Append(v string) {
	c.begin(len(v))
	c.buf = append(c.buf, v...)
}

func (c *texts) AppendBytes(v []byte) {
	c.begin(len(v))
	c.buf = append(c.buf, v...)
}

// begin writes the length of the next value.
func (c *texts) begin(n int) {
	c.rows++
	if n < 0x80 {
		c.buf = append(c.buf, byte(n))
		return
	}
	c.buf = binary.AppendUvarint(c.buf, uint64(n))
}

// Type implements proto.ColInput.
func (*texts) Type() proto.ColumnType { return proto.ColumnTypeString }

// Rows implements proto.ColInput.
func (c *texts) Rows() int { return c.rows }

// Reset empties the column and keeps its memory.
func (c *texts) Reset() { c.buf, c.rows = c.buf[:0], 0 }

// EncodeColumn implements proto.ColInput.
func (c *texts) EncodeColumn(b *proto.Buffer) { b.Buf = append(b.Buf, c.buf...) }

// WriteColumn implements proto.ColInput.
func (c *texts) WriteColumn(w *proto.Writer) { w.ChainWrite(c.buf) }

// lowCardinality is a column LowCardinality(String) that takes bytes without
// allocating for a value that it already has. ch-go's own takes strings, keeps
// every value beside its dictionary, and builds that in a second pass.
type lowCardinality struct {
	index map[string]uint32 // value → place in dict
	dict  proto.ColStr
	// Place in dict, by row: a byte as it travels, which is enough for most columns of
	// most blocks; all of them wider from the first one on that does not fit.
	narrow []byte
	wide   []uint32
	// Most values were there a few rows before. What recent says is looked up in
	// dict before it is believed, so it outlives Reset.
	seed     maphash.Seed
	recent   [recentValues]uint32 // places of recent values, by hash
	lastText string               // what the last call of Append was given, if there was one since Reset,
	lastKey  uint32               // and its place
	lastSet  bool
}

const recentValues = 256

// Bits of the column's head in the Native format: keys of the dictionary travel
// with the block, and there is no other.
const (
	lowCardinalityVersion = 1
	lowCardinalityUpdate  = 1<<9 | 1<<10
)

func newLowCardinality() *lowCardinality {
	return &lowCardinality{index: map[string]uint32{}, seed: maphash.MakeSeed()}
}

// Append is for values that are often the same string as in the row before: the
// comparison ends with the pointers.
func (c *lowCardinality) Append(v string) {
	if !c.lastSet || v != c.lastText {
		c.lastText, c.lastKey, c.lastSet = v, keyOf(c, v), true
	}
	c.add(c.lastKey)
}

// AppendBytes appends a value that it copies if it is new.
func (c *lowCardinality) AppendBytes(v []byte) {
	recent := &c.recent[maphash.Bytes(c.seed, v)%recentValues]
	if at := *recent; int(at) < len(c.dict.Pos) {
		p := c.dict.Pos[at]
		if string(c.dict.Buf[p.Start:p.End]) == string(v) {
			c.add(at)
			return
		}
	}
	*recent = keyOf(c, v)
	c.add(*recent)
}

// add appends the place of a row's value.
func (c *lowCardinality) add(at uint32) {
	if len(c.index) > math.MaxUint8+1 {
		c.addWide(at)
		return
	}
	c.narrow = append(c.narrow, byte(at))
}

func (c *lowCardinality) addWide(at uint32) {
	for _, k := range c.narrow {
		c.wide = append(c.wide, uint32(k))
	}
	c.narrow = c.narrow[:0]
	c.wide = append(c.wide, at)
}

// keyOf gives the place of a value in the dictionary, a new one if need be.
func keyOf[T string | []byte](c *lowCardinality, v T) uint32 {
	at, ok := c.index[string(v)]
	if !ok {
		at = uint32(len(c.index))
		c.dict.Append(string(v))
		c.index[string(v)] = at
	}
	return at
}

// Type implements proto.ColInput.
func (*lowCardinality) Type() proto.ColumnType { return "LowCardinality(String)" }

// Rows implements proto.ColInput.
func (c *lowCardinality) Rows() int { return len(c.narrow) + len(c.wide) }

// Reset empties the column and keeps its memory.
func (c *lowCardinality) Reset() {
	clear(c.index)
	c.dict.Reset()
	c.narrow, c.wide, c.lastSet = c.narrow[:0], c.wide[:0], false
}

// EncodeState implements proto.StateEncoder.
func (*lowCardinality) EncodeState(b *proto.Buffer) { b.PutInt64(lowCardinalityVersion) }

// width gives log2 of the bytes of a key as it travels.
func (c *lowCardinality) width() int {
	switch n := len(c.index); {
	case n > math.MaxUint16+1:
		return 2
	case n > math.MaxUint8+1:
		return 1
	}
	return 0
}

// headBytes bounds what WriteColumn writes beside the narrow keys.
func (c *lowCardinality) headBytes() int {
	const head = 4 * 8 // version, width, two counts
	return head + len(c.dict.Buf) + binary.MaxVarintLen32*len(c.index) + len(c.wide)<<c.width()
}

// EncodeColumn implements proto.ColInput.
func (c *lowCardinality) EncodeColumn(b *proto.Buffer) {
	c.encodeHead(b)
	b.Buf = append(b.Buf, c.narrow...)
}

// encodeHead writes what is before the narrow keys, the wide ones among it: a column
// has one kind.
func (c *lowCardinality) encodeHead(b *proto.Buffer) {
	n, width := len(c.index), c.width()
	b.PutInt64(lowCardinalityUpdate | int64(width))
	b.PutInt64(int64(n))
	c.dict.EncodeColumn(b)
	b.PutInt64(int64(c.Rows()))
	from, size := len(b.Buf), len(c.wide)<<width
	b.Buf = slices.Grow(b.Buf, size)[:from+size]
	to := b.Buf[from:]
	for i, k := range c.wide {
		if width == 1 {
			binary.LittleEndian.PutUint16(to[2*i:], uint16(k))
		} else {
			binary.LittleEndian.PutUint32(to[4*i:], k)
		}
	}
}

// WriteColumn implements proto.ColInput.
func (c *lowCardinality) WriteColumn(w *proto.Writer) {
	w.ChainBuffer(c.encodeHead)
	w.ChainWrite(c.narrow)
}

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
func (c *pairs[T]) WriteColumn(w *proto.Writer) {
	c.ends.WriteColumn(w)
	c.from.WriteColumn(w)
	c.to.WriteColumn(w)
}

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
