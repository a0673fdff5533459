package main

import (
	"context"
	"fmt"
	"log/slog"

	"daybook/clickhouse"
	"daybook/clickhouse/ddl"
	"daybook/pipeline/source"
)

type migrateCmd struct {
	NewEpoch bool `help:"The topic was made anew on purpose: register its id as the next epoch."`
}

// Help is shown under the command's usage.
func (*migrateCmd) Help() string {
	return `Applies the migrations that are missing, in order, and makes the topics if Kafka is known. Running it
again changes nothing. It never goes back.

More partitions: a topic that is enlarged puts users elsewhere while their records stay, so the workers
refuse it. The larger topic is a new one, and the tables go on:
  1. stop the producers; daybook status says lag 0; stop the workers
  2. delete the topics daybook.events and daybook.checkpoints with Kafka's own tools
  3. DAYBOOK_KAFKA_PARTITIONS=8 daybook migrate --new-epoch   (embedded ClickHouse: daybook dev --new-epoch)
  4. start the workers and the producers
If it was enlarged before its records were read, save them first, from the committed offsets that
daybook status shows (kcat -C -e -t daybook.events -p N -o OFFSET), and replay them after step 4.

Example:
  DAYBOOK_CLICKHOUSE_DSN=http://u:p@ch:8123/daybook daybook migrate`
}

// Run migrates.
func (c *migrateCmd) Run(ctx context.Context, a *app) error {
	found, err := a.needClickHouse()
	if err != nil {
		return err
	}
	store, err := clickhouse.Open(ctx, clickhouse.Options{DSN: found.ClickHouse.String(), Log: a.log})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // everything is acknowledged
	applied, err := store.Migrate(ctx, func(m ddl.Migration, done bool) {
		if done {
			fmt.Fprintf(a.std.out, "applied %s\n", m.Name)
		}
	})
	if err != nil {
		return err
	}
	if applied == 0 {
		fmt.Fprintln(a.std.out, "tables are up to date")
	}
	if len(found.Kafka) == 0 {
		if c.NewEpoch {
			return a.missing("KAFKA_BROKERS")
		}
		a.log.LogAttrs(ctx, slog.LevelInfo, "topics not looked at: no broker is known")
		return nil
	}
	return c.topics(ctx, a, found, store)
}

// topics makes the topics, and the topic's id known to the tables.
func (c *migrateCmd) topics(ctx context.Context, a *app, found *servers, store *clickhouse.Store) error {
	client, err := a.kafkaClient(found.Kafka)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := a.ensureTopics(ctx, client, found.Dev && len(a.cfg.KafkaBrokers) == 0); err != nil {
		return err
	}
	register := store.TopicEpoch
	if c.NewEpoch {
		register = store.NewEpoch
	}
	epoch, err := registerEpoch(ctx, register, client)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.std.out, "topic %s is epoch %d\n", client.EventsTopic(), epoch)
	return nil
}

// registerEpoch makes the id of the events topic known to the tables.
func registerEpoch(ctx context.Context, register func(ctx context.Context, topic, id string) (uint16, error), client *source.Client) (uint16, error) {
	topic := client.EventsTopic()
	id, err := client.TopicID(ctx, topic)
	if err != nil {
		return 0, err
	}
	return register(ctx, topic, id)
}
