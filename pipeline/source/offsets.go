package source

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go"
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
