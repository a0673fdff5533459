package source

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
)

// TopicsConfig says how the topics are made if they do not exist.
type TopicsConfig struct {
	Partitions        int           // of events and checkpoints; 4 if 0
	ReplicationFactor int           // 1 if 0; use 3 in a cluster
	MinInSync         int           // min.insync.replicas; 1 if 0, 2 with three replicas
	Retention         time.Duration // of events; 0: for ever
	RetentionBytes    int64         // of events, each partition; 0: no limit
}

// defaultPartitions is what one machine gets: several workers may share it.
const defaultPartitions = 4

// EnsureTopics makes the events, settings and checkpoints topics, or finds
// them. It changes nothing about one that exists. Errors: ErrPartitionCount if
// one exists with another number of partitions than cfg.Partitions (not
// compared if that is 0).
func (c *Client) EnsureTopics(ctx context.Context, cfg TopicsConfig) error {
	partitions := cfg.Partitions
	setDefault(&partitions, defaultPartitions)
	for _, topic := range []struct {
		name       string
		partitions int
		fixed      bool
		config     map[string]string
	}{
		{c.cfg.EventsTopic, partitions, cfg.Partitions > 0, eventsTopic(cfg)},
		{c.cfg.SettingsTopic, 1, true, compactedTopic(cfg)},
		{c.cfg.CheckpointsTopic, partitions, cfg.Partitions > 0, checkpointsTopic(cfg)},
	} {
		if err := c.createTopic(ctx, topic.name, topic.partitions, cfg.ReplicationFactor, topic.config); err != nil {
			return err
		}
		count, err := c.awaitTopic(ctx, topic.name)
		if err != nil {
			return err
		}
		if topic.fixed && count != topic.partitions {
			return fmt.Errorf("ensure topic %s: it has %d partitions, %d were asked for: %w", topic.name, count, topic.partitions, ErrPartitionCount)
		}
	}
	_, err := c.EpochPartitions(ctx)
	return err
}

// EpochPartitions gives how many partitions the events topic has had since it
// was made. The topic of checkpoints, made with it, remembers: an administrator
// who enlarges the one need not know of the other, and users would move between
// partitions while their records stay. Error: ErrPartitionCount if they differ.
func (c *Client) EpochPartitions(ctx context.Context) (int, error) {
	events, err := c.Partitions(ctx, c.cfg.EventsTopic)
	if err != nil {
		return 0, err
	}
	checkpoints, err := c.Partitions(ctx, c.cfg.CheckpointsTopic)
	if err != nil {
		return 0, err
	}
	if events != checkpoints {
		return 0, fmt.Errorf("look at topic %s: it has %d partitions, %s has %d: %w", c.cfg.EventsTopic, events, c.cfg.CheckpointsTopic, checkpoints, ErrPartitionCount)
	}
	return events, nil
}

func eventsTopic(cfg TopicsConfig) map[string]string {
	config := map[string]string{"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime", "retention.ms": "-1", "retention.bytes": "-1"}
	if cfg.Retention > 0 {
		config["retention.ms"] = strconv.FormatInt(cfg.Retention.Milliseconds(), 10)
	}
	if cfg.RetentionBytes > 0 {
		config["retention.bytes"] = strconv.FormatInt(cfg.RetentionBytes, 10)
	}
	return withMinInSync(config, cfg)
}

func compactedTopic(cfg TopicsConfig) map[string]string {
	// retention.ms does not concern a compacted topic of Apache Kafka, but the
	// embedded broker deletes by it whatever the policy is: seven days by default.
	return withMinInSync(map[string]string{"cleanup.policy": "compact", "retention.ms": "-1"}, cfg)
}

// checkpointsTopic is cut from the left (DropCheckpoints), which "compact" alone
// does not allow, and has small segments, because only whole ones leave the disk:
// 1 GB by default, for each partition.
func checkpointsTopic(cfg TopicsConfig) map[string]string {
	config := compactedTopic(cfg)
	config["cleanup.policy"] = "compact,delete"
	config["retention.bytes"] = "-1"
	config["segment.bytes"] = strconv.Itoa(8 << 20)
	return config
}

func withMinInSync(config map[string]string, cfg TopicsConfig) map[string]string {
	if cfg.MinInSync > 0 {
		config["min.insync.replicas"] = strconv.Itoa(cfg.MinInSync)
	}
	return config
}

func (c *Client) createTopic(ctx context.Context, topic string, partitions, replicas int, config map[string]string) error {
	setDefault(&replicas, 1)
	entries := make([]kafka.ConfigEntry, 0, len(config))
	for name, value := range config {
		entries = append(entries, kafka.ConfigEntry{ConfigName: name, ConfigValue: value})
	}
	return c.retry(ctx, "create topic "+topic, func(ctx context.Context) error {
		_, err := c.describeOnce(ctx, topic)
		if !errors.Is(err, ErrUnknownTopic) {
			return err
		}
		answer, err := c.kafka.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{
			Topic: topic, NumPartitions: partitions, ReplicationFactor: replicas, ConfigEntries: entries,
		}}})
		if err != nil {
			return err
		}
		if err := answer.Errors[topic]; err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
			return err
		}
		return nil
	})
}

// awaitTopic waits until a topic that was just created is known to the broker
// that answers, and gives its number of partitions.
func (c *Client) awaitTopic(ctx context.Context, topic string) (count int, err error) {
	err = c.retry(ctx, "await topic "+topic, func(ctx context.Context) error {
		info, err := c.describeOnce(ctx, topic)
		if errors.Is(err, ErrUnknownTopic) {
			return fmt.Errorf("topic %s is not known yet", topic)
		}
		count = info.partitions
		return err
	})
	return count, err
}
