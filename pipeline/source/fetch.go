package source

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// fetchVersion is the newest that kafka-go negotiates; brokers from 2.3 to 4.1
// serve it.
const fetchVersion = 11

// Fetch reads the events of a partition from an offset on, waiting at most
// Config.MaxWait for the first. At the end the chunk is empty and Next is From.
// Errors: *OffsetOutOfRangeError if the log does not hold the offset (it never
// jumps), *BatchError if a batch is damaged, ErrTransient after
// Config.RetryFor, or the context's cause.
func (c *Client) Fetch(ctx context.Context, partition int32, offset int64) (*Chunk, error) {
	return c.fetch(ctx, c.cfg.EventsTopic, partition, offset, c.cfg.MaxWait)
}

func (c *Client) fetch(ctx context.Context, topic string, partition int32, offset int64, wait time.Duration) (*Chunk, error) {
	var chunk *Chunk
	err := c.retry(ctx, "fetch", func(ctx context.Context) error {
		var err error
		chunk, err = c.fetchOnce(ctx, topic, partition, offset, wait)
		return err
	})
	if errors.Is(err, kafka.OffsetOutOfRange) || errors.Is(err, errBelowStart) {
		start, end, rangeErr := c.listOffsets(ctx, topic, partition)
		if rangeErr != nil {
			return nil, rangeErr
		}
		return nil, &OffsetOutOfRangeError{Topic: topic, Partition: partition, Offset: offset, Start: start, End: end}
	}
	if err != nil {
		return nil, err
	}
	return chunk, nil
}

// errBelowStart is out of range, too: the answer itself says that the log
// begins later.
var errBelowStart = &OffsetOutOfRangeError{}

// fetchOnce sends one request. A chunk that is abandoned with its request still
// under way is left to the garbage collector, because the connection's
// goroutine may yet write into it.
func (c *Client) fetchOnce(ctx context.Context, topic string, partition int32, offset int64, wait time.Duration) (*Chunk, error) {
	chunk := c.freeChunk()
	chunk.reset(offset)
	x := &chunk.request
	x.key, x.version, x.topic, x.partition, x.clientID = protocol.Fetch, fetchVersion, topic, partition, c.cfg.ClientID
	x.body = appendFetch(x.body[:0], topic, partition, offset, int32(wait.Milliseconds()), c.ask(topic, partition))
	if _, err := c.roundTrip(ctx, x, wait); err != nil {
		return nil, err
	}
	chunk.release = c.recycle
	if err := c.readFetch(chunk, topic, partition); err != nil {
		chunk.Release()
		return nil, err
	}
	return chunk, nil
}

// leastFetchBytes is the least that a fetch asks for, however well its partition's
// batches compress: of fewer bytes the batch that is cut off at the end, which is
// fetched again, would be too large a part.
const leastFetchBytes = 128 << 10

// topicPartition is a partition of a topic.
type topicPartition struct {
	topic     string
	partition int32
}

// ask gives the bytes that a fetch asks for: as much as decompresses to half of
// Config.ChunkBytes, if the partition goes on as in its last chunk.
func (c *Client) ask(topic string, partition int32) int32 {
	if learnt, ok := c.asks.Load(topicPartition{topic, partition}); ok {
		return learnt.(int32) //nolint:forcetypeassert // learn stores nothing else
	}
	return c.cfg.FetchBytes
}

// learn takes from a chunk what ask tells.
func (c *Client) learn(topic string, partition int32, chunk *Chunk) {
	if chunk.packed == 0 {
		return
	}
	most := int64(c.cfg.FetchBytes)
	if len(chunk.arena) > 0 {
		most = min(most, max(int64(c.cfg.ChunkBytes)/2*int64(chunk.packed)/int64(len(chunk.arena)), leastFetchBytes))
	}
	if at := (topicPartition{topic, partition}); int32(most) != c.ask(topic, partition) {
		c.asks.Store(at, int32(most))
	}
}

