-- Which records could not be taken, and what would be right?
-- Answer: reason, field, records, example (the sentence for a person).

SELECT reason, field, count() AS records, argMin(detail, (partition, offset)) AS example
FROM rejects
GROUP BY reason, field
ORDER BY records DESC, reason, field
