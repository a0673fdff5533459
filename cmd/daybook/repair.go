package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"daybook/clickhouse/query"
	"daybook/pipeline/source"
	"daybook/schemas"
)

type repairCmd struct {
	Network string        `help:"Network to repair." required:"" placeholder:"N"`
	User    string        `help:"Only this user (default: everybody with an event or a row in the span)." placeholder:"U"`
	From    time.Time     `help:"First day, UTC." required:"" format:"2006-01-02" placeholder:"DATE"`
	To      time.Time     `help:"Last day, UTC, inclusive." required:"" format:"2006-01-02" placeholder:"DATE"`
	Behind  time.Duration `help:"Most that the workers may fall behind, so that live records stay fresh; 0: do not wait for them." default:"4s"`
	Timeout time.Duration `help:"Longest time to wait without any progress." default:"5m"`
}

// Help is shown under the command's usage.
func (*repairCmd) Help() string {
	return `Computes sessions and slices again from the stored events, for rows that somebody damaged by hand:
writes every session that touches the span, and withdraws rows that no event supports. It goes through
the log, as late events do, so that a row has one version wherever it comes from. Again, it changes
nothing. Rows whose version is above the log's end are not replaced: daybook verify names them. Days
that the network's retention does not hold any more stay as they are: no event could tell what is true.

Examples:
  daybook repair --network acme --user ann --from 2026-05-01 --to 2026-05-31
  daybook repair --network acme --from 2026-05-01 --to 2026-05-02`
}

// Run appends the repairs and waits until their rows are visible.
func (c *repairCmd) Run(ctx context.Context, a *app) error {
	fromMs, toMs := c.From.UnixMilli(), c.To.AddDate(0, 0, 1).UnixMilli()-1
	if !schemas.ValidNetwork(c.Network) || toMs < fromMs {
		return &exitError{exitUsage, fmt.Errorf("repair network %q from %s to %s: a network is [a-z0-9][a-z0-9._-]{0,63}, and --to is not before --from",
			c.Network, c.From.Format(time.DateOnly), c.To.Format(time.DateOnly))}
	}
	found, err := a.needBoth()
	if err != nil {
		return err
	}
	key, err := a.installationKey(false)
	if err != nil {
		return err
	}
	store, client, closeBoth, err := a.openToRead(ctx, found)
	if err != nil {
		return err
	}
	defer closeBoth()
	users := []string{c.User}
	if c.User == "" {
		if users, err = usersBetween(ctx, store, c.Network, fromMs, toMs); err != nil {
			return err
		}
	}
	count, err := client.Partitions(ctx, client.EventsTopic())
	if err != nil {
		return err
	}
	repairs := planRepairs(c.Network, users, fromMs, toMs, count)
	pace, done := a.pace(ctx, client, c.Behind)
	defer done()
	if err := appendRepairs(ctx, client, key, repairs, pace); err != nil {
		return err
	}
	after, err := ends(ctx, client)
	if err != nil {
		return err
	}
	w := &watch{app: a, client: client, store: store, found: found}
	if err := w.await(ctx, after, c.Timeout); err != nil {
		return fmt.Errorf("repair: %w\nthe log holds all of it; a worker will take it", err)
	}
	a.log.LogAttrs(ctx, slog.LevelInfo, "repaired", slog.Int("users", len(users)), slog.Int("records", len(repairs)))
	fmt.Fprintf(a.std.out, "repaired %d users of %s from %s to %s\n", len(users), c.Network, c.From.Format(time.DateOnly), c.To.Format(time.DateOnly))
	return nil
}

// usersBetween names everybody with an event, a session or a slice in the span.
func usersBetween(ctx context.Context, store query.Querier, network string, fromMs, toMs int64) ([]string, error) {
	rows, err := store.Query(ctx, query.Statement{
		Text: `WITH fromUnixTimestamp64Milli({from:Int64}, 'UTC') AS a, fromUnixTimestamp64Milli({to:Int64}, 'UTC') AS b
SELECT DISTINCT user_id FROM (
    SELECT user_id FROM events WHERE network_id = {network:String} AND time BETWEEN a AND b
    UNION ALL SELECT user_id FROM sessions_versions WHERE network_id = {network:String} AND started_at <= b AND ended_at >= a - INTERVAL 1 SECOND
    UNION ALL SELECT user_id FROM session_days_versions WHERE network_id = {network:String} AND started_at <= b AND ended_at >= a - INTERVAL 1 SECOND
) ORDER BY user_id LIMIT 100000000`,
		Args: []query.Arg{{Name: "network", Value: network}, {Name: "from", Value: fromMs}, {Name: "to", Value: toMs}},
	})
	if err != nil {
		return nil, err
	}
	var users []string
	for rows.Next() {
		var u string
		if err := rows.Scan(&u); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		users = append(users, u)
	}
	return users, errors.Join(rows.Err(), rows.Close())
}

// plannedRepair is a repair with the partition that its users belong on.
type plannedRepair struct {
	partition int32
	repair    schemas.Repair
}

// planRepairs cuts users and span into repairs of bounded size.
func planRepairs(network string, users []string, fromMs, toMs int64, partitions int) []plannedRepair {
	byPartition := make([][]string, partitions)
	var key []byte
	for _, u := range users {
		key = schemas.AppendKey(key[:0], []byte(network), []byte(u))
		p := schemas.Partition(key, partitions)
		byPartition[p] = append(byPartition[p], u)
	}
	var all []plannedRepair
	for at := fromMs; at <= toMs; at += schemas.MaxRepairMs + 1 {
		for p, some := range byPartition {
			for part := range slices.Chunk(some, schemas.MaxRepairUsers) {
				all = append(all, plannedRepair{int32(p), schemas.Repair{
					Network: network, Users: part, FromMs: at, ToMs: min(toMs, at+schemas.MaxRepairMs),
				}})
			}
		}
	}
	return all
}

// repairWeight is how many records a user of a repair counts for where workers
// are waited for: his events of two days to either side are read back.
const repairWeight = 20

func appendRepairs(ctx context.Context, client *source.Client, key []byte, repairs []plannedRepair, pace *pacer) error {
	for i := range repairs {
		value, err := schemas.EncodeRepair(repairs[i].repair)
		if err != nil {
			return err
		}
		pace.wait(repairWeight * len(repairs[i].repair.Users))
		if _, err := client.AppendControl(ctx, repairs[i].partition, value, schemas.SignControl(key, value)); err != nil {
			return fmt.Errorf("append repair %d of %d: %w; start it again, a repair may be repeated", i+1, len(repairs), err)
		}
	}
	return nil
}
