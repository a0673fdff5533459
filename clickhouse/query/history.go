package query

import (
	"context"
	"errors"
	"time"
)

// History asks how the late events of a network are worked off: those that lay
// before its horizon, so that stored events had to be read back.
type History struct {
	Network string // required
}

// HistoryRow is the answer. It is about the present, as of the workers' last
// reports; what is counted begins where the worker took the partition over.
type HistoryRow struct {
	Late       int64      `json:"late_events"`      // accepted
	LateRate   float64    `json:"late_per_second"`  // lately
	Reentries  int64      `json:"reentries"`        // users whose stored events were read back
	ReadBack   int64      `json:"events_read_back"` // stored events read back
	WorkingOn  *time.Time `json:"working_on"`       // oldest event time that a partition is working on; nil if none came lately
	Waiting    int64      `json:"records_waiting"`  // of any network, in the partitions that are working on its history
	ThroughInS *int64     `json:"through_in_s"`     // at the partitions' present rate; nil while it cannot be told
}

// Ask gives the one answer.
func (q History) Ask(ctx context.Context, db Querier) (HistoryRow, error) {
	var h HistoryRow
	var seconds float64
	rows, err := db.Query(ctx, Statement{
		Text: `SELECT sum(late), sum(late_per_second), sum(reentries), sum(read_back), min(working_on), sumIf(waiting, working_on IS NOT NULL),
    toFloat64(maxIf(if(waiting = 0, 0, if(records_per_second > 0, waiting / records_per_second, -1)), working_on IS NOT NULL))
FROM history
WHERE network_id = {network:String} AND (topic, epoch) IN (SELECT topic, max(epoch) FROM topic_epochs GROUP BY topic)`,
		Args: []Arg{{Name: "network", Value: q.Network}},
	})
	if err != nil {
		return h, err
	}
	for rows.Next() {
		if err := rows.Scan(&h.Late, &h.LateRate, &h.Reentries, &h.ReadBack, &h.WorkingOn, &h.Waiting, &seconds); err != nil {
			return h, errors.Join(err, rows.Close())
		}
	}
	if h.WorkingOn != nil && seconds >= 0 {
		whole := int64(seconds + 0.5)
		h.ThroughInS = &whole
	}
	return h, errors.Join(rows.Err(), rows.Close())
}
