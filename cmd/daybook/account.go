package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"daybook/clickhouse"
	"daybook/clickhouse/query"
	"daybook/pipeline/source"
)

// account says what became of the records of a range of the log. The classes
// add up to the records (ARCHITECTURE.md I7).
type account struct {
	Accepted    int64
	Duplicate   int64
	NotRecorded map[string]int64 // by reason
	Rejected    map[string]int64 // by reason
}

func total(byReason map[string]int64) (n int64) {
	for _, count := range byReason {
		n += count
	}
	return n
}

func (c *account) records() int64 {
	return c.Accepted + c.Duplicate + total(c.NotRecorded) + total(c.Rejected)
}

// add counts another account, times is 1 or -1.
func (c *account) add(o *account, times int64) {
	c.Accepted += times * o.Accepted
	c.Duplicate += times * o.Duplicate
	for reason, n := range o.NotRecorded {
		c.NotRecorded[reason] += times * n
	}
	for reason, n := range o.Rejected {
		c.Rejected[reason] += times * n
	}
}

func newAccount() *account {
	return &account{NotRecorded: map[string]int64{}, Rejected: map[string]int64{}}
}

// newestEpoch restricts a question to the topic's newest id.
const newestEpoch = `epoch = (SELECT max(epoch) FROM topic_epochs WHERE topic = {topic:String})`

// ledgerTotal adds up the ledger of all partitions of an epoch.
func ledgerTotal(ctx context.Context, store *clickhouse.Store, topic string, epoch uint16) (*account, error) {
	byPartition, err := store.Accounts(ctx, topic, epoch)
	if err != nil {
		return nil, err
	}
	sum := newAccount()
	for _, one := range byPartition {
		sum.Accepted += int64(one.Accepted)
		sum.Duplicate += int64(one.Duplicate)
		for reason, n := range one.NotRecorded {
			sum.NotRecorded[reason] += int64(n)
		}
		for reason, n := range one.Rejected {
			sum.Rejected[reason] += int64(n)
		}
	}
	return sum, nil
}

// published gives, by partition, up to where every changed session is visible.
func published(ctx context.Context, store query.Querier, topic string) (map[int32]int64, error) {
	rows, err := store.Query(ctx, query.Statement{
		Text: `SELECT partition, max(published_offset) FROM partitions WHERE topic = {topic:String} AND ` + newestEpoch + `
GROUP BY partition ORDER BY partition LIMIT 100000`,
		Args: []query.Arg{{Name: "topic", Value: topic}},
	})
	if err != nil {
		return nil, err
	}
	all := make(map[int32]int64)
	for rows.Next() {
		var partition int32
		var offset int64
		if err := rows.Scan(&partition, &offset); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		all[partition] = offset
	}
	return all, errors.Join(rows.Err(), rows.Close())
}

// watch is the log before and after a command wrote to it.
type watch struct {
	app    *app
	client *source.Client
	store  *clickhouse.Store
	found  *servers
	epoch  uint16
	base   *account // of everything before
	late   int64    // of the worker's counter before; -1 unknown
}

// accounted runs do, waits until everything that it wrote is accounted for and
// visible, and prints the account of it: what the ledger holds now less what it
// held before. So what the log holds already is waited for first: afterwards
// nobody could tell it apart.
func (a *app) accounted(ctx context.Context, found *servers, client *source.Client, patience time.Duration, do func() (int64, error)) error {
	store, err := clickhouse.Open(ctx, clickhouse.Options{DSN: found.ClickHouse.String(), Log: a.log})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // only read from
	w := &watch{app: a, client: client, store: store, found: found}
	if err := w.begin(ctx, patience); err != nil {
		return err
	}
	read, err := do()
	if err != nil {
		return err
	}
	after, err := ends(ctx, client)
	if err != nil {
		return err
	}
	if err := w.await(ctx, after, patience); err != nil {
		return fmt.Errorf("wait: %w\nall %d records are acknowledged by Kafka; a worker will take them", err, read)
	}
	sum, err := ledgerTotal(ctx, store, client.EventsTopic(), w.epoch)
	if err != nil {
		return fmt.Errorf("read ledger: %w", err)
	}
	sum.add(w.base, -1)
	writeAccount(a.std.out, read, sum, a.lateSince(ctx, found, w.late))
	return w.verdict(ctx, read, sum)
}

