package source

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// ListOffsets gives the range of the events log: start inclusive, end the last
// stable offset, exclusive.
func (c *Client) ListOffsets(ctx context.Context, partition int32) (start, end int64, err error) {
	return c.listOffsets(ctx, c.cfg.EventsTopic, partition)
}

func (c *Client) listOffsets(ctx context.Context, topic string, partition int32) (start, end int64, err error) {
	err = c.retry(ctx, "list offsets", func(ctx context.Context) error {
		answer, err := c.kafka.ListOffsets(ctx, &kafka.ListOffsetsRequest{
			Topics:         map[string][]kafka.OffsetRequest{topic: {kafka.FirstOffsetOf(int(partition)), kafka.LastOffsetOf(int(partition))}},
			IsolationLevel: kafka.ReadCommitted,
		})
		if err != nil {
			return err
		}
		for _, p := range answer.Topics[topic] {
			if p.Partition == int(partition) {
				start, end = p.FirstOffset, p.LastOffset
				return p.Error
			}
		}
		return fmt.Errorf("answer lacks partition %s/%d", topic, partition)
	})
	return start, end, err
}

// deleteVersion is the first and last without flexible headers.
const deleteVersion = 1

// deleteRecords moves the start of a log up to an offset, if it is not there
// yet. The topic's policy must include deletion. kafka-go has no such message.
func (c *Client) deleteRecords(ctx context.Context, topic string, partition int32, before int64) error {
	return c.retry(ctx, "delete records", func(ctx context.Context) error {
		x := &exchange{key: protocol.DeleteRecords, version: deleteVersion, topic: topic, partition: partition, clientID: c.cfg.ClientID}
		b := appendString(appendInt32(nil, 1), topic)
		b = appendInt64(appendInt32(appendInt32(b, 1), partition), before)
		x.body = appendInt32(b, int32(c.cfg.RequestTimeout.Milliseconds()))
		if _, err := c.roundTrip(ctx, x, 0); err != nil {
			return err
		}
		r := answerReader{rest: x.answer}
		r.int32() // throttle
		topics, name, partitions, id := r.int32(), r.string(), r.int32(), r.int32()
		r.int64() // the start of the log now
		code := r.int16()
		switch {
		case r.err != nil:
			return r.err
		case topics != 1 || partitions != 1 || id != partition || string(name) != topic:
			return fmt.Errorf("answer lacks partition %s/%d", topic, partition)
		case code != 0 && kafka.Error(code) != kafka.OffsetOutOfRange: // it begins later already
			return kafka.Error(code)
		}
		return nil
	})
}
