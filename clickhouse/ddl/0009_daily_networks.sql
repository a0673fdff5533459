-- Days of networks, stored: a network's 90 days are 90 rows, not all its slices.
--
-- What is stored is never trusted by age. Each part of session_days_versions holds,
-- as a projection, the fingerprint of its rows by network and date: the sum of a hash
-- over identity, version and tombstone, which say all of a row. It becomes visible
-- with the rows, because it is a part of their part, and it goes with them: inserts
-- of any writer, merges, mutations and erasure. So equal fingerprints mean the same
-- rows, and a stored day whose fingerprint is that of now is what the view
-- daily_networks would give now. Every other day is computed at read.
--
-- The refresh reads fingerprints before it computes. Rows that land between the two
-- leave a stored day with the fingerprint of before, which nobody takes; two
-- refreshes at once disturb each other no more than that. Days that are being written
-- wait a minute: they would be stored in vain.

ALTER TABLE {{.Database}}.session_days_versions{{.OnCluster}}
    MODIFY SETTING deduplicate_merge_projection_mode = 'rebuild', lightweight_mutation_projection_mode = 'rebuild';

ALTER TABLE {{.Database}}.session_days_versions{{.OnCluster}}
    ADD PROJECTION IF NOT EXISTS days (
        SELECT network_id, `date`, sum(cityHash64(user_id, session_id, version, is_deleted)), count(), max(written_at)
        GROUP BY network_id, `date`
    );

ALTER TABLE {{.Database}}.session_days_versions{{.OnCluster}}
    MATERIALIZE PROJECTION IF EXISTS days;

CREATE VIEW IF NOT EXISTS {{.Database}}.session_day_fingerprints{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    `date` Date COMMENT 'Local date, each user''s own.',
    fingerprint UInt64 COMMENT 'Stands for all stored versions of the slices of the date: equal fingerprints, the same rows.',
    versions UInt64 COMMENT 'Stored versions of slices, tombstones and repeats too.',
    changed_at DateTime64(3, 'UTC') COMMENT 'When the newest of them reached ClickHouse. A clock: it decides when a day is worth storing, nothing else.'
) AS
SELECT
    network_id, `date`, sum(cityHash64(user_id, session_id, version, is_deleted)) AS fingerprint, count() AS versions, max(written_at) AS changed_at
FROM {{.Database}}.session_days_versions
GROUP BY network_id, `date`
COMMENT 'Fingerprints of the slices by network and date, from the projection days.';

CREATE TABLE IF NOT EXISTS {{.Database}}.daily_networks_stored{{.OnCluster}} (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    `date` Date COMMENT 'Local date, each user''s own.',
    users UInt64 COMMENT 'Users with any session time or session on the date. 0: there was none.',
    sessions UInt64 COMMENT 'Sessions that began on the date.',
    duration_s UInt64 COMMENT 'Sum of the slices, seconds.',
    active_s UInt64 COMMENT 'Sum over users of the union of their slices, seconds.',
    overlap_s UInt64 COMMENT 'duration_s - active_s.',
    mobile_s UInt64 COMMENT 'Sum of the slices of class mobile, seconds.',
    web_s UInt64 COMMENT 'Sum of the slices of class web, seconds.',
    fingerprint UInt64 COMMENT 'Fingerprint of the date when the values were computed: they hold while session_day_fingerprints shows the same.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When they were computed.'
)
ENGINE = {{.Engine "ReplacingMergeTree" "computed_at"}}
ORDER BY (network_id, `date`)
COMMENT 'Days of networks as last computed, for the API, which checks each by its fingerprint. Use the view daily_networks.';

CREATE MATERIALIZED VIEW IF NOT EXISTS {{.Database}}.daily_networks_refresh{{.OnCluster}}
REFRESH EVERY 10 SECOND APPEND TO {{.Database}}.daily_networks_stored (
    network_id LowCardinality(String) COMMENT 'Network (tenant).',
    `date` Date COMMENT 'Local date, each user''s own.',
    users UInt64 COMMENT 'Users with any session time or session on the date. 0: there was none.',
    sessions UInt64 COMMENT 'Sessions that began on the date.',
    duration_s UInt64 COMMENT 'Sum of the slices, seconds.',
    active_s UInt64 COMMENT 'Sum over users of the union of their slices, seconds.',
    overlap_s UInt64 COMMENT 'duration_s - active_s.',
    mobile_s UInt64 COMMENT 'Sum of the slices of class mobile, seconds.',
    web_s UInt64 COMMENT 'Sum of the slices of class web, seconds.',
    fingerprint UInt64 COMMENT 'Fingerprint of the date when the values were computed: they hold while session_day_fingerprints shows the same.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When they were computed.'
) AS
WITH (
    SELECT groupArray((network_id, `date`, fingerprint))
    FROM (
        SELECT network_id, `date`, fingerprint, sum(versions) OVER (ORDER BY changed_at, network_id, `date`) - versions AS before
        FROM (
            SELECT
                if(f.versions > 0, f.network_id, s.network_id) AS network_id, if(f.versions > 0, f.`date`, s.`date`) AS `date`,
                f.fingerprint AS fingerprint, f.versions AS versions, f.changed_at AS changed_at
            FROM {{.Database}}.session_day_fingerprints AS f
            FULL OUTER JOIN (SELECT network_id, `date`, fingerprint, users FROM {{.Database}}.daily_networks_stored FINAL) AS s
                ON s.network_id = f.network_id AND s.`date` = f.`date`
            WHERE f.fingerprint != s.fingerprint AND f.changed_at < now64(3, 'UTC') - INTERVAL 60 SECOND
        )
    )
    WHERE before < 1000000
) AS changed
SELECT
    c.1 AS network_id, c.2 AS `date`, v.users AS users, v.sessions AS sessions, v.duration_s AS duration_s, v.active_s AS active_s,
    v.overlap_s AS overlap_s, v.mobile_s AS mobile_s, v.web_s AS web_s, c.3 AS fingerprint, now64(3, 'UTC') AS computed_at
FROM (SELECT arrayJoin(changed) AS c) AS days
LEFT JOIN (
    SELECT * FROM {{.Database}}.daily_networks WHERE (network_id, `date`) IN (SELECT d.1, d.2 FROM (SELECT arrayJoin(changed) AS d))
) AS v ON v.network_id = c.1 AND v.`date` = c.2
SETTINGS optimize_move_to_prewhere_if_final = 1, max_bytes_before_external_group_by = 200000000
COMMENT 'Stores days that have changed and rest since a minute, at most a million versions of slices at a time.';
