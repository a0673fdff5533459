package source

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/offsetcommit"
	"github.com/segmentio/kafka-go/protocol/offsetfetch"
)

// MaxMetadataBytes is Kafka's default limit of a commit's metadata
// (offset.metadata.max.bytes). The embedded broker does not enforce it, and
// kafka-go loses metadata above 32 KiB silently (KAFKA.md section 2).
const MaxMetadataBytes = 4096

// Committed is what the group has committed for a partition.
type Committed struct {
	Offset   int64  // the next record to read; -1 if nothing is committed
	Metadata string // the pointer that was committed with it
}

// member names who commits. An administrator resets an empty group with
// generation -1 and no member.
type member struct {
	generation int32
	id         string
}

func administrator() member { return member{generation: -1} }

// checkMetadata refuses what a broker would refuse, alter or lose.
func checkMetadata(metadata string) error {
	if len(metadata) > MaxMetadataBytes {
		return fmt.Errorf("check commit metadata of %d bytes: %w", len(metadata), ErrBadMetadata)
	}
	for i := range len(metadata) {
		if b := metadata[i]; b < ' ' || b > '~' {
			return fmt.Errorf("check commit metadata, byte %d: %w", i, ErrBadMetadata)
		}
	}
	return nil
}

// commitOffset commits one partition. Codes that say "ask again" are retried,
// an answer that was lost is not: a delayed first request could then overtake
// a later commit (LIBRARIES.md section 2).
func (c *Client) commitOffset(ctx context.Context, who member, partition int32, offset int64, metadata string) error {
	if err := checkMetadata(metadata); err != nil {
		return err
	}
	var lost error
	err := c.retry(ctx, "commit offset", func(ctx context.Context) error {
		err := c.commitOnce(ctx, who, partition, offset, metadata)
		if err != nil && !answered(err) {
			lost = err
			return nil
		}
		return err
	})
	switch {
	case lost != nil:
		return fmt.Errorf("commit offset of %s/%d: %w: %w", c.cfg.EventsTopic, partition, ErrTransient, lost)
	case fencing(err):
		return fmt.Errorf("commit offset of %s/%d: %w: %w", c.cfg.EventsTopic, partition, ErrFenced, err)
	}
	return err
}

// answered tells whether a failed commit was certainly not applied: the broker
// said so, or was not reached at all.
func answered(err error) bool {
	if code := kafka.Error(0); errors.As(err, &code) {
		return true
	}
	dial := (*net.OpError)(nil)
	return errors.As(err, &dial) && dial.Op == "dial"
}

func (c *Client) commitOnce(ctx context.Context, who member, partition int32, offset int64, metadata string) error {
	answer, err := c.roundTrip(ctx, &offsetcommit.Request{
		GroupID: c.cfg.Group, GenerationID: who.generation, MemberID: who.id, RetentionTimeMs: -1,
		Topics: []offsetcommit.RequestTopic{{Name: c.cfg.EventsTopic, Partitions: []offsetcommit.RequestPartition{{
			PartitionIndex: partition, CommittedOffset: offset, CommittedMetadata: metadata,
			CommittedLeaderEpoch: -1, // kafka-go's own commit says 0, after which Java consumers of the group reset
		}}}},
	}, 0)
	if err != nil {
		return err
	}
	for _, topic := range answer.(*offsetcommit.Response).Topics { //nolint:forcetypeassert // kafka-go answers a request with its type.
		for _, p := range topic.Partitions {
			if topic.Name == c.cfg.EventsTopic && p.PartitionIndex == partition {
				if p.ErrorCode != 0 {
					return kafka.Error(p.ErrorCode)
				}
				return nil
			}
		}
	}
	return fmt.Errorf("answer lacks partition %s/%d", c.cfg.EventsTopic, partition)
}

// Committed reads what the group has committed for the partitions. A partition
// without a commit has offset -1. No membership is needed.
func (c *Client) Committed(ctx context.Context, partitions []int32) (map[int32]Committed, error) {
	var committed map[int32]Committed
	err := c.retry(ctx, "fetch committed offsets", func(ctx context.Context) error {
		answer, err := c.roundTrip(ctx, &offsetfetch.Request{
			GroupID: c.cfg.Group, Topics: []offsetfetch.RequestTopic{{Name: c.cfg.EventsTopic, PartitionIndexes: partitions}},
		}, 0)
		if err != nil {
			return err
		}
		response := answer.(*offsetfetch.Response) //nolint:forcetypeassert // kafka-go answers a request with its type.
		if response.ErrorCode != 0 {
			return kafka.Error(response.ErrorCode)
		}
		committed = make(map[int32]Committed, len(partitions))
		for _, topic := range response.Topics {
			for _, p := range topic.Partitions {
				if p.ErrorCode != 0 {
					return kafka.Error(p.ErrorCode)
				}
				committed[p.PartitionIndex] = Committed{Offset: max(p.CommittedOffset, -1), Metadata: p.Metadata}
			}
		}
		for _, partition := range partitions {
			if _, ok := committed[partition]; !ok { // a coordinator that is loading answers with no topics
				return fmt.Errorf("answer lacks partition %s/%d", c.cfg.EventsTopic, partition)
			}
		}
		return nil
	})
	return committed, err
}

// ResetCommitted sets a partition's committed offset from outside, as `daybook
// skip` does. The group must be empty: else the error is ErrFenced.
func (c *Client) ResetCommitted(ctx context.Context, partition int32, offset int64, metadata string) error {
	return c.commitOffset(ctx, administrator(), partition, offset, metadata)
}
