package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// eventColumns are those that an event of the log has. Both ClickHouse peers
// store all of them; none keeps anything else.
const eventColumns = `id String, source LowCardinality(String), network LowCardinality(String), user String,
	time DateTime64(3, 'UTC'), type LowCardinality(String), device Tuple(id String, class LowCardinality(String)),
	content Tuple(id String, name String), context Tuple(zone String, ua String)`

const eventTable = `CREATE TABLE events (` + eventColumns + `)
	ENGINE = MergeTree PARTITION BY toYYYYMM(time) ORDER BY (network, user, time)`

// decodeEvents takes events out of whole records in one pass over each. As
// JSONEachRow the Kafka engine sets its parser up anew for every record, which
// cost two and a half times the CPU. What has no user is the network's setting,
// which Daybook keeps in the same topic.
const decodeEvents = `SELECT e.id AS id, e.source AS source, e.network AS network, e.user AS user,
		parseDateTime64BestEffort(e.time, 3, 'UTC') AS time, e.type AS type, e.device AS device, e.content AS content, e.context AS context
	FROM (SELECT JSONExtract(record, 'Tuple(id String, source LowCardinality(String), network LowCardinality(String), user String,
		time String, type LowCardinality(String), device Tuple(id String, class LowCardinality(String)),
		content Tuple(id String, name String), context Tuple(zone String, ua String))') AS e FROM queue)
	WHERE user != ''`

// runKafkaEngine is ClickHouse with nothing beside it: its own Kafka consumers
// feed a table through a materialized view, and SQL makes the sessions. Settings
// as its manual advises for throughput: a consumer and a thread for each
// partition, large blocks.
func runKafkaEngine(ctx context.Context, s *site) (m measured, err error) {
	name := s.runName("clickhouse")
	e, err := s.startEngine(ctx, name, engineMemory)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	m.first = time.Now()
	e.begin()
	for _, statement := range []string{
		eventTable,
		`CREATE TABLE queue (record String) ENGINE = Kafka SETTINGS
			kafka_broker_list = '` + s.brokers() + `', kafka_topic_list = '` + s.client.EventsTopic() + `', kafka_group_name = '` + name + `',
			kafka_format = 'RawBLOB', kafka_num_consumers = ` + strconv.Itoa(s.partitions) + `, kafka_thread_per_consumer = 1,
			kafka_max_block_size = 500000, kafka_poll_max_batch_size = 65536, kafka_flush_interval_ms = 1000`,
		`CREATE MATERIALIZED VIEW feed TO events AS ` + decodeEvents,
	} {
		if _, err := e.do(ctx, statement, nil); err != nil {
			return m, e.explain(err)
		}
	}
	if _, err := e.awaitNumber(ctx, "SELECT count() FROM events", s.events); err != nil {
		return m, err
	}
	if _, err := e.do(ctx, `CREATE TABLE made ENGINE = MergeTree ORDER BY (who, started_ms) AS
		SELECT who, part[1] AS started_ms, part[-1] AS ended_ms, length(part) AS events FROM (
			SELECT concat(network, '/', user) AS who, arraySort(groupArray(toUnixTimestamp64Milli(time))) AS times,
				arraySplit((t, step) -> step > `+strconv.Itoa(gapMs)+`, times, arrayDifference(times)) AS parts
			FROM events GROUP BY network, user, device.id)
		ARRAY JOIN parts AS part`, nil); err != nil {
		return m, e.explain(err)
	}
	m.last = time.Now()
	took, err := e.settled(ctx)
	if err != nil {
		return m, err
	}
	m.parts = []usage{took}
	m.got, err = e.sessions(ctx, "made")
	return m, err
}

// jsonRows is how many lines one insert has: small ones cost ClickHouse more.
const jsonRows = 100_000

// runJSONEachRow is the yardstick: ClickHouse takes the same events as lines of
// JSON over HTTP, one insert after the other, and makes nothing of them.
func runJSONEachRow(ctx context.Context, s *site) (m measured, err error) {
	e, err := s.startEngine(ctx, s.runName("json"), 0)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	if _, err := e.do(ctx, eventTable, nil); err != nil {
		return m, err
	}
	log := newActivity(s.events)
	e.begin()
	var lines bytes.Buffer
	for more := true; more; {
		lines.Reset()
		for range jsonRows {
			var r *record
			if r, more = log.next(); !more {
				break
			}
			lines.Write(r.value)
			lines.WriteByte('\n')
		}
		begin := time.Now()
		if m.first.IsZero() {
			m.first = begin
		}
		if _, err := e.do(ctx, "INSERT INTO events SETTINGS async_insert = 0, input_format_skip_unknown_fields = 1, date_time_input_format = 'best_effort' FORMAT JSONEachRow", &lines); err != nil {
			return m, e.explain(err)
		}
		m.busy += time.Since(begin) // the lines are made between two inserts
	}
	took, err := e.settled(ctx)
	if err != nil {
		return m, err
	}
	m.parts = []usage{took}
	text, err := e.do(ctx, "SELECT count() FROM events", nil)
	if err == nil && text != strconv.Itoa(s.events) {
		err = fmt.Errorf("%s rows are stored, want %d", text, s.events)
	}
	return m, err
}
