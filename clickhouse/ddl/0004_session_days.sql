-- Sessions by local date, and the rollups. Local dates are computed once, in Go. The
-- rollups are views over the FINAL slices and so follow merges, history and
-- repeats exactly; nothing here adds up increments.

CREATE TABLE IF NOT EXISTS {{.Database}}.session_days_versions{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    user_id String COMMENT 'User within the network, as sent.',
    `date` Date COMMENT 'Local date in zone.',
    session_id UUID COMMENT 'Session that the slice is of.',
    device_id String COMMENT 'Device of the session key.',
    device_class LowCardinality(String) COMMENT 'mobile or web.',
    started_at DateTime('UTC') COMMENT 'First instant of the session on this date.',
    ended_at DateTime('UTC') COMMENT 'Last instant of the session on this date.',
    duration_s UInt32 COMMENT 'Seconds of the session that show this date: total of runs.',
    runs Array(Tuple(DateTime('UTC'), DateTime('UTC'))) COMMENT 'Runs of time that show this date, half-open: more than one where a date is not one interval.',
    zone LowCardinality(String) COMMENT 'IANA zone of the subject when the session was first seen.',
    session_started_ms Int64 COMMENT 'First event of the session, exact: milliseconds since 1970.',
    continues_from Bool COMMENT 'The session began on an earlier date: do not count it again.',
    continues_to Bool COMMENT 'The session goes on on a later date.',
    robot Bool COMMENT 'The user agent of the session''s earliest event names a robot.',
    class_unknown Bool COMMENT 'The class of the session''s earliest event is a default.',
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.',
    version UInt64 COMMENT 'Order of the contents of one identity: epoch << 48 | next offset of the flush. The greatest wins.',
    is_deleted UInt8 COMMENT '1: the identity ceased to exist (tombstone).',
    written_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the row reached ClickHouse. A clock, so no part of what the log determines.'
)
ENGINE = {{.Engine "ReplacingMergeTree" "version, is_deleted"}}
PARTITION BY toYYYYMM(date)
ORDER BY (network_id, user_id, date, session_id)
COMMENT 'Every stored version of a slice, tombstones too. Use the view session_days.';

CREATE VIEW IF NOT EXISTS {{.Database}}.session_days{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    user_id String COMMENT 'User within the network, as sent.',
    `date` Date COMMENT 'Local date in zone.',
    session_id UUID COMMENT 'Session that the slice is of.',
    device_id String COMMENT 'Device of the session key.',
    device_class LowCardinality(String) COMMENT 'mobile or web.',
    started_at DateTime('UTC') COMMENT 'First instant of the session on this date.',
    ended_at DateTime('UTC') COMMENT 'Last instant of the session on this date.',
    duration_s UInt32 COMMENT 'Seconds of the session that show this date: total of runs.',
    runs Array(Tuple(DateTime('UTC'), DateTime('UTC'))) COMMENT 'Runs of time that show this date, half-open: more than one where a date is not one interval.',
    zone LowCardinality(String) COMMENT 'IANA zone of the subject when the session was first seen.',
    session_started_ms Int64 COMMENT 'First event of the session, exact: milliseconds since 1970.',
    continues_from Bool COMMENT 'The session began on an earlier date: do not count it again.',
    continues_to Bool COMMENT 'The session goes on on a later date.',
    robot Bool COMMENT 'The user agent of the session''s earliest event names a robot.',
    class_unknown Bool COMMENT 'The class of the session''s earliest event is a default.',
    topic LowCardinality(String) COMMENT 'Kafka topic of the record.',
    epoch UInt16 COMMENT 'Epoch of the topic: counts the topic ids that these tables have been fed from.',
    `partition` Int32 COMMENT 'Kafka partition.'
) AS
SELECT
    network_id, user_id, `date`, session_id, device_id, device_class, started_at, ended_at, duration_s,
    runs, zone, session_started_ms, continues_from, continues_to, robot, class_unknown, topic, epoch,
    `partition`
FROM {{.Database}}.session_days_versions FINAL
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Slices: the part of each session that shows one local date.';

CREATE VIEW IF NOT EXISTS {{.Database}}.daily_users{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    user_id String COMMENT 'User within the network, as sent.',
    `date` Date COMMENT 'Local date of the user.',
    sessions UInt64 COMMENT 'Sessions that began on the date.',
    duration_s UInt64 COMMENT 'Sum of the slices, seconds.',
    active_s UInt64 COMMENT 'Union of the slices: seconds with at least one session.',
    overlap_s UInt64 COMMENT 'duration_s - active_s.',
    mobile_s UInt64 COMMENT 'Sum of the slices of class mobile, seconds.',
    web_s UInt64 COMMENT 'Sum of the slices of class web, seconds.'
) AS
SELECT
    network_id, user_id, `date`,
    countIf(NOT continues_from) AS sessions,
    sum(s.duration_s) AS duration_s,
    toUInt64(intervalLengthSumArray(s.runs.1, s.runs.2)) AS active_s,
    duration_s - active_s AS overlap_s,
    sumIf(s.duration_s, s.device_class = 'mobile') AS mobile_s,
    sumIf(s.duration_s, s.device_class = 'web') AS web_s
FROM {{.Database}}.session_days_versions AS s FINAL
GROUP BY network_id, user_id, `date`
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Local days of users with any session.';

CREATE VIEW IF NOT EXISTS {{.Database}}.daily_networks{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    `date` Date COMMENT 'Local date, each user''s own.',
    users UInt64 COMMENT 'Users with any session time or session on the date.',
    sessions UInt64 COMMENT 'Sessions that began on the date.',
    duration_s UInt64 COMMENT 'Sum of the slices, seconds.',
    active_s UInt64 COMMENT 'Sum over users of the union of their slices, seconds.',
    overlap_s UInt64 COMMENT 'duration_s - active_s.',
    mobile_s UInt64 COMMENT 'Sum of the slices of class mobile, seconds.',
    web_s UInt64 COMMENT 'Sum of the slices of class web, seconds.'
) AS
SELECT
    network_id, `date`, count() AS users, sum(d.sessions) AS sessions, sum(d.duration_s) AS duration_s,
    sum(d.active_s) AS active_s, sum(d.overlap_s) AS overlap_s, sum(d.mobile_s) AS mobile_s, sum(d.web_s) AS web_s
FROM {{.Database}}.daily_users AS d
GROUP BY network_id, `date`
COMMENT 'Days of networks: sums over daily_users.';
