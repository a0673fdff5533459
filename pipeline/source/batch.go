package source

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
)

// Record batch, magic 2: offsets of the header's fields.
const (
	atBaseOffset      = 0
	atLength          = 8 // of what follows it
	atMagic           = 16
	atCRC             = 17 // CRC-32C of what follows it
	atAttributes      = 21
	atLastOffsetDelta = 23
	atBaseTimestamp   = 27
	atMaxTimestamp    = 35
	atProducer        = 43
	atCount           = 57
	batchHeaderBytes  = 61
	minRecordBytes    = 7 // length, attributes, two deltas, key, value, headers: a byte each
)

// Bits of a batch's attributes.
const (
	attrCodec         = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
)

var (
	errMagic   = errors.New("batch has an old format: only magic 2 is read")
	errCRC     = errors.New("checksum of the batch is wrong")
	errRecords = errors.New("records of the batch are malformed")
)

// limits bound what a chunk may take.
type limits struct {
	chunkBytes   int
	chunkRecords int
	batchBytes   int
	end          int64 // last stable offset: no batch at or behind it is read; negative if unknown
}

// abortedTxn is the start of a transaction that was aborted.
type abortedTxn struct {
	producer int64
	first    int64
}

// parse reads record batches into the chunk until they end or a limit is
// reached. A batch that is cut off is left for the next fetch. aborted is in
// order of first. The error concerns [c.Next, to).
func (c *Chunk) parse(batches []byte, aborted []abortedTxn, lim limits, dec *codecs) (to int64, err error) {
	table := crc32.MakeTable(crc32.Castagnoli)
	for len(batches) >= batchHeaderBytes {
		base := int64(binary.BigEndian.Uint64(batches[atBaseOffset:]))
		size := int64(int32(binary.BigEndian.Uint32(batches[atLength:]))) + atLength + 4
		if size > int64(len(batches)) {
			return c.Next, nil
		}
		if batches[atMagic] != 2 {
			return c.Next, fmt.Errorf("%w, not %d", errMagic, batches[atMagic])
		}
		if size < batchHeaderBytes || base < 0 {
			return c.Next, errRecords
		}
		batch := batches[:size:size]
		batches = batches[size:]
		if lim.end >= 0 && base >= lim.end {
			return c.Next, nil
		}
		if binary.BigEndian.Uint32(batch[atCRC:]) != crc32.Checksum(batch[atAttributes:], table) {
			return max(c.Next, endOfDamaged(batch, batches, base)), errCRC
		}
		span := int64(int32(binary.BigEndian.Uint32(batch[atLastOffsetDelta:])))
		if span < 0 || base > math.MaxInt64-span-1 {
			return c.Next, errRecords
		}
		last := base + span
		for len(aborted) > 0 && aborted[0].first <= last {
			c.open = append(c.open, aborted[0].producer)
			aborted = aborted[1:]
		}
		if err := c.batch(batch, base, last+1, lim, dec); err != nil {
			return last + 1, err
		}
		c.packed += len(batch)
		if c.Next <= last && len(c.Records) >= lim.chunkRecords || len(c.arena) >= lim.chunkBytes {
			return c.Next, nil
		}
	}
	return c.Next, nil
}

// endOfDamaged guesses where a batch with a wrong checksum ends: where the next
// one begins (the framing is outside the checksum), or where it says itself.
func endOfDamaged(batch, following []byte, base int64) int64 {
	if len(following) >= batchHeaderBytes && following[atMagic] == 2 {
		if next := int64(binary.BigEndian.Uint64(following[atBaseOffset:])); next > base {
			return next
		}
	}
	const most = 1 << 20 // records in a batch of 1 MB or so
	if span := int64(int32(binary.BigEndian.Uint32(batch[atLastOffsetDelta:]))); span >= 0 && span < most {
		return base + span + 1
	}
	return base
}

