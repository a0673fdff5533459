-- Presence sessions. A start that a late event moves retires the old identity by a
-- tombstone, which travels in one block with what replaces it. status is no column:
-- it is told at read from progress and partitions (view session_marks).

CREATE TABLE IF NOT EXISTS {{.Database}}.sessions_versions{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    user_id String COMMENT 'User within the network, as sent.',
    started_at DateTime('UTC') COMMENT 'First event, truncated to the second.',
    session_id UUID COMMENT 'Hash of network, user, device and start in milliseconds.',
    device_id String COMMENT 'Device of the session key: the client''s device id, else the class.',
    device_class LowCardinality(String) COMMENT 'mobile or web: that of the earliest event.',
    `date` Date COMMENT 'Local date of the start in zone.',
    ended_at DateTime('UTC') COMMENT 'Last event so far, truncated to the second.',
    duration_s UInt32 COMMENT 'ended_at - started_at, seconds.',
    started_ms Int64 COMMENT 'First event, exact: milliseconds since 1970.',
    ended_ms Int64 COMMENT 'Last event, exact: milliseconds since 1970.',
    end_reason LowCardinality(String) COMMENT 'inactivity (also while open), logged_out, backgrounded, recording_disabled or cap.',
    events UInt32 COMMENT 'Events in the session.',
    zone LowCardinality(String) COMMENT 'IANA zone of the subject when the session was first seen.',
    gap_ms UInt32 COMMENT 'Gap that the last event was stamped with, milliseconds.',
    robot Bool COMMENT 'The user agent of the earliest event names a robot.',
    class_unknown Bool COMMENT 'The class of the earliest event is a default.',
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    version UInt64 COMMENT 'Order of the contents of one identity: epoch << 48 | next offset of the flush. The greatest wins.',
    is_deleted UInt8 COMMENT '1: the identity ceased to exist (tombstone).',
    written_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row reached ClickHouse. A clock, so no part of what the log determines.'
)
ENGINE = {{.Engine "ReplacingMergeTree" "version, is_deleted"}}
PARTITION BY toYYYYMM(started_at)
ORDER BY (network_id, user_id, started_at, session_id)
COMMENT 'Every stored version of a session, tombstones too. Use the view sessions.';

CREATE VIEW IF NOT EXISTS {{.Database}}.sessions{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    user_id String COMMENT 'User within the network, as sent.',
    started_at DateTime('UTC') COMMENT 'First event, truncated to the second.',
    session_id UUID COMMENT 'Hash of network, user, device and start in milliseconds.',
    device_id String COMMENT 'Device of the session key: the client''s device id, else the class.',
    device_class LowCardinality(String) COMMENT 'mobile or web: that of the earliest event.',
    `date` Date COMMENT 'Local date of the start in zone.',
    ended_at DateTime('UTC') COMMENT 'Last event so far, truncated to the second.',
    duration_s UInt32 COMMENT 'ended_at - started_at, seconds.',
    started_ms Int64 COMMENT 'First event, exact: milliseconds since 1970.',
    ended_ms Int64 COMMENT 'Last event, exact: milliseconds since 1970.',
    end_reason LowCardinality(String) COMMENT 'inactivity (also while open), logged_out, backgrounded, recording_disabled or cap.',
    events UInt32 COMMENT 'Events in the session.',
    zone LowCardinality(String) COMMENT 'IANA zone of the subject when the session was first seen.',
    gap_ms UInt32 COMMENT 'Gap that the last event was stamped with, milliseconds.',
    robot Bool COMMENT 'The user agent of the earliest event names a robot.',
    class_unknown Bool COMMENT 'The class of the earliest event is a default.',
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    status LowCardinality(String) COMMENT 'open, closed (watermark or wall clock has passed the end plus gap) or final (the horizon has): told at read.'
) AS
SELECT
    s.network_id, s.user_id, s.started_at, s.session_id, s.device_id, s.device_class, s.`date`, s.ended_at, s.duration_s,
    s.started_ms, s.ended_ms, s.end_reason, s.events, s.zone, s.gap_ms, s.robot, s.class_unknown,
    s.topic, s.epoch, s.`partition`,
    multiIf(m.final_below_ms > s.ended_ms + s.gap_ms, 'final', m.closed_below_ms > s.ended_ms + s.gap_ms, 'closed', 'open') AS status
FROM {{.Database}}.sessions_versions AS s FINAL
LEFT JOIN {{.Database}}.session_marks AS m
    ON m.network_id = s.network_id AND m.topic = s.topic AND m.epoch = s.epoch AND m.`partition` = s.`partition`
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Presence sessions, each once, with their status now.';
