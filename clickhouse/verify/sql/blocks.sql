-- The classes of a block are the rows of it (P1): as many events as accepted
-- records, as many rejects by reason, no offset in two of them, no more applied
-- settings than control records. A block that was read further since the check
-- began is in flight. Offsets that a person gave up (gaps) may have rows of a
-- worker that read them and was killed before it committed.
WITH rows AS (
    SELECT topic, epoch, partition, {{.Block}} AS block, offset, 'accepted' AS class, '' AS reason FROM events WHERE offset < {{.Stored}}
    UNION ALL
    SELECT topic, epoch, partition, {{.Block}} AS block, offset, 'rejected' AS class, toString(reason) FROM rejects WHERE offset < {{.Stored}}
    UNION ALL
    SELECT topic, epoch, partition, {{.Block}} AS block, offset, 'setting' AS class, '' AS reason FROM settings_history WHERE offset < {{.Stored}}
),
found AS (
    SELECT
        topic, epoch, partition, block, true AS known,
        countIf(class = 'accepted') AS accepted, countIf(class = 'setting') AS settings,
        mapFilter((k, v) -> v > 0, sumMap(map(reason, toUInt64(class = 'rejected')))) AS rejected,
        groupBitmap(toUInt32(offset - block)) AS offsets, count() AS n
    FROM rows
    {{if .Gaps}}WHERE NOT {{.InGap}}{{end}}
    GROUP BY topic, epoch, partition, block
),
accounts AS (
    SELECT
        topic, epoch, partition, block, true AS known, accepted, skipped, next_offset,
        mapFilter((k, v) -> v > 0, mapApply((k, v) -> (k, toUInt64(v)), rejected)) AS rejected,
        next_offset > {{.Stored}} AS moved
    FROM ledger
)
SELECT
    concat(if(a.known, a.topic, f.topic), ' epoch ', toString(if(a.known, a.epoch, f.epoch)), ' partition ', toString(if(a.known, a.partition, f.partition)),
        ' block ', toString(if(a.known, a.block, f.block))) AS identity,
    if(NOT a.known, concat(toString(f.n), ' rows lie in offsets that no block accounts for'), arrayStringConcat(arrayFilter(w -> w != '', [
        if(f.accepted != a.accepted, concat('accepted ', toString(a.accepted), ', events ', toString(f.accepted)), ''),
        if(mapSort(f.rejected) != mapSort(a.rejected), concat('rejected ', toString(a.rejected), ', rejects ', toString(f.rejected)), ''),
        if(f.offsets != f.n, concat(toString(f.n), ' rows share ', toString(f.offsets), ' offsets'), ''),
        if(f.settings > a.skipped['control'], concat('control records ', toString(a.skipped['control']), ', settings ', toString(f.settings)), '')
    ]), '; ')) AS wrong,
    a.moved AS flying
FROM accounts AS a FULL OUTER JOIN found AS f ON a.topic = f.topic AND a.epoch = f.epoch AND a.partition = f.partition AND a.block = f.block