// batch takes one batch whose offsets are [base, end).
func (c *Chunk) batch(batch []byte, base, end int64, lim limits, dec *codecs) error {
	attributes := binary.BigEndian.Uint16(batch[atAttributes:])
	producer := int64(binary.BigEndian.Uint64(batch[atProducer:]))
	if attributes&attrControl != 0 {
		if end > c.Next {
			c.skip(base, SkipCompacted)
			c.skip(end, SkipControl)
		}
		if isAbortMarker(batch[batchHeaderBytes:]) {
			c.open = slices.DeleteFunc(c.open, func(p int64) bool { return p == producer })
		}
		return nil
	}
	if end <= c.Next {
		return nil
	}
	if attributes&attrTransactional != 0 && slices.Contains(c.open, producer) {
		c.skip(base, SkipCompacted)
		c.skip(end, SkipAborted)
		return nil
	}
	count := int32(binary.BigEndian.Uint32(batch[atCount:]))
	body := batch[batchHeaderBytes:]
	if codec := attributes & attrCodec; codec != 0 && count > 0 {
		start := len(c.arena)
		arena, err := dec.decompress(codec, c.arena, body, lim.batchBytes)
		if err != nil {
			return err
		}
		c.arena = arena
		body = arena[start:len(arena):len(arena)]
	}
	if count < 0 || int64(count)*minRecordBytes > int64(len(body)) {
		return fmt.Errorf("%w: %d records in %d bytes", errRecords, count, len(body))
	}
	stamps := recordStamps{base: int64(binary.BigEndian.Uint64(batch[atBaseTimestamp:]))}
	if attributes&attrLogAppendTime != 0 {
		stamps = recordStamps{base: int64(binary.BigEndian.Uint64(batch[atMaxTimestamp:])), fixed: true}
	}
	return c.records(body, int(count), base, end, stamps, lim)
}

// recordStamps says how a record's time follows from the batch's: by its delta,
// or fixed for all (LogAppendTime, KAFKA.md and LIBRARIES.md section 4).
type recordStamps struct {
	base  int64
	fixed bool
}

// records appends the records of one batch from c.Next on and closes the gaps
// that compaction left. When the chunk is full it stops between two records.
func (c *Chunk) records(body []byte, count int, base, end int64, stamps recordStamps, lim limits) error {
	r, before := recordReader{rest: body}, int64(-1)
	for range count {
		length := r.varint()
		record := recordReader{rest: r.take(length)}
		if r.bad {
			return errRecords
		}
		record.take(1)
		stamp, delta := record.varint(), record.varint()
		offset := base + delta
		if delta <= before || offset >= end {
			return errRecords // two records of one offset: one would disappear
		}
		before = delta
		if offset < c.Next {
			continue // the batch begins before the offset that was asked for
		}
		if len(c.Records) >= lim.chunkRecords {
			return nil
		}
		out := Record{Offset: offset, TimestampMs: stamps.base}
		if !stamps.fixed {
			out.TimestampMs += stamp
		}
		out.Key, out.Value = record.bytes(), record.bytes()
		headers := record.varint()
		if record.bad || headers < 0 || 2*headers > int64(len(record.rest)) {
			return errRecords
		}
		if headers > 0 {
			start := len(c.headers)
			for range headers {
				c.headers = append(c.headers, Header{Key: record.bytes(), Value: record.bytes()})
			}
			out.Headers = c.headers[start:len(c.headers):len(c.headers)]
		}
		if record.bad {
			return errRecords
		}
		c.skip(offset, SkipCompacted)
		c.Records = append(c.Records, out)
		c.Next = offset + 1
	}
	c.skip(end, SkipCompacted)
	return nil
}

// isAbortMarker reads the one record of a control batch: its key is version
// and type, both int16; type 0 is abort.
func isAbortMarker(body []byte) bool {
	r := recordReader{rest: body}
	r.varint()
	r.take(1)
	r.varint()
	r.varint()
	key := r.bytes()
	return !r.bad && len(key) >= 4 && binary.BigEndian.Uint16(key[2:]) == 0
}

// recordReader takes the fields of a record. bad is set for good by the first
// field that is not there.
type recordReader struct {
	rest []byte
	bad  bool
}

func (r *recordReader) varint() int64 {
	if len(r.rest) > 0 && r.rest[0] < 0x80 { // one byte, by far the most frequent
		v := uint64(r.rest[0])
		r.rest = r.rest[1:]
		return int64(v>>1) ^ -int64(v&1)
	}
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *recordReader) take(n int64) []byte {
	if n < 0 || n > int64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

// bytes reads a length and as many bytes; -1 is nil.
func (r *recordReader) bytes() []byte {
	n := r.varint()
	if n == -1 {
		return nil
	}
	return r.take(n)
}
