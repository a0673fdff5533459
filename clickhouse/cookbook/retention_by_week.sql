-- Of the users who first came in a week, how many came again in the weeks after?
-- Answer: cohort (Monday of the first week), weeks_later, users, share (of the cohort).

SELECT cohort, weeks_later, users, round(users / first_value(users) OVER (PARTITION BY cohort ORDER BY weeks_later), 3) AS share
FROM (
    SELECT cohort, intDiv(toMonday(date) - cohort, 7) AS weeks_later, uniqExact(user_id) AS users
    FROM (SELECT user_id, date, toMonday(min(date) OVER (PARTITION BY user_id)) AS cohort FROM session_days WHERE network_id = {network:String})
    WHERE date BETWEEN {from:Date} AND {to:Date} AND cohort >= {from:Date}
    GROUP BY cohort, weeks_later
)
ORDER BY cohort, weeks_later
