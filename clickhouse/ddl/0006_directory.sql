-- Users and networks, and the history of what was said of them by position in the
-- log: a cold start needs the newest below an offset, not the newest of all.

CREATE TABLE IF NOT EXISTS {{.Database}}.users_versions{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    user_id String COMMENT 'User within the network, as sent.',
    name String COMMENT 'Name on record, empty if none.',
    zone LowCardinality(String) COMMENT 'IANA zone on record, empty if none.',
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    version UInt64 COMMENT 'Order of the contents of one identity: epoch << 48 | next offset of the flush. The greatest wins.',
    written_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row reached ClickHouse. A clock, so no part of what the log determines.'
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
ORDER BY (network_id, user_id)
COMMENT 'Every stored version of a user. Use the view users.';

CREATE VIEW IF NOT EXISTS {{.Database}}.users{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    user_id String COMMENT 'User within the network, as sent.',
    name String COMMENT 'Name on record, empty if none.',
    zone LowCardinality(String) COMMENT 'IANA zone on record, empty if none.',
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.'
) AS
SELECT
    network_id, user_id, name, zone, topic, epoch, `partition`
FROM {{.Database}}.users_versions FINAL
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Users that the log has shown, with the facts on record.';

CREATE TABLE IF NOT EXISTS {{.Database}}.settings_history_versions{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    `offset` Int64 COMMENT 'Kafka offset of the record.' CODEC(Delta(8), LZ4),
    position Int64 COMMENT 'Offset of the setting in the catalogue daybook.settings; the newer one is in force.',
    title String COMMENT 'Title of the network, empty if none.',
    zone LowCardinality(String) COMMENT 'IANA zone of the network, empty means UTC.',
    gap_ms UInt32 COMMENT 'Largest gap that continues a session, milliseconds.',
    dark Array(Tuple(Int64, Int64)) COMMENT 'Half-open spans in which nothing is recorded, milliseconds since 1970, ascending.',
    version UInt64 COMMENT 'Order of the contents of one identity: epoch << 48 | next offset of the flush. The greatest wins.',
    written_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row reached ClickHouse. A clock, so no part of what the log determines.'
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
ORDER BY (network_id, topic, epoch, partition, offset)
COMMENT 'Every stored copy of an applied setting. Use the view settings_history.';

CREATE VIEW IF NOT EXISTS {{.Database}}.settings_history{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    `offset` Int64 COMMENT 'Kafka offset of the record.',
    position Int64 COMMENT 'Offset of the setting in the catalogue daybook.settings; the newer one is in force.',
    title String COMMENT 'Title of the network, empty if none.',
    zone LowCardinality(String) COMMENT 'IANA zone of the network, empty means UTC.',
    gap_ms UInt32 COMMENT 'Largest gap that continues a session, milliseconds.',
    dark Array(Tuple(Int64, Int64)) COMMENT 'Half-open spans in which nothing is recorded, milliseconds since 1970, ascending.'
) AS
SELECT
    network_id, topic, epoch, `partition`, `offset`, position, title, zone, gap_ms, dark
FROM {{.Database}}.settings_history_versions FINAL
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Settings of networks, as each partition applied them.';

CREATE TABLE IF NOT EXISTS {{.Database}}.user_facts_versions{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    user_id String COMMENT 'User within the network, as sent.',
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    `offset` Int64 COMMENT 'Kafka offset of the record.' CODEC(Delta(8), LZ4),
    zone LowCardinality(String) COMMENT 'IANA zone that came on record, empty if none.',
    name String COMMENT 'Name that came on record, empty if none.',
    version UInt64 COMMENT 'Order of the contents of one identity: epoch << 48 | next offset of the flush. The greatest wins.',
    written_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row reached ClickHouse. A clock, so no part of what the log determines.'
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
ORDER BY (network_id, user_id, topic, epoch, partition, offset)
COMMENT 'Every stored copy of an applied fact about a user. Use the view user_facts.';

CREATE VIEW IF NOT EXISTS {{.Database}}.user_facts{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    user_id String COMMENT 'User within the network, as sent.',
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    `offset` Int64 COMMENT 'Kafka offset of the record.',
    zone LowCardinality(String) COMMENT 'IANA zone that came on record, empty if none.',
    name String COMMENT 'Name that came on record, empty if none.'
) AS
SELECT
    network_id, user_id, topic, epoch, `partition`, `offset`, zone, name
FROM {{.Database}}.user_facts_versions FINAL
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Facts about users, as they were applied.';

CREATE VIEW IF NOT EXISTS {{.Database}}.networks{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    title String COMMENT 'Title, empty if none.',
    zone LowCardinality(String) COMMENT 'IANA zone, UTC by default.',
    gap_ms UInt32 COMMENT 'Largest gap that continues a session, milliseconds.',
    recording Bool COMMENT 'Activity of now is recorded.',
    dark Array(Tuple(Int64, Int64)) COMMENT 'Half-open spans in which nothing is recorded, milliseconds since 1970, ascending.',
    position Int64 COMMENT 'Offset of the newest applied setting in the catalogue daybook.settings.',
    changed_at DateTime64(3, 'UTC') COMMENT 'When the newest setting was first applied.'
) AS
SELECT
    network_id,
    newest.1 AS title, if(newest.2 = '', 'UTC', newest.2) AS zone, newest.3 AS gap_ms,
    NOT arrayExists(d -> d.1 <= toUnixTimestamp64Milli(now64(3)) AND toUnixTimestamp64Milli(now64(3)) < d.2, dark) AS recording,
    newest.4 AS dark, newest.5 AS position, newest.6 AS changed_at
FROM (
    SELECT network_id, argMax((title, toString(zone), gap_ms, dark, position, applied), position) AS newest
    FROM (
        SELECT network_id, position, any(h.title) AS title, any(h.zone) AS zone, any(h.gap_ms) AS gap_ms, any(h.dark) AS dark, min(h.written_at) AS applied
        FROM {{.Database}}.settings_history_versions AS h GROUP BY network_id, position
    )
    GROUP BY network_id
)
COMMENT 'Networks with the newest setting that a partition has applied.';
