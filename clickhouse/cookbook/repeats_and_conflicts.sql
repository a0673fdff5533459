-- How many records repeat an event, and how many of these say something else under the same id?
-- Answer: topic, epoch, partition, records, accepted, repeats, conflicts, share (of repeats).

SELECT topic, epoch, partition, sum(next_offset - block) AS records, sum(l.accepted) AS accepted, sum(duplicate) AS repeats, sum(l.conflicts) AS conflicts, round(repeats / records, 4) AS share
FROM ledger AS l
GROUP BY topic, epoch, partition
ORDER BY topic, epoch, partition
