package source

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Outgoing is a record to be produced.
type Outgoing struct {
	Key       []byte
	Value     []byte // nil is a tombstone
	Headers   []Header
	Partition int32 // -1: by murmur2 of the key, as Java does
	TimeMs    int64 // record time in milliseconds; 0: now
}

// Compression of what is produced.
type Compression int8

// The compressions. LZ4 costs the producer what it saves it in bytes that are
// sent, and brokers and consumers have less to do (BenchmarkFetch); zstd costs
// more, for the least bytes over a network.
const (
	CompressionNone Compression = 0
	CompressionLZ4  Compression = codecLZ4
	CompressionZstd Compression = codecZstd
)

// encoder builds one record batch. Its memory is reused.
type encoder struct {
	batch  []byte // header and records, not compressed
	packed []byte // header and compressed records
	count  int32
	baseMs int64
	maxMs  int64
	lz4    lz4.Compressor
	zstd   *zstd.Encoder
}

func (e *encoder) reset() {
	e.batch = append(e.batch[:0], make([]byte, batchHeaderBytes)...)
	e.count, e.baseMs, e.maxMs = 0, 0, 0
}

// add appends a record with its time in milliseconds.
func (e *encoder) add(out *Outgoing, timeMs int64) {
	if e.count == 0 {
		e.baseMs, e.maxMs = timeMs, timeMs
	}
	e.maxMs = max(e.maxMs, timeMs)
	body := 1 + varintSize(timeMs-e.baseMs) + varintSize(int64(e.count)) + bytesSize(out.Key) + bytesSize(out.Value) + varintSize(int64(len(out.Headers)))
	for _, h := range out.Headers {
		body += bytesSize(h.Key) + bytesSize(h.Value)
	}
	b := binary.AppendVarint(e.batch, int64(body))
	b = append(b, 0)
	b = binary.AppendVarint(b, timeMs-e.baseMs)
	b = binary.AppendVarint(b, int64(e.count))
	b = appendBytes(b, out.Key)
	b = appendBytes(b, out.Value)
	b = binary.AppendVarint(b, int64(len(out.Headers)))
	for _, h := range out.Headers {
		b = appendBytes(b, h.Key)
		b = appendBytes(b, h.Value)
	}
	e.batch = b
	e.count++
}

// size is what add would bring it to, at most.
func (e *encoder) size(out *Outgoing) int { return len(e.batch) + recordBytes(out) }

// recordBytes is what a record takes in a batch, at most.
func recordBytes(out *Outgoing) int {
	const framing = 5 * binary.MaxVarintLen32
	size := framing + len(out.Key) + len(out.Value)
	for _, h := range out.Headers {
		size += 2*binary.MaxVarintLen32 + len(h.Key) + len(h.Value)
	}
	return size
}

// finish gives the batch, valid until reset. It stays plain if compressing
// does not make it smaller.
func (e *encoder) finish(compression Compression) ([]byte, error) {
	out, codec := e.batch, int16(0)
	if compression != CompressionNone {
		packed, err := e.compress(compression)
		if err != nil {
			return nil, err
		}
		if len(packed) < len(e.batch) {
			out, codec = packed, int16(compression)
		}
	}
	binary.BigEndian.PutUint64(out[atBaseOffset:], 0)
	binary.BigEndian.PutUint32(out[atLength:], uint32(len(out)-atLength-4))
	binary.BigEndian.PutUint32(out[12:], 0) // leader epoch: the broker sets it
	out[atMagic] = 2
	binary.BigEndian.PutUint16(out[atAttributes:], uint16(codec))
	binary.BigEndian.PutUint32(out[atLastOffsetDelta:], uint32(e.count-1))
	binary.BigEndian.PutUint64(out[atBaseTimestamp:], uint64(e.baseMs))
	binary.BigEndian.PutUint64(out[atMaxTimestamp:], uint64(e.maxMs))
	for i := atProducer; i < atCount; i++ {
		out[i] = 0xff // no producer, epoch and sequence: -1
	}
	binary.BigEndian.PutUint32(out[atCount:], uint32(e.count))
	crc := crc32.Checksum(out[atAttributes:], crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(out[atCRC:], crc)
	return out, nil
}

func (e *encoder) compress(compression Compression) ([]byte, error) {
	e.packed = append(e.packed[:0], e.batch[:batchHeaderBytes]...)
	plain := e.batch[batchHeaderBytes:]
	switch compression {
	case CompressionNone:
	case CompressionLZ4:
		return e.compressLZ4(plain)
	case CompressionZstd:
		if e.zstd == nil {
			encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
			if err != nil {
				return nil, fmt.Errorf("open zstd: %w", err)
			}
			e.zstd = encoder
		}
		e.packed = e.zstd.EncodeAll(plain, e.packed)
		return e.packed, nil
	}
	return nil, fmt.Errorf("compress batch: codec %d is not known", compression)
}

// lz4BlockBytes is the block size that the frame header names: 64 KB, the only
// one that Kafka's Java client writes and every client reads.
const lz4BlockBytes = 64 << 10

// compressLZ4 writes a frame of independent blocks by hand: the library's
// writer holds 4 MB and a goroutine's worth of state a frame.
func (e *encoder) compressLZ4(plain []byte) ([]byte, error) {
	// magic; version 1, independent blocks; 64 KB blocks; header checksum =
	// second byte of xxHash32 of the two descriptor bytes, 0x60 0x40.
	e.packed = append(e.packed, 0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82)
	for len(plain) > 0 {
		block := plain[:min(len(plain), lz4BlockBytes)]
		plain = plain[len(block):]
		at := len(e.packed)
		e.packed = append(e.packed, make([]byte, 4+lz4.CompressBlockBound(len(block)))...)
		n, err := e.lz4.CompressBlock(block, e.packed[at+4:])
		if err != nil {
			return nil, fmt.Errorf("compress lz4: %w", err)
		}
		if n == 0 || n >= len(block) { // not compressible: stored, said by the highest bit
			n = copy(e.packed[at+4:], block)
			binary.LittleEndian.PutUint32(e.packed[at:], uint32(n)|1<<31)
		} else {
			binary.LittleEndian.PutUint32(e.packed[at:], uint32(n))
		}
		e.packed = e.packed[:at+4+n]
	}
	e.packed = append(e.packed, 0, 0, 0, 0)
	return e.packed, nil
}

func appendBytes(b, field []byte) []byte {
	if field == nil {
		return binary.AppendVarint(b, -1)
	}
	b = binary.AppendVarint(b, int64(len(field)))
	return append(b, field...)
}

func bytesSize(field []byte) int {
	if field == nil {
		return 1
	}
	return varintSize(int64(len(field))) + len(field)
}

func varintSize(v int64) int {
	size := 1
	for u := uint64(v)<<1 ^ uint64(v>>63); u >= 0x80; u >>= 7 {
		size++
	}
	return size
}