func (c *Client) freeChunk() *Chunk {
	select {
	case chunk := <-c.chunks:
		return chunk
	default:
		return new(Chunk)
	}
}

func (c *Client) recycle(chunk *Chunk) {
	select {
	case c.chunks <- chunk:
	default:
	}
}

// appendFetch encodes the request, version 11: committed records only, no
// fetch session, no epoch (kafka-go does not tell it).
func appendFetch(b []byte, topic string, partition int32, offset int64, waitMs, maxBytes int32) []byte {
	b = appendInt32(b, -1) // replica: a consumer
	b = appendInt32(b, waitMs)
	b = appendInt32(b, 1) // least bytes
	b = appendInt32(b, maxBytes)
	b = append(b, 1)       // isolation: read committed
	b = appendInt32(b, 0)  // session
	b = appendInt32(b, -1) // session epoch: none
	b = appendInt32(b, 1)  // topics
	b = appendString(b, topic)
	b = appendInt32(b, 1) // partitions
	b = appendInt32(b, partition)
	b = appendInt32(b, -1) // current leader epoch
	b = appendInt64(b, offset)
	b = appendInt64(b, -1) // log start of a follower
	b = appendInt32(b, maxBytes)
	b = appendInt32(b, 0) // forgotten topics
	return appendString(b, "")
}

// readFetch takes the answer, version 11, apart.
func (c *Client) readFetch(chunk *Chunk, topic string, partition int32) error {
	r := answerReader{rest: chunk.request.answer}
	r.int32() // throttle
	code := r.int16()
	r.int32() // session
	if code != 0 {
		return kafka.Error(code)
	}
	if topics := r.int32(); topics != 1 {
		return fmt.Errorf("fetch %s/%d: answer has %d topics", topic, partition, topics)
	}
	if name := r.string(); string(name) != topic {
		return fmt.Errorf("fetch %s/%d: answer is about another topic", topic, partition)
	}
	if partitions := r.int32(); partitions != 1 {
		return fmt.Errorf("fetch %s/%d: answer has %d partitions", topic, partition, partitions)
	}
	if id := r.int32(); id != partition {
		return fmt.Errorf("fetch %s/%d: answer is about partition %d", topic, partition, id)
	}
	code = r.int16()
	chunk.HighWatermark, chunk.LastStable, chunk.LogStart = r.int64(), r.int64(), r.int64()
	var aborted []abortedTxn
	for range max(0, min(r.int32(), int32(len(r.rest)/16))) {
		aborted = append(aborted, abortedTxn{producer: r.int64(), first: r.int64()})
	}
	r.int32() // preferred replica
	batches := r.bytes()
	switch {
	case code != 0:
		return kafka.Error(code)
	case r.err != nil:
		return r.err
	case chunk.LogStart > chunk.From:
		return errBelowStart
	}
	chunk.FetchedBytes = len(chunk.request.answer)
	return c.parse(chunk, batches, aborted, topic, partition)
}

// parse fills the chunk. A damaged batch fails the call only if it is the
// first: what lies before it is delivered.
func (c *Client) parse(chunk *Chunk, batches []byte, aborted []abortedTxn, topic string, partition int32) error {
	dec, _ := c.codecs.Get().(*codecs)
	if dec == nil {
		dec = new(codecs)
	}
	end := chunk.LastStable
	if end < 0 {
		end = math.MaxInt64
	}
	lim := limits{chunkBytes: c.cfg.ChunkBytes, chunkRecords: c.cfg.ChunkRecords, batchBytes: c.cfg.BatchBytes, end: end}
	to, err := chunk.parse(batches, aborted, lim, dec)
	c.codecs.Put(dec)
	c.learn(topic, partition, chunk)
	if err != nil && chunk.Next == chunk.From {
		return &BatchError{Topic: topic, Partition: partition, From: chunk.Next, To: to, Err: err}
	}
	return nil
}
