package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"daybook/clickhouse"
	"daybook/pipeline/source"
)

// kafkaClient opens the one door to Kafka for a command.
func (a *app) kafkaClient(brokers []string) (*source.Client, error) {
	return source.New(a.kafkaConfig(brokers))
}

// openTopic opens Kafka for a command that needs the topics to exist already.
func (a *app) openTopic(ctx context.Context, brokers []string) (*source.Client, error) {
	client, err := a.kafkaClient(brokers)
	if err != nil {
		return nil, err
	}
	if _, err := client.Partitions(ctx, client.EventsTopic()); err != nil {
		client.Close()
		if errors.Is(err, source.ErrUnknownTopic) {
			err = fmt.Errorf("%w; run daybook migrate first, which makes the topics", err)
		}
		return nil, err
	}
	return client, nil
}

// openToRead opens storage and Kafka for a command that looks at both; closing
// storage then loses nothing.
func (a *app) openToRead(ctx context.Context, found *servers) (*clickhouse.Store, *source.Client, func(), error) {
	store, err := clickhouse.Open(ctx, clickhouse.Options{DSN: found.ClickHouse.String(), Log: a.log})
	if err != nil {
		return nil, nil, nil, err
	}
	client, err := a.openTopic(ctx, found.Kafka)
	if err != nil {
		return nil, nil, nil, errors.Join(err, store.Close())
	}
	return store, client, func() { client.Close(); _ = store.Close() }, nil
}

// kafkaConfig says how to reach the brokers; the embedded one speaks neither
// TLS nor SASL, and no variable that is set for a cluster applies to it.
func (a *app) kafkaConfig(brokers []string) source.Config {
	cfg := source.Config{Brokers: brokers, Group: a.cfg.Group, Failpoint: a.failpoint, Logger: a.log}
	if len(a.cfg.KafkaBrokers) == 0 {
		return cfg
	}
	if a.cfg.KafkaTLS {
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if a.cfg.KafkaSASL != "none" {
		cfg.SASL = source.SASL{
			Mechanism: strings.ToUpper(a.cfg.KafkaSASL), User: a.cfg.KafkaUser, Password: a.cfg.KafkaPassword.Reveal(),
		}
	}
	return cfg
}

// topics is how the topics are made. The embedded broker keeps its own disk
// budget, so retention.bytes is for a cluster.
func (a *app) topics(embedded bool) source.TopicsConfig {
	cfg := source.TopicsConfig{
		ReplicationFactor: a.cfg.KafkaReplication,
		Retention:         a.cfg.EventsRetention, RetentionBytes: a.cfg.KafkaRetentionByte,
	}
	if a.origin["KAFKA_PARTITIONS"] != fromDefault {
		cfg.Partitions = a.cfg.KafkaPartitions // else a topic that exists keeps its number
	}
	if cfg.ReplicationFactor > 2 {
		cfg.MinInSync = 2
	}
	if embedded {
		// Retention is the broker's own there: kfake would apply a topic's to
		// events that nobody has read yet (pipeline/broker/DESIGN.md).
		cfg.ReplicationFactor, cfg.Retention, cfg.RetentionBytes = 1, 0, 0
	}
	return cfg
}

// partitionsRemedy ends an error about another number of partitions.
const partitionsRemedy = "DAYBOOK_KAFKA_PARTITIONS says how many are wanted; more partitions are a migration to a new epoch, see daybook migrate --help"

// ensureTopics makes the topics that are missing.
func (a *app) ensureTopics(ctx context.Context, client *source.Client, embedded bool) error {
	if err := client.EnsureTopics(ctx, a.topics(embedded)); err != nil {
		if errors.Is(err, source.ErrPartitionCount) {
			err = fmt.Errorf("%w; %s", err, partitionsRemedy)
		}
		return err
	}
	a.log.LogAttrs(ctx, slog.LevelDebug, "topics are ready")
	return nil
}

// ends gives the end of every partition of the events topic.
func ends(ctx context.Context, client *source.Client) ([]int64, error) {
	n, err := client.Partitions(ctx, client.EventsTopic())
	if err != nil {
		return nil, err
	}
	all := make([]int64, n)
	for p := range n {
		if _, all[p], err = client.ListOffsets(ctx, int32(p)); err != nil {
			return nil, err
		}
	}
	return all, nil
}
