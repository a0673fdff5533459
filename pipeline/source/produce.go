package source

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"golang.org/x/sync/errgroup"

	"daybook/schemas"
)

// produceVersion is the first that allows zstd; brokers from 2.1 to 4.1 serve
// it.
const produceVersion = 7

// maxMessageBytes is Kafka's default of max.message.bytes; a batch with its
// header must not be larger.
const maxMessageBytes = 1_048_588

// MaxBatchBytes bounds a batch of several records, below maxMessageBytes.
const MaxBatchBytes = 1_000_000

// maxRecordBytes bounds a record that goes alone.
const maxRecordBytes = maxMessageBytes - batchHeaderBytes

// produceParallel is how many partitions one call writes at once.
const produceParallel = 8

// Produce appends records to the events topic and returns when all are
// acknowledged by all replicas (acks=all). Records of one partition keep their
// order. After an error some may be in the log; after a retry some may be in it
// twice: whoever reads must know repeats by id (KAFKA.md section 5).
func (c *Client) Produce(ctx context.Context, records []Outgoing) error {
	count, err := c.Partitions(ctx, c.cfg.EventsTopic)
	if err != nil {
		return err
	}
	byPartition := make(map[int32][]*Outgoing)
	for i := range records {
		p := records[i].Partition
		if p < 0 {
			p = schemas.Partition(records[i].Key, count)
		}
		if int(p) >= count {
			return ErrUnknownPartition
		}
		byPartition[p] = append(byPartition[p], &records[i])
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(produceParallel)
	for partition, own := range byPartition {
		group.Go(func() error { return c.produceAll(ctx, partition, own) })
	}
	return group.Wait()
}

// produceAll writes the records of one partition, batch after batch.
func (c *Client) produceAll(ctx context.Context, partition int32, records []*Outgoing) error {
	e := c.encoder()
	defer c.encoded.Put(e)
	now := nowMs()
	for _, out := range records {
		if recordBytes(out) > maxRecordBytes {
			return ErrRecordTooLarge
		}
		if e.count > 0 && e.size(out) > MaxBatchBytes {
			if _, err := c.send(ctx, c.cfg.EventsTopic, partition, e, CompressionNone); err != nil {
				return err
			}
			e.reset()
		}
		e.add(out, timeOr(out.TimeMs, now))
	}
	if e.count == 0 {
		return nil
	}
	if _, err := c.send(ctx, c.cfg.EventsTopic, partition, e, CompressionNone); err != nil {
		return err
	}
	return nil
}

// produceOne writes one record and gives its offset. After a lost answer it may
// be in the log twice; the offset is then the later one.
func (c *Client) produceOne(ctx context.Context, topic string, partition int32, out *Outgoing) (int64, error) {
	if recordBytes(out) > maxRecordBytes {
		return 0, ErrRecordTooLarge
	}
	e := c.encoder()
	defer c.encoded.Put(e)
	e.add(out, timeOr(out.TimeMs, nowMs()))
	return c.send(ctx, topic, partition, e, CompressionNone)
}

func (c *Client) encoder() *encoder {
	e, _ := c.encoded.Get().(*encoder)
	if e == nil {
		e = new(encoder)
	}
	e.reset()
	return e
}

// send finishes the batch and writes it, retrying what is transient. It gives
// the offset of the first record.
func (c *Client) send(ctx context.Context, topic string, partition int32, e *encoder, compression Compression) (base int64, err error) {
	batch, err := e.finish(compression)
	if err != nil {
		return 0, err
	}
	err = c.retry(ctx, fmt.Sprintf("produce to %s/%d", topic, partition), func(ctx context.Context) error {
		var err error
		base, err = c.produceBatch(ctx, topic, partition, batch)
		return err
	})
	return base, err
}

func (c *Client) produceBatch(ctx context.Context, topic string, partition int32, batch []byte) (int64, error) {
	x := &exchange{key: protocol.Produce, version: produceVersion, topic: topic, partition: partition, clientID: c.cfg.ClientID}
	b := appendNoString(nil) // no transaction
	b = append(b, 0xff, 0xff)
	b = appendInt32(b, int32(c.cfg.RequestTimeout.Milliseconds()))
	b = appendInt32(b, 1)
	b = appendString(b, topic)
	b = appendInt32(b, 1)
	b = appendInt32(b, partition)
	x.body, x.tail = appendInt32(b, int32(len(batch))), batch
	if _, err := c.roundTrip(ctx, x, 0); err != nil {
		return 0, err
	}
	r := answerReader{rest: x.answer}
	topics, name, partitions, id, code, base := r.int32(), r.string(), r.int32(), r.int32(), r.int16(), r.int64()
	switch {
	case r.err != nil:
		return 0, r.err
	case topics != 1 || partitions != 1 || id != partition || string(name) != topic:
		return 0, fmt.Errorf("answer lacks partition %s/%d", topic, partition)
	case code != 0:
		return 0, kafka.Error(code)
	}
	return base, nil
}

func appendNoString(b []byte) []byte { return append(b, 0xff, 0xff) }

func timeOr(timeMs, now int64) int64 {
	if timeMs == 0 {
		return now
	}
	return timeMs
}

func nowMs() int64 { return time.Now().UnixMilli() }
