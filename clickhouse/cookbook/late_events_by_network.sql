-- Which networks send events more than two hours late, and how late?
-- Answer: network_id, events, median_h, greatest_h (hours between event and receipt).

SELECT network_id, count() AS events, round(quantileExact(0.5)(delay_s) / 3600, 1) AS median_h, round(max(delay_s) / 3600, 1) AS greatest_h
FROM late_events
WHERE time BETWEEN {from:Date} AND {to:Date} + 1
GROUP BY network_id
ORDER BY events DESC, network_id
