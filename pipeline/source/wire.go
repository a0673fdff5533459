package source

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/segmentio/kafka-go/protocol"
)

// maxResponseBytes bounds the memory that one answer may take. The largest
// legal one is a fetch with a single batch of max.message.bytes, which brokers
// let grow to tens of megabytes; not measured.
const maxResponseBytes = 256 << 20

var errShort = errors.New("answer ends in the middle of a field")

// exchange is one request whose bytes we write and read ourselves, sent over
// kafka-go's authenticated connections by its RawExchanger door. So nothing is
// registered for the whole process, and the answer lands in a buffer that the
// caller recycles.
type exchange struct {
	key       protocol.ApiKey
	version   int16
	flexible  bool
	topic     string // with partition: sent to its leader; empty: to any broker
	partition int32
	clientID  string
	body      []byte // request after its header
	tail      []byte // written after body without being copied
	answer    []byte // after the header; its capacity is reused
	head      []byte
}

// ApiKey implements protocol.Message.
func (x *exchange) ApiKey() protocol.ApiKey { return x.key } //nolint:revive // the interface spells it so.

// Broker implements protocol.BrokerMessage.
func (x *exchange) Broker(cluster protocol.Cluster) (protocol.Broker, error) {
	if x.topic == "" {
		return protocol.Broker{ID: -1}, nil
	}
	topic, ok := cluster.Topics[x.topic]
	if !ok {
		return protocol.Broker{ID: -1}, fmt.Errorf("find leader of %s/%d: topic is not in the metadata", x.topic, x.partition)
	}
	partition, ok := topic.Partitions[x.partition]
	if !ok {
		return protocol.Broker{ID: -1}, fmt.Errorf("find leader of %s/%d: partition is not in the metadata", x.topic, x.partition)
	}
	broker, ok := cluster.Brokers[partition.Leader]
	if !ok {
		return protocol.Broker{ID: -1}, fmt.Errorf("find leader of %s/%d: it has none", x.topic, x.partition)
	}
	return broker, nil
}

// Required implements protocol.RawExchanger.
func (x *exchange) Required(map[protocol.ApiKey]int16) bool { return true }

// RawExchange implements protocol.RawExchanger. The connection carries one
// request at a time, so the correlation id may be anything.
func (x *exchange) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	const correlation = 1
	x.head = append(x.head[:0], 0, 0, 0, 0)
	x.head = binary.BigEndian.AppendUint16(x.head, uint16(x.key))
	x.head = binary.BigEndian.AppendUint16(x.head, uint16(x.version))
	x.head = binary.BigEndian.AppendUint32(x.head, correlation)
	x.head = appendString(x.head, x.clientID)
	if x.flexible {
		x.head = append(x.head, 0)
	}
	x.head = append(x.head, x.body...)
	binary.BigEndian.PutUint32(x.head, uint32(len(x.head)-4+len(x.tail)))
	if _, err := rw.Write(x.head); err != nil {
		return nil, err
	}
	if len(x.tail) > 0 {
		if _, err := rw.Write(x.tail); err != nil {
			return nil, err
		}
	}
	var prefix [8]byte
	if _, err := io.ReadFull(rw, prefix[:]); err != nil {
		return nil, err
	}
	size := int64(binary.BigEndian.Uint32(prefix[:])) - 4
	if size < 0 || size > maxResponseBytes {
		return nil, fmt.Errorf("read answer of api %d: %d bytes are not believable (is TLS expected?)", x.key, size)
	}
	if got := binary.BigEndian.Uint32(prefix[4:]); got != correlation {
		return nil, fmt.Errorf("read answer of api %d: correlation id %d, want %d", x.key, got, correlation)
	}
	if int64(cap(x.answer)) < size {
		x.answer = make([]byte, size)
	}
	x.answer = x.answer[:size]
	if _, err := io.ReadFull(rw, x.answer); err != nil {
		return nil, err
	}
	return x, nil
}

func appendString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

func appendInt32(b []byte, v int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(v)) }
func appendInt64(b []byte, v int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(v)) }

// answerReader takes primitive fields from an answer. After the first field
// that is missing every value is zero and err is set.
type answerReader struct {
	rest []byte
	err  error
}

func (r *answerReader) take(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.err = errShort
		r.rest = nil
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *answerReader) int16() int16 {
	if b := r.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *answerReader) int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *answerReader) int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (r *answerReader) string() []byte { return r.take(max(int(r.int16()), 0)) }
func (r *answerReader) bytes() []byte  { return r.take(max(int(r.int32()), 0)) }

func (r *answerReader) uvarint() int {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > maxResponseBytes {
		r.err = errShort
		r.rest = nil
		return 0
	}
	r.rest = r.rest[n:]
	return int(v)
}

// compactString reads a string or nil of the flexible encoding.
func (r *answerReader) compactString() []byte {
	n := r.uvarint()
	if n == 0 {
		return nil
	}
	return r.take(n - 1)
}

// tags passes over the tagged fields of the flexible encoding.
func (r *answerReader) tags() {
	for range r.uvarint() {
		r.uvarint()
		r.take(r.uvarint())
		if r.err != nil {
			return
		}
	}
}
