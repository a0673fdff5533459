-- contents.sql for the tables that no user owns, with what a row says of itself:
-- a kept record is as long as it says, and lies at its version's offset.
SELECT
    concat(table, ' ', place, ' ', what, ' version ', toString(version)) AS identity,
    multiIf(contents > 1, concat('one version has ', toString(contents), ' contents'), wrong_row, 'the row contradicts itself: version or length', '') AS wrong,
    false AS flying
FROM (
    SELECT 'ledger' AS table, concat('epoch ', toString(epoch), ' partition ', toString(partition)) AS place, toString(block) AS what, version,
        uniqExact(cityHash64(size, next_offset, accepted, duplicate, conflicts, mapSort(not_recorded), mapSort(rejected), mapSort(skipped))) AS contents, false AS wrong_row
    FROM ledger_versions GROUP BY topic, epoch, partition, block, version
    UNION ALL
    SELECT 'progress' AS table, concat('epoch ', toString(epoch), ' partition ', toString(partition)) AS place, network_id AS what, version,
        uniqExact(cityHash64(watermark, next_offset)) AS contents, max(version != bitShiftLeft(toUInt64(epoch), 48) + toUInt64(next_offset)) AS wrong_row
    FROM progress_versions GROUP BY network_id, topic, epoch, partition, version
    UNION ALL
    SELECT 'rejects' AS table, concat('epoch ', toString(epoch), ' partition ', toString(partition)) AS place, toString(offset) AS what, version,
        uniqExact(cityHash64(reason, field, detail, key, raw, raw_bytes, recorded_at, file, line)) AS contents,
        max(length(raw) != least(raw_bytes, 65536) OR version != bitShiftLeft(toUInt64(epoch), 48) + toUInt64(offset)) AS wrong_row
    FROM rejects_versions GROUP BY topic, epoch, partition, offset, version
    UNION ALL
    SELECT 'settings_history' AS table, concat('epoch ', toString(epoch), ' partition ', toString(partition)) AS place, concat(network_id, ' ', toString(offset)) AS what, version,
        uniqExact(cityHash64(position, title, zone, gap_ms, retention_days, dark)) AS contents, max(version != bitShiftLeft(toUInt64(epoch), 48) + toUInt64(offset)) AS wrong_row
    FROM settings_history_versions GROUP BY network_id, topic, epoch, partition, offset, version
    UNION ALL
    SELECT 'user_facts' AS table, concat('epoch ', toString(epoch), ' partition ', toString(partition)) AS place, concat(network_id, '/', user_id, ' ', toString(offset)) AS what, version,
        uniqExact(cityHash64(zone, name)) AS contents, max(version != bitShiftLeft(toUInt64(epoch), 48) + toUInt64(offset)) AS wrong_row
    FROM user_facts_versions GROUP BY network_id, user_id, topic, epoch, partition, offset, version
)
