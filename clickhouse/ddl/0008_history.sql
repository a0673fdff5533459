-- History at any time: how long the stored events of a network reach back is a
-- setting that acts by its place in the log, and how far each network's history has
-- come is told by the workers, because no fact shows it: late is how an event was
-- decided, not what became of it.

ALTER TABLE {{.Database}}.settings_history_versions{{.OnCluster}}
    ADD COLUMN IF NOT EXISTS retention_days UInt32 COMMENT 'Days that stored events are kept; 0 means for ever. An older record is rejected as too_old.' AFTER gap_ms;

CREATE TABLE IF NOT EXISTS {{.Database}}.history_versions{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    late Int64 COMMENT 'Late events accepted since the worker took the partition over: they lay before the horizon.',
    late_per_second Float64 COMMENT 'Late events accepted a second, over about the last ten seconds.',
    records_per_second Float64 COMMENT 'Records of any network taken a second, over about the last ten seconds.',
    reentries Int64 COMMENT 'How often the stored events of a user were read back since then.',
    read_back Int64 COMMENT 'Stored events read back since then.',
    working_on Nullable(DateTime64(3, 'UTC')) COMMENT 'Event time of the last late event; NULL if none came for ten seconds.',
    updated_at DateTime64(3, 'UTC') COMMENT 'Wall clock of the report; the newest wins.',
    version UInt64 COMMENT 'Order of the contents of one identity: here the wall clock of the report. The greatest wins.',
    written_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row reached ClickHouse. A clock, so no part of what the log determines.'
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
ORDER BY (network_id, topic, epoch, partition)
COMMENT 'Every stored report on the history of a network. Use the view history.';

CREATE VIEW IF NOT EXISTS {{.Database}}.history{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    late Int64 COMMENT 'Late events accepted since the worker took the partition over: they lay before the horizon.',
    late_per_second Float64 COMMENT 'Late events accepted a second, over about the last ten seconds; 0 if the report is older than 15 s.',
    records_per_second Float64 COMMENT 'Records of any network taken a second, over about the last ten seconds; 0 if the report is older than 15 s.',
    reentries Int64 COMMENT 'How often the stored events of a user were read back since then.',
    read_back Int64 COMMENT 'Stored events read back since then.',
    working_on Nullable(DateTime64(3, 'UTC')) COMMENT 'Event time of the last late event; NULL if none came for ten seconds.',
    waiting Int64 COMMENT 'Records of any network that wait in the partition, as of the worker''s last report.',
    updated_at DateTime64(3, 'UTC') COMMENT 'Wall clock of the report; the newest wins.'
) AS
SELECT
    h.network_id AS network_id, h.topic AS topic, h.epoch AS epoch, h.`partition` AS `partition`, late,
    if(h.updated_at > now64(3, 'UTC') - INTERVAL 15 SECOND, late_per_second, 0) AS late_per_second,
    if(h.updated_at > now64(3, 'UTC') - INTERVAL 15 SECOND, records_per_second, 0) AS records_per_second, reentries, read_back,
    if(h.updated_at > now64(3, 'UTC') - INTERVAL 15 SECOND, working_on, NULL) AS working_on,
    greatest(0, p.log_end - p.next_offset) AS waiting, h.updated_at AS updated_at
FROM (SELECT * FROM {{.Database}}.history_versions FINAL) AS h
LEFT JOIN {{.Database}}.partitions AS p ON p.topic = h.topic AND p.epoch = h.epoch AND p.`partition` = h.`partition`
COMMENT 'How the history of each network comes on, by partition.';
