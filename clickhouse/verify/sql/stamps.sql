-- An accepted event is stamped with what the log knew at its offset: the setting
-- of its network and the facts about its user below it. The history of settings
-- and facts says what that was (P4, by position). In a later epoch a setting may
-- come from the one before: there only what the epoch itself says is judged.
WITH e AS (
    SELECT network_id, user_id, event_id, topic, epoch, partition, offset, toUnixTimestamp64Milli(time) AS t, toUnixTimestamp64Milli(received_at) AS r,
        bitShiftLeft(toUInt64(epoch), 48) + toUInt64(offset) AS pos, toString(zone) AS zone, gap_ms, recording_period
    FROM events WHERE {{.Users}}
),
settings AS (
    SELECT network_id, topic, epoch, partition, offset, true AS known, toString(zone) AS zone, gap_ms, dark FROM settings_history
    WHERE network_id IN (SELECT DISTINCT network_id FROM e)
),
facts AS (
    SELECT network_id, user_id, bitShiftLeft(toUInt64(epoch), 48) + toUInt64(offset) AS pos, toString(zone) AS zone FROM user_facts WHERE {{.Users}}
),
judged AS (
    SELECT e.*, f.zone AS fact_zone FROM e ASOF LEFT JOIN facts AS f ON e.network_id = f.network_id AND e.user_id = f.user_id AND e.pos > f.pos
)
SELECT
    concat(e.network_id, '/', e.user_id, ' id ', e.event_id, ' at offset ', toString(e.offset), ' of partition ', toString(e.partition), ' epoch ', toString(e.epoch)) AS identity,
    multiIf(
        NOT s.known AND e.epoch = {first_epoch:UInt16}, 'no setting of its network precedes it',
        NOT s.known, if(e.fact_zone != '' AND e.zone != e.fact_zone, concat('zone ', e.zone, ', on record ', e.fact_zone), ''),
        arrayStringConcat(arrayFilter(w -> w != '', [
            if(e.gap_ms != s.gap_ms, concat('gap ', toString(e.gap_ms), ' ms, in force ', toString(s.gap_ms)), ''),
            if(e.zone != multiIf(e.fact_zone != '', e.fact_zone, s.zone != '', s.zone, 'UTC'),
                concat('zone ', e.zone, ', on record ', multiIf(e.fact_zone != '', e.fact_zone, s.zone != '', s.zone, 'UTC')), ''),
            if(e.recording_period != arrayCount(d -> d.1 <= e.t, s.dark),
                concat('recording period ', toString(e.recording_period), ', by the setting ', toString(arrayCount(d -> d.1 <= e.t, s.dark))), ''),
            if(arrayExists(d -> (d.1 <= e.t AND e.t < d.2) OR (d.1 <= e.r AND e.r < d.2), s.dark), 'accepted though nothing was recorded then', '')
        ]), '; ')) AS wrong,
    e.offset >= {{.StoredOf "e"}} AS flying
FROM judged AS e ASOF LEFT JOIN settings AS s
    ON e.network_id = s.network_id AND e.topic = s.topic AND e.epoch = s.epoch AND e.partition = s.partition AND e.offset > s.offset
