package clickhouse

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// TopicEpoch gives the epoch of a Kafka topic id: the upper part of every
// version (ARCHITECTURE.md section 4.2). The first id over empty tables becomes
// epoch 1. Another id over tables with rows is refused with ErrUnknownTopic:
// its offsets begin anew, so its rows would lose to older ones. Two workers that
// ask at once get the same answer.
func (s *Store) TopicEpoch(ctx context.Context, topic, topicID string) (uint16, error) {
	known, newest, err := s.epochs(ctx, topic, topicID)
	if err != nil || known != 0 {
		return known, err
	}
	has, err := s.hasRows(ctx)
	if err != nil {
		return 0, err
	}
	if has {
		return 0, fmt.Errorf("find epoch of topic %s id %s: %w: the tables of %s hold rows of another id; "+
			"if the topic was made anew on purpose run daybook migrate --new-epoch (on the embedded engine daybook dev --new-epoch), else point the worker at the right Kafka or database",
			topic, topicID, ErrUnknownTopic, s.database)
	}
	return newest + 1, s.registerEpoch(ctx, topic, topicID, newest+1)
}

// NewEpoch registers a topic id that the tables do not know as the next epoch:
// what daybook migrate --new-epoch does. A known id keeps its epoch.
func (s *Store) NewEpoch(ctx context.Context, topic, topicID string) (uint16, error) {
	known, newest, err := s.epochs(ctx, topic, topicID)
	if err != nil || known != 0 {
		return known, err
	}
	return newest + 1, s.registerEpoch(ctx, topic, topicID, newest+1)
}

// epochs gives the id's epoch, 0 if it has none, and the newest epoch of all.
func (s *Store) epochs(ctx context.Context, topic, topicID string) (known, newest uint16, err error) {
	err = s.each(ctx, "read topic epochs",
		"SELECT maxIf(epoch, topic = {topic:String} AND topic_id = {id:String}), max(epoch) FROM topic_epochs_versions",
		[]any{named("topic", topic), named("id", topicID)},
		func(rows driver.Rows) error { return rows.Scan(&known, &newest) })
	return known, newest, err
}

func (s *Store) registerEpoch(ctx context.Context, topic, topicID string, epoch uint16) error {
	err := s.conn.Exec(ctx, "INSERT INTO topic_epochs_versions (topic, topic_id, epoch, registered_at, version)\n"+
		"SELECT {topic:String}, {id:String}, {epoch:UInt16}, fromUnixTimestamp64Milli({at:Int64}, 'UTC'), 1",
		named("topic", topic), named("id", topicID), named("epoch", epoch), named("at", time.Now().UnixMilli()))
	return wrap(ctx, "register epoch of topic "+topic, err)
}

// hasRows says whether any table has rows that a log produced.
func (s *Store) hasRows(ctx context.Context) (bool, error) {
	has := false
	err := s.each(ctx, "look for rows", "SELECT (SELECT count() FROM events_versions) + (SELECT count() FROM sessions_versions)"+
		" + (SELECT count() FROM rejects_versions) + (SELECT count() FROM ledger_versions) + (SELECT count() FROM settings_history_versions) > 0",
		nil, func(rows driver.Rows) error { return rows.Scan(&has) })
	return has, err
}
