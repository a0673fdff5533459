-- Which networks send events more than two hours late, and how late?
-- Answer: network_id, events, median_h, greatest_h (hours between event and receipt).

SELECT network_id, count() AS events, round(quantileExact(0.5)(delay_s) / 3600, 1) AS median_h, round(max(delay_s) / 3600, 1) AS greatest_h
FROM late_events
-- Without the users the answer is the same, and every event of the days is merged for it.
WHERE time BETWEEN {from:Date} AND {to:Date} + 1
    AND (network_id, user_id) IN (SELECT network_id, user_id FROM late_occurrences WHERE time BETWEEN {from:Date} AND {to:Date} + 1)
GROUP BY network_id
ORDER BY events DESC, network_id
