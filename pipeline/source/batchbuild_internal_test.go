package source

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// testBatch describes a record batch to be built by hand.
type testBatch struct {
	base       int64
	deltas     []int64 // offsets of its records, from base; nil: none
	last       int64   // last offset delta; at least that of the last record
	attributes uint16
	producer   int64
	codec      uint16
	xerial     bool
	abort      bool // with attrControl: an abort marker, else a commit marker
}

// testRecord is the record that a testBatch holds at an offset.
func testRecord(offset int64) *Outgoing {
	return &Outgoing{Key: fmt.Appendf(nil, "key %d", offset), Value: bytes.Repeat(fmt.Appendf(nil, "value %d ", offset), 5)}
}

func (b testBatch) bytes(tb testing.TB) []byte {
	tb.Helper()
	e := &encoder{}
	e.reset()
	for _, delta := range b.deltas {
		e.count = int32(delta) // the encoder numbers records one after the other
		out := testRecord(b.base + delta)
		if b.attributes&attrControl != 0 {
			out = &Outgoing{Key: []byte{0, 0, 0, 1}, Value: make([]byte, 6)}
			if b.abort {
				out.Key[3] = 0
			}
		}
		if e.count == 0 {
			e.baseMs = 1_000
		}
		e.add(out, 1_000+delta)
	}
	e.maxMs = 9_000
	raw := bytes.Clone(e.batch)
	if b.codec != 0 {
		raw = append(raw[:batchHeaderBytes:batchHeaderBytes], compress(tb, b.codec, b.xerial, raw[batchHeaderBytes:])...)
	}
	for i := range batchHeaderBytes {
		raw[i] = 0
	}
	last := b.last
	if n := len(b.deltas); n > 0 {
		last = max(last, b.deltas[n-1])
	}
	binary.BigEndian.PutUint64(raw[atBaseOffset:], uint64(b.base))
	binary.BigEndian.PutUint32(raw[atLength:], uint32(len(raw)-12))
	raw[atMagic] = 2
	binary.BigEndian.PutUint16(raw[atAttributes:], b.attributes|b.codec)
	binary.BigEndian.PutUint32(raw[atLastOffsetDelta:], uint32(last))
	binary.BigEndian.PutUint64(raw[atBaseTimestamp:], 1_000)
	binary.BigEndian.PutUint64(raw[atMaxTimestamp:], 9_000)
	binary.BigEndian.PutUint64(raw[atProducer:], uint64(b.producer))
	binary.BigEndian.PutUint32(raw[atCount:], uint32(len(b.deltas)))
	sign(raw)
	return raw
}

// sign writes the checksum over what is there now.
func sign(batch []byte) {
	binary.BigEndian.PutUint32(batch[atCRC:], crc32.Checksum(batch[atAttributes:], crc32.MakeTable(crc32.Castagnoli)))
}

func compress(tb testing.TB, codec uint16, xerial bool, plain []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	check := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	switch codec {
	case codecGzip:
		w := gzip.NewWriter(&out)
		_, err := w.Write(plain)
		check(err)
		check(w.Close())
	case codecSnappy:
		if !xerial {
			return snappy.Encode(nil, plain)
		}
		out.WriteString(xerialMagic + "\x00\x00\x00\x01\x00\x00\x00\x01")
		for len(plain) > 0 {
			n := min(len(plain), 100)
			block := snappy.Encode(nil, plain[:n])
			check(binary.Write(&out, binary.BigEndian, uint32(len(block))))
			out.Write(block)
			plain = plain[n:]
		}
	case codecLZ4:
		w := lz4.NewWriter(&out)
		_, err := w.Write(plain)
		check(err)
		check(w.Close())
	case codecZstd:
		w, err := zstd.NewWriter(&out)
		check(err)
		_, err = w.Write(plain)
		check(err)
		check(w.Close())
	default:
		tb.Fatalf("codec %d", codec)
	}
	return out.Bytes()
}

func join(tb testing.TB, batches ...testBatch) []byte {
	tb.Helper()
	var all []byte
	for _, b := range batches {
		all = append(all, b.bytes(tb)...)
	}
	return all
}

func upTo(n int64) []int64 {
	deltas := make([]int64, n)
	for i := range deltas {
		deltas[i] = int64(i)
	}
	return deltas
}
