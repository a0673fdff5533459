-- Accepted events, the source of everything else: sessions of a user are a pure
-- function of the set of that user's rows here. The version falls with the
-- position, so the first occurrence stays and the rows below an offset are exactly
-- what was accepted below it, whoever wrote more. The sort key is the identity, in
-- the order in which re-entry and a person's record read it.

CREATE TABLE IF NOT EXISTS {{.Database}}.events_versions{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    user_id String COMMENT 'User within the network, as sent.',
    event_id String COMMENT 'Id that the producer gave; identity together with network, user, source and time.',
    source LowCardinality(String) COMMENT 'Source that the producer named; unknown if absent.',
    time DateTime64(3, 'UTC') COMMENT 'Event time. Clamped to received_at if it was more than 5 min later (time_clamped).' CODEC(Delta(8), LZ4),
    received_at DateTime64(3, 'UTC') COMMENT 'Received time: the event''s own if earlier than the record''s timestamp, else that timestamp.' CODEC(Delta(8), LZ4),
    `type` LowCardinality(String) COMMENT 'Full dotted type name.',
    kind LowCardinality(String) COMMENT 'What the type means to a presence session: signal, logged_out, backgrounded, user_fact or other.',
    category LowCardinality(String) COMMENT 'Category, empty if absent.',
    `action` LowCardinality(String) COMMENT 'Action, empty if absent.',
    label String COMMENT 'Label, empty if absent.',
    device_id String COMMENT 'Device of the session key: the client''s device id, else the class.',
    device_class LowCardinality(String) COMMENT 'mobile or web.',
    content_id String COMMENT 'Content id, empty if absent.',
    content_name String COMMENT 'Content name, empty if absent.',
    content_slug String COMMENT 'Content slug, empty if absent.',
    context_zone LowCardinality(String) COMMENT 'Zone that the device reported: information only.',
    context_ua LowCardinality(String) COMMENT 'User agent, empty if absent.',
    context_url String COMMENT 'Address of the page, empty if absent.' CODEC(ZSTD(1)),
    props String COMMENT 'JSON object: props and unknown fields as sent; empty if there are none.' CODEC(ZSTD(1)),
    zone LowCardinality(String) COMMENT 'Stamp: the user''s zone on record at this offset, else the network''s, else UTC.',
    gap_ms UInt32 COMMENT 'Stamp: largest gap that continues a session, milliseconds.',
    recording_period UInt16 COMMENT 'Stamp: number of the recording period.',
    robot Bool COMMENT 'The user agent names a robot.',
    class_unknown Bool COMMENT 'Neither field nor user agent told the class: web by default.',
    time_clamped Bool COMMENT 'time was later than received_at + 5 min and was set to it.',
    content_hash UInt64 COMMENT 'Hash of what the event says beside identity and times: tells a conflict from a repeat.',
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    `offset` Int64 COMMENT 'Kafka offset of the record.' CODEC(Delta(8), LZ4),
    version UInt64 COMMENT 'Falls with the position of the record, so that the first occurrence of an identity wins: 2^64 - 1 - (epoch << 48 | offset).',
    written_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row reached ClickHouse. A clock, so no part of what the log determines.'
)
ENGINE = {{.Engine "ReplacingMergeTree" "version"}}
PARTITION BY toYYYYMM(time)
ORDER BY (network_id, user_id, time, source, event_id)
COMMENT 'Every stored occurrence of an accepted event. Use the view events.';

