-- Nothing disappears: every offset is accounted for as exactly one of accepted,
-- duplicate, not recorded, rejected, skipped (ledger), a record that could not be
-- taken is kept (rejects), and an offset that a person jumped over is written down
-- (gaps). rejects are not partitioned by time: their timestamps may be absurd.

CREATE TABLE IF NOT EXISTS {{.Database}}.rejects_versions{{.OnCluster}} (
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    `offset` Int64 COMMENT 'Kafka offset of the record.' CODEC(Delta(8), LZ4),
    reason LowCardinality(String) COMMENT 'Why the record can never be taken.',
    field LowCardinality(String) COMMENT 'Field at fault, empty if none.',
    detail String COMMENT 'What is wrong and what would be right.',
    `key` String COMMENT 'Key of the record.',
    raw String COMMENT 'Value of the record, at most 64 KB of it. May be any bytes.' CODEC(ZSTD(3)),
    raw_bytes UInt32 COMMENT 'Length of the value before the cut.',
    recorded_at DateTime64(3, 'UTC') COMMENT 'Timestamp of the record.',
    file String COMMENT 'File that replay read the line from, empty if none.',
    line UInt64 COMMENT 'Line in that file, counted from 1; 0 if none.',
    version UInt64 COMMENT 'Order of the contents of one identity: epoch << 48 | next offset of the flush. The greatest wins.',
    written_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row reached ClickHouse. A clock, so no part of what the log determines.'
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
ORDER BY (topic, epoch, partition, offset)
COMMENT 'Every stored copy of a reject. Use the view rejects.';

CREATE VIEW IF NOT EXISTS {{.Database}}.rejects{{.OnCluster}} (
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    `offset` Int64 COMMENT 'Kafka offset of the record.',
    reason LowCardinality(String) COMMENT 'Why the record can never be taken.',
    field LowCardinality(String) COMMENT 'Field at fault, empty if none.',
    detail String COMMENT 'What is wrong and what would be right.',
    `key` String COMMENT 'Key of the record.',
    raw String COMMENT 'Value of the record, at most 64 KB of it. May be any bytes.',
    raw_bytes UInt32 COMMENT 'Length of the value before the cut.',
    recorded_at DateTime64(3, 'UTC') COMMENT 'Timestamp of the record.',
    file String COMMENT 'File that replay read the line from, empty if none.',
    line UInt64 COMMENT 'Line in that file, counted from 1; 0 if none.'
) AS
SELECT
    topic, epoch, `partition`, `offset`, reason, field, detail, `key`, raw, raw_bytes, recorded_at,
    file, line
FROM {{.Database}}.rejects_versions FINAL
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Records that could not be taken, each once.';

CREATE TABLE IF NOT EXISTS {{.Database}}.ledger_versions{{.OnCluster}} (
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    block Int64 COMMENT 'First offset of the aligned block.',
    size Int32 COMMENT 'Offsets in the block.',
    next_offset Int64 COMMENT 'Read up to here, exclusive; at most block + size.',
    accepted UInt32 COMMENT 'Records that became events.',
    duplicate UInt32 COMMENT 'Records that repeat an accepted event.',
    conflicts UInt32 COMMENT 'Of the duplicates, those with other content.',
    not_recorded Map(String, UInt32) COMMENT 'Records not recorded, by reason.',
    rejected Map(String, UInt32) COMMENT 'Records rejected, by reason.',
    skipped Map(String, UInt32) COMMENT 'Offsets without an event record: control, aborted, compacted.',
    version UInt64 COMMENT 'Order of the contents of one identity: epoch << 48 | next offset of the flush. The greatest wins.',
    written_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row reached ClickHouse. A clock, so no part of what the log determines.'
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
ORDER BY (topic, epoch, partition, block)
COMMENT 'Every stored version of a block''s account. Use the view ledger.';

CREATE VIEW IF NOT EXISTS {{.Database}}.ledger{{.OnCluster}} (
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    block Int64 COMMENT 'First offset of the aligned block.',
    size Int32 COMMENT 'Offsets in the block.',
    next_offset Int64 COMMENT 'Read up to here, exclusive; at most block + size.',
    accepted UInt32 COMMENT 'Records that became events.',
    duplicate UInt32 COMMENT 'Records that repeat an accepted event.',
    conflicts UInt32 COMMENT 'Of the duplicates, those with other content.',
    not_recorded Map(String, UInt32) COMMENT 'Records not recorded, by reason.',
    rejected Map(String, UInt32) COMMENT 'Records rejected, by reason.',
    skipped Map(String, UInt32) COMMENT 'Offsets without an event record: control, aborted, compacted.'
) AS
SELECT
    topic, epoch, `partition`, block, size, next_offset, accepted, duplicate, conflicts, not_recorded,
    rejected, skipped
FROM {{.Database}}.ledger_versions FINAL
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'What became of the offsets, by aligned block.';

CREATE VIEW IF NOT EXISTS {{.Database}}.ledger_reasons{{.OnCluster}} (
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    block Int64 COMMENT 'First offset of the aligned block.',
    class LowCardinality(String) COMMENT 'accepted, duplicate, not_recorded, rejected or skipped.',
    reason LowCardinality(String) COMMENT 'Reason within the class, empty if it has none.',
    records UInt64 COMMENT 'Offsets of the block with this class and reason.'
) AS
SELECT
    topic, epoch, `partition`, block, account.1 AS class, account.2 AS reason, toUInt64(account.3) AS records
FROM {{.Database}}.ledger
ARRAY JOIN arrayFilter(a -> a.3 > 0, arrayConcat(
    [('accepted', '', accepted), ('duplicate', '', duplicate)],
    arrayMap((k, v) -> ('not_recorded', k, v), mapKeys(not_recorded), mapValues(not_recorded)),
    arrayMap((k, v) -> ('rejected', k, v), mapKeys(rejected), mapValues(rejected)),
    arrayMap((k, v) -> ('skipped', k, v), mapKeys(skipped), mapValues(skipped)))) AS account
COMMENT 'The ledger, a row a class and reason; classes sum to the offsets read.';

CREATE TABLE IF NOT EXISTS {{.Database}}.gaps_versions{{.OnCluster}} (
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    from_offset Int64 COMMENT 'First offset that was skipped.',
    to_offset Int64 COMMENT 'End of what was skipped, exclusive.',
    reason String COMMENT 'Why it was skipped, as given by the person who did.',
    actor String COMMENT 'Who skipped it.',
    skipped_at DateTime64(3, 'UTC') COMMENT 'When.',
    version UInt64 COMMENT 'Order of the contents of one identity: epoch << 48 | next offset of the flush. The greatest wins.',
    written_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row reached ClickHouse. A clock, so no part of what the log determines.'
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
ORDER BY (topic, epoch, partition, from_offset)
COMMENT 'Every stored copy of a gap. Use the view gaps.';

CREATE VIEW IF NOT EXISTS {{.Database}}.gaps{{.OnCluster}} (
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    from_offset Int64 COMMENT 'First offset that was skipped.',
    to_offset Int64 COMMENT 'End of what was skipped, exclusive.',
    reason String COMMENT 'Why it was skipped, as given by the person who did.',
    actor String COMMENT 'Who skipped it.',
    skipped_at DateTime64(3, 'UTC') COMMENT 'When.'
) AS
SELECT
    topic, epoch, `partition`, from_offset, to_offset, reason, actor, skipped_at
FROM {{.Database}}.gaps_versions FINAL
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Offsets that a person skipped because the log no longer had them.';