func (w *watch) begin(ctx context.Context, patience time.Duration) error {
	topic := w.client.EventsTopic()
	id, err := w.client.TopicID(ctx, topic)
	if err != nil {
		return err
	}
	if w.epoch, err = w.store.TopicEpoch(ctx, topic, id); err != nil {
		return err
	}
	before, err := ends(ctx, w.client)
	if err != nil {
		return err
	}
	if err := w.await(ctx, before, patience); err != nil {
		return fmt.Errorf("wait for what the log holds already: %w", err)
	}
	if w.base, err = ledgerTotal(ctx, w.store, topic, w.epoch); err != nil {
		return fmt.Errorf("read ledger: %w", err)
	}
	w.late = w.app.lateTotal(ctx, w.found)
	return nil
}

// awaitEvery is how often the partitions are asked; a flush takes at most a
// second.
const awaitEvery = 150 * time.Millisecond

// await returns when every partition is published up to the ends. It gives up
// when nothing has moved for as long as patience.
func (w *watch) await(ctx context.Context, upTo []int64, patience time.Duration) error {
	var m *meter // none for a wait that is over at once
	defer func() { m.finish() }()
	var last, start int64 = -1, 0
	moved := time.Now()
	ticker := time.NewTicker(awaitEvery)
	defer ticker.Stop()
	for {
		done, err := published(ctx, w.store, w.client.EventsTopic())
		if err != nil {
			return err
		}
		missing, at := int64(0), int64(0)
		for p, end := range upTo {
			at += min(done[int32(p)], end)
			missing += max(0, end-done[int32(p)])
		}
		if missing == 0 {
			return nil
		}
		if m == nil {
			start, m = at, w.app.newMeter("waiting for the worker", "records", missing)
		}
		m.n.Store(at - start)
		if at != last {
			last, moved = at, time.Now()
		}
		if time.Since(moved) > patience {
			return fmt.Errorf("%d records are not visible and nothing has moved for %s; is a worker running? daybook status tells", missing, patience)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d records are not visible yet: %w", missing, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// writeAccount prints the contract's five numbers, a line each.
func writeAccount(out io.Writer, read int64, sum *account, late int64) {
	lateText := "unknown"
	if late >= 0 {
		lateText = strconv.FormatInt(late, 10)
	}
	fmt.Fprintf(out, "read %d\naccepted %d (of these late %s)\nduplicate %d\nnot recorded %d%s\nrejected %d%s\n",
		read, sum.Accepted, lateText, sum.Duplicate,
		total(sum.NotRecorded), reasons(sum.NotRecorded), total(sum.Rejected), reasons(sum.Rejected))
}

func reasons(byReason map[string]int64) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(byReason)) {
		if n := byReason[reason]; n != 0 {
			parts = append(parts, fmt.Sprintf("%s %d", reason, n))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// verdict is the exit status: 3 if anything was rejected or not recorded.
func (w *watch) verdict(ctx context.Context, read int64, sum *account) error {
	if others := sum.records() - read; others != 0 {
		w.app.log.LogAttrs(ctx, slog.LevelWarn, "records of other producers, or of retries, are in these numbers", slog.Int64("records", others))
	}
	bad := total(sum.Rejected) + total(sum.NotRecorded)
	if bad == 0 {
		return nil
	}
	if sum.Accepted+sum.Duplicate == 0 {
		return &exitError{exitRejected, fmt.Errorf("0 OF %d RECORDED: %s", read, remedy(sum))}
	}
	return &exitError{exitRejected, fmt.Errorf("%d of %d were rejected or not recorded; see: daybook sql \"SELECT reason, detail, file, line FROM rejects ORDER BY recorded_at DESC LIMIT 20\"", bad, read)}
}

// remedy says what to do when nothing was recorded.
func remedy(sum *account) string {
	switch {
	case sum.NotRecorded["recording_disabled"] > 0:
		return "recording is off for the network at these times; daybook network set NETWORK --recording on records what happens from now on, never what was before"
	case sum.Rejected["unknown_network"] > 0:
		return "the network does not exist; make it with daybook network set NETWORK, or replay with --network NETWORK"
	case sum.Rejected["unmappable"] > 0:
		return "no line could be mapped; check --format and --map, the table rejects holds each line's reason"
	}
	return "the table rejects holds each record's reason" + reasons(sum.Rejected)
}
