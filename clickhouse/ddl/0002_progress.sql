-- How far the log is reflected: the watermark by partition and network (a function
-- of the log), and what the workers last said of the partitions that they own (about
-- the present). Together they say how complete an answer is, and whether a session
-- is open, closed or final.

CREATE TABLE IF NOT EXISTS {{.Database}}.progress_versions{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    watermark DateTime64(3, 'UTC') COMMENT 'Greatest accepted event time less out_of_orderness.',
    next_offset Int64 COMMENT 'The log below this offset is reflected.',
    version UInt64 COMMENT 'Order of the contents of one identity: epoch << 48 | next offset of the flush. The greatest wins.',
    written_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row reached ClickHouse. A clock, so no part of what the log determines.'
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
ORDER BY (network_id, topic, epoch, partition)
COMMENT 'Every stored watermark. Use the view progress.';

CREATE VIEW IF NOT EXISTS {{.Database}}.progress{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    watermark DateTime64(3, 'UTC') COMMENT 'Greatest accepted event time less out_of_orderness.',
    next_offset Int64 COMMENT 'The log below this offset is reflected.'
) AS
SELECT
    network_id, topic, epoch, `partition`, watermark, next_offset
FROM {{.Database}}.progress_versions FINAL
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Watermark by partition and network.';

CREATE TABLE IF NOT EXISTS {{.Database}}.partitions_versions{{.OnCluster}} (
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    worker String COMMENT 'Worker that reported.',
    next_offset Int64 COMMENT 'Flushed up to here.',
    published_offset Int64 COMMENT 'Every session that changed below this offset is written.',
    committed_offset Int64 COMMENT 'A checkpoint is committed up to here.',
    log_end Int64 COMMENT 'Last stable offset at the last fetch.',
    caught_up_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Wall clock up to which everything that was received is visible; NULL while behind.',
    checkpoint_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Wall clock of the last checkpoint; NULL if there was none.',
    open_sessions Int64 COMMENT 'Open sessions in the state.',
    horizon_ms Map(String, Int64) COMMENT 'By network: every session that an event at or after this instant could touch is in the state. Milliseconds since 1970.',
    updated_at DateTime64(3, 'UTC') COMMENT 'Wall clock of the report; the newest wins.',
    out_of_orderness_ms Int64 COMMENT 'out_of_orderness in force, milliseconds.',
    released Bool COMMENT 'The worker let the partition go.',
    version UInt64 COMMENT 'Order of the contents of one identity: epoch << 48 | next offset of the flush. The greatest wins.',
    written_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row reached ClickHouse. A clock, so no part of what the log determines.'
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
ORDER BY (topic, epoch, partition)
COMMENT 'Every stored report of a worker on a partition. Use the view partitions.';

CREATE VIEW IF NOT EXISTS {{.Database}}.partitions{{.OnCluster}} (
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    worker String COMMENT 'Worker that reported.',
    next_offset Int64 COMMENT 'Flushed up to here.',
    published_offset Int64 COMMENT 'Every session that changed below this offset is written.',
    committed_offset Int64 COMMENT 'A checkpoint is committed up to here.',
    log_end Int64 COMMENT 'Last stable offset at the last fetch.',
    caught_up_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Wall clock up to which everything that was received is visible; NULL while behind.',
    checkpoint_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Wall clock of the last checkpoint; NULL if there was none.',
    open_sessions Int64 COMMENT 'Open sessions in the state.',
    horizon_ms Map(String, Int64) COMMENT 'By network: every session that an event at or after this instant could touch is in the state. Milliseconds since 1970.',
    updated_at DateTime64(3, 'UTC') COMMENT 'Wall clock of the report; the newest wins.',
    out_of_orderness_ms Int64 COMMENT 'out_of_orderness in force, milliseconds.',
    released Bool COMMENT 'The worker let the partition go.',
    owned Bool COMMENT 'Reported within the last 15 s and not released.'
) AS
SELECT
    topic, epoch, `partition`, worker, next_offset, published_offset, committed_offset, log_end,
    caught_up_at, checkpoint_at, open_sessions, horizon_ms, updated_at, out_of_orderness_ms, released,
    NOT released AND updated_at > now64(3, 'UTC') - INTERVAL 15 SECOND AS owned
FROM {{.Database}}.partitions_versions FINAL
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Newest report on each partition.';

CREATE VIEW IF NOT EXISTS {{.Database}}.session_marks{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    closed_below_ms Int64 COMMENT 'A session whose last event + gap lies before this instant is closed: the watermark, or the last time that the partition was read to its end. Milliseconds since 1970.',
    final_below_ms Int64 COMMENT 'A session whose last event + gap lies before this instant is final: the horizon. Milliseconds since 1970.'
) AS
SELECT
    network_id, topic, epoch, `partition`,
    max(greatest(watermark_ms, caught_up_ms)) AS closed_below_ms, max(horizon) AS final_below_ms
FROM (
    SELECT p.network_id AS network_id, p.topic AS topic, p.epoch AS epoch, p.`partition` AS `partition`,
        toUnixTimestamp64Milli(p.watermark) AS watermark_ms,
        ifNull(toUnixTimestamp64Milli(w.caught_up_at), 0) AS caught_up_ms, w.horizon_ms[toString(p.network_id)] AS horizon
    FROM {{.Database}}.progress AS p
    LEFT JOIN {{.Database}}.partitions AS w ON w.topic = p.topic AND w.epoch = p.epoch AND w.`partition` = p.`partition`
)
GROUP BY network_id, topic, epoch, `partition`
COMMENT 'Per partition and network: the instants from which status is told.';
