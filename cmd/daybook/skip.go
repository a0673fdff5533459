package main

import (
	"context"
	"fmt"
	"os/user"

	"daybook/clickhouse"
	"daybook/pipeline/source"
)

type skipCmd struct {
	Partition int32  `required:"" help:"Partition of daybook.events that is halted."`
	To        int64  `help:"First offset to go on with (default: where the log begins now)." default:"-1"`
	Reason    string `required:"" help:"Why the records are given up; kept in the table gaps."`
}

// Help is shown under the command's usage.
func (*skipCmd) Help() string {
	return `A partition halts when retention took records that no worker had read. This records their offsets in
the table gaps, with the reason; the worker then passes over them within seconds, and the ledger
counts them as skipped. It refuses if the log still holds what is to be read next.

Example:
  daybook skip --partition 3 --reason "retention was a day, the worker was off for two"`
}

// Run records a gap.
func (c *skipCmd) Run(ctx context.Context, a *app) error {
	found, err := a.needClickHouse()
	if err != nil {
		return err
	}
	if len(found.Kafka) == 0 {
		return a.missing("KAFKA_BROKERS")
	}
	client, err := a.kafkaClient(found.Kafka)
	if err != nil {
		return err
	}
	defer client.Close()
	store, err := clickhouse.Open(ctx, clickhouse.Options{DSN: found.ClickHouse.String(), Log: a.log})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // everything is acknowledged
	gap, err := c.gap(ctx, client)
	if err != nil {
		return err
	}
	id, err := client.TopicID(ctx, gap.Topic)
	if err != nil {
		return err
	}
	if gap.Epoch, err = store.TopicEpoch(ctx, gap.Topic, id); err != nil {
		return err
	}
	if err := store.WriteGap(ctx, gap); err != nil {
		return err
	}
	fmt.Fprintf(a.std.out, "partition %d: %d offsets from %d on are given up; the worker goes on at %d\n", gap.Partition, gap.To-gap.From, gap.From, gap.To)
	return nil
}

// gapLog is what telling a gap needs of Kafka; *source.Client has it.
type gapLog interface {
	EventsTopic() string
	ListOffsets(ctx context.Context, partition int32) (start, end int64, err error)
	Committed(ctx context.Context, partitions []int32) (map[int32]source.Committed, error)
}

// gap tells which offsets are lost: from where the partition resumes to where
// the log begins, or further if asked to.
func (c *skipCmd) gap(ctx context.Context, log gapLog) (clickhouse.Gap, error) {
	committed, err := log.Committed(ctx, []int32{c.Partition})
	if err != nil {
		return clickhouse.Gap{}, err
	}
	from := max(0, committed[c.Partition].Offset) // nothing committed: nothing was read
	start, end, err := log.ListOffsets(ctx, c.Partition)
	if err != nil {
		return clickhouse.Gap{}, err
	}
	to := c.To
	if to < 0 {
		to = start
	}
	switch {
	case from >= start:
		return clickhouse.Gap{}, fmt.Errorf("skip partition %d: nothing is lost: the log begins at %d, the next record to read is %d", c.Partition, start, from)
	case to < start || to > end:
		return clickhouse.Gap{}, fmt.Errorf("skip partition %d: --to %d is not in the log, which holds [%d, %d)", c.Partition, to, start, end)
	}
	gap := clickhouse.Gap{Topic: log.EventsTopic(), Partition: c.Partition, From: from, To: to, Reason: c.Reason}
	if who, err := user.Current(); err == nil {
		gap.Actor = who.Username
	}
	return gap, nil
}
