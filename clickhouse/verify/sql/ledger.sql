-- Every offset is in exactly one block and one class (P1). One read of one
-- table, and a flush's rows of it are one insert: nothing here is in flight.
SELECT
    concat(topic, ' epoch ', toString(epoch), ' partition ', toString(partition), ' block ', toString(block)) AS identity,
    arrayStringConcat(arrayFilter(w -> w != '', [
        if(size <= 0 OR block % size != 0, 'the block is not aligned', ''),
        if(block > ended, concat('hole: offsets ', toString(ended), ' to ', toString(block - 1), ' are in no block'), ''),
        if(block < ended, concat('overlap: offsets from ', toString(block), ' on are in the block before, too'), ''),
        if(next_offset <= block OR next_offset > block + size, concat('it is read up to ', toString(next_offset), ', outside of the block'), ''),
        if(next_offset < block + size AND NOT last, concat('hole: it is read up to ', toString(next_offset), ', though a later block is there'), ''),
        if(classes != next_offset - block, concat('classes add up to ', toString(classes), ', offsets to ', toString(next_offset - block)), ''),
        if(conflicts > duplicate, concat(toString(conflicts), ' conflicts among ', toString(duplicate), ' duplicates'), '')
    ]), '; ') AS wrong,
    false AS flying
FROM (
    SELECT
        *,
        toInt64(accepted) + toInt64(duplicate) + toInt64(arraySum(mapValues(not_recorded))) + toInt64(arraySum(mapValues(rejected)))
            + toInt64(arraySum(mapValues(skipped))) AS classes,
        lagInFrame(block + size, 1, toInt64(0)) OVER w AS ended,
        leadInFrame(block, 1, toInt64(-1)) OVER w = -1 AS last
    FROM ledger
    WINDOW w AS (PARTITION BY topic, epoch, partition ORDER BY block ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
)
