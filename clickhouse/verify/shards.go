package verify

import (
	"context"

	"daybook/clickhouse/query"
)

// shard is a half-open range of users in the order of the primary key: from one
// (network, user) to another. It reads only its own granules.
type shard struct {
	fromNetwork, fromUser string
	toNetwork, toUser     string
	open                  bool // no upper end
}

// shards cuts the users into ranges of about ShardRows events. Together they
// cover every user there may be, also those of whom there is no event.
func (r *run) shards(ctx context.Context) ([]shard, error) {
	// The order of the sort key: the engine aggregates while it reads.
	st := query.Statement{Text: "SELECT toString(network_id), user_id, count() FROM events_versions GROUP BY network_id, user_id ORDER BY network_id, user_id\n" +
		"SETTINGS optimize_aggregation_in_order = 1"}
	all := []shard{{open: true}}
	events := 0
	err := r.each(ctx, st, func(rows query.Rows) error {
		var network, user string
		var n uint64
		if err := rows.Scan(&network, &user, &n); err != nil {
			return err
		}
		if events > 0 && events+int(n) > r.ShardRows {
			last := &all[len(all)-1]
			last.toNetwork, last.toUser, last.open = network, user, false
			all = append(all, shard{fromNetwork: network, fromUser: user, open: true})
			events = 0
		}
		events += int(n)
		return nil
	})
	return all, err
}

// each runs a statement and gives its rows to scan.
func (r *run) each(ctx context.Context, st query.Statement, scan func(query.Rows) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rows, err := r.db.Query(ctx, st)
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := scan(rows); err != nil {
			cancel() // else Close reads the answer to its end
			_ = rows.Close()
			return err
		}
	}
	if err := rows.Err(); err != nil {
		cancel()
		_ = rows.Close() // says no more
		return err
	}
	return rows.Close()
}
