-- What became of every record of the log?
-- Answer: class (accepted, duplicate, not_recorded, rejected, skipped), reason, records; the records add up to the offsets read.

SELECT class, reason, sum(l.records) AS records
FROM ledger_reasons AS l
GROUP BY class, reason
ORDER BY class, reason
