-- Whom late events are about, found without merging anything. late_events merges
-- every event of the time that it is asked about (FINAL), also those of users who
-- are never late; with the few who are named first it merges theirs only.

CREATE VIEW IF NOT EXISTS {{.Database}}.late_occurrences{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    user_id String COMMENT 'User within the network, as sent.',
    time DateTime64(3, 'UTC') COMMENT 'Event time.',
    received_at DateTime64(3, 'UTC') COMMENT 'Received time.'
) AS
SELECT network_id, user_id, time, received_at
FROM {{.Database}}.events_versions
WHERE received_at > time + INTERVAL 2 HOUR
COMMENT 'Every stored occurrence of an event received more than 2 h late, repeats too. No answer, but a cheap way to name the users that late_events is then asked about.';
