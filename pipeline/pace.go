package pipeline

import "time"

// pace fits the size of a batch to what a turn takes: behind a history the log
// never ends, and a batch of the greatest size would keep the live records after
// it waiting for as long as its turn takes. Where batches are cut changes no row.
type pace struct {
	limit int // records of the next batch
	most  int // Config.BatchRecords
}

// A turn should take two seconds: that and the one that is waited for are then
// below the 5 s in which an event should show. With one second a history on two
// quiet cores came on at 37,500 events a second (half of the time was the disk's),
// with two at 52,000; live events beside it showed within 1.6 s and 2.4 s. Much of
// a short turn is the disk's (an insert syncs a dozen files), which a smaller batch
// does not shorten: cut below leastBatch, a slow disk made a history four times as
// slow and no turn shorter.
const (
	turnTarget = 2 * time.Second
	leastBatch = 5000
)

func newPace(most int) pace { return pace{limit: most, most: most} }

// after learns from a turn over n records.
func (c *pace) after(n int, took time.Duration) {
	switch {
	case took > turnTarget:
		c.limit = max(min(leastBatch, c.most), int(float64(n)*float64(turnTarget)/float64(took)))
	case took < turnTarget*3/4 && n >= c.limit:
		c.limit = min(c.most, c.limit+c.limit/4+1)
	}
}