CREATE VIEW IF NOT EXISTS {{.Database}}.events{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    user_id String COMMENT 'User within the network, as sent.',
    event_id String COMMENT 'Id that the producer gave; identity together with network, user, source and time.',
    source LowCardinality(String) COMMENT 'Source that the producer named; unknown if absent.',
    time DateTime64(3, 'UTC') COMMENT 'Event time. Clamped to received_at if it was more than 5 min later (time_clamped).',
    received_at DateTime64(3, 'UTC') COMMENT 'Received time: the event''s own if earlier than the record''s timestamp, else that timestamp.',
    `type` LowCardinality(String) COMMENT 'Full dotted type name.',
    kind LowCardinality(String) COMMENT 'What the type means to a presence session: signal, logged_out, backgrounded, user_fact or other.',
    category LowCardinality(String) COMMENT 'Category, empty if absent.',
    `action` LowCardinality(String) COMMENT 'Action, empty if absent.',
    label String COMMENT 'Label, empty if absent.',
    device_id String COMMENT 'Device of the session key: the client''s device id, else the class.',
    device_class LowCardinality(String) COMMENT 'mobile or web.',
    content_id String COMMENT 'Content id, empty if absent.',
    content_name String COMMENT 'Content name, empty if absent.',
    content_slug String COMMENT 'Content slug, empty if absent.',
    context_zone LowCardinality(String) COMMENT 'Zone that the device reported: information only.',
    context_ua LowCardinality(String) COMMENT 'User agent, empty if absent.',
    context_url String COMMENT 'Address of the page, empty if absent.',
    props String COMMENT 'JSON object: props and unknown fields as sent; empty if there are none.',
    zone LowCardinality(String) COMMENT 'Stamp: the user''s zone on record at this offset, else the network''s, else UTC.',
    gap_ms UInt32 COMMENT 'Stamp: largest gap that continues a session, milliseconds.',
    recording_period UInt16 COMMENT 'Stamp: number of the recording period.',
    robot Bool COMMENT 'The user agent names a robot.',
    class_unknown Bool COMMENT 'Neither field nor user agent told the class: web by default.',
    time_clamped Bool COMMENT 'time was later than received_at + 5 min and was set to it.',
    content_hash UInt64 COMMENT 'Hash of what the event says beside identity and times: tells a conflict from a repeat.',
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    `offset` Int64 COMMENT 'Kafka offset of the record.'
) AS
SELECT
    network_id, user_id, event_id, source, time, received_at, `type`, kind, category, `action`, label,
    device_id, device_class, content_id, content_name, content_slug, context_zone, context_ua,
    context_url, props, zone, gap_ms, recording_period, robot, class_unknown, time_clamped,
    content_hash, topic, epoch, `partition`, `offset`
FROM {{.Database}}.events_versions FINAL
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Accepted events, each once.';

CREATE VIEW IF NOT EXISTS {{.Database}}.late_events{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    user_id String COMMENT 'User within the network, as sent.',
    event_id String COMMENT 'Id that the producer gave; identity together with network, user, source and time.',
    source LowCardinality(String) COMMENT 'Source that the producer named; unknown if absent.',
    time DateTime64(3, 'UTC') COMMENT 'Event time. Clamped to received_at if it was more than 5 min later (time_clamped).',
    received_at DateTime64(3, 'UTC') COMMENT 'Received time: the event''s own if earlier than the record''s timestamp, else that timestamp.',
    `type` LowCardinality(String) COMMENT 'Full dotted type name.',
    kind LowCardinality(String) COMMENT 'What the type means to a presence session: signal, logged_out, backgrounded, user_fact or other.',
    category LowCardinality(String) COMMENT 'Category, empty if absent.',
    `action` LowCardinality(String) COMMENT 'Action, empty if absent.',
    label String COMMENT 'Label, empty if absent.',
    device_id String COMMENT 'Device of the session key: the client''s device id, else the class.',
    device_class LowCardinality(String) COMMENT 'mobile or web.',
    content_id String COMMENT 'Content id, empty if absent.',
    content_name String COMMENT 'Content name, empty if absent.',
    content_slug String COMMENT 'Content slug, empty if absent.',
    context_zone LowCardinality(String) COMMENT 'Zone that the device reported: information only.',
    context_ua LowCardinality(String) COMMENT 'User agent, empty if absent.',
    context_url String COMMENT 'Address of the page, empty if absent.',
    props String COMMENT 'JSON object: props and unknown fields as sent; empty if there are none.',
    zone LowCardinality(String) COMMENT 'Stamp: the user''s zone on record at this offset, else the network''s, else UTC.',
    gap_ms UInt32 COMMENT 'Stamp: largest gap that continues a session, milliseconds.',
    recording_period UInt16 COMMENT 'Stamp: number of the recording period.',
    robot Bool COMMENT 'The user agent names a robot.',
    class_unknown Bool COMMENT 'Neither field nor user agent told the class: web by default.',
    time_clamped Bool COMMENT 'time was later than received_at + 5 min and was set to it.',
    content_hash UInt64 COMMENT 'Hash of what the event says beside identity and times: tells a conflict from a repeat.',
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    `offset` Int64 COMMENT 'Kafka offset of the record.',
    delay_s Int64 COMMENT 'Received time less event time, whole seconds.'
) AS
SELECT
    network_id, user_id, event_id, source, time, received_at, `type`, kind, category, `action`, label,
    device_id, device_class, content_id, content_name, content_slug, context_zone, context_ua,
    context_url, props, zone, gap_ms, recording_period, robot, class_unknown, time_clamped,
    content_hash, topic, epoch, `partition`, `offset`,
    dateDiff('second', time, received_at) AS delay_s
FROM {{.Database}}.events_versions FINAL
WHERE received_at > time + INTERVAL 2 HOUR
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Events received later than their own time by more than the lateness (2 h).';
