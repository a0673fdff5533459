package pipeline

import (
	"math"
	"time"

	"daybook/schemas"
)

// lateCounts count how the late events of a network are worked off, since the
// worker took the partition over.
type lateCounts struct {
	late, reentries, readBack int64
	last                      int64 // event time of the last late event
	seen                      int64 // late, when observe looked last
	rate                      float64
	moved                     time.Time // when observe last saw late events
}

// historyLately is what "lately" means in what is shown of a history.
const historyLately = 10 * time.Second

// smooth moves a rate towards what was counted in the time since the last look.
func smooth(rate *float64, n int64, dt time.Duration) {
	if dt > 0 {
		*rate += (float64(n)/dt.Seconds() - *rate) * (1 - math.Exp(-dt.Seconds()/historyLately.Seconds()))
	}
}

// observeHistory tells of every network that had late events.
func (p *partition) observeHistory(status *schemas.PartitionStatus, now time.Time) {
	dt := now.Sub(p.observed)
	if p.observed.IsZero() {
		dt = 0
	}
	smooth(&p.rate, p.state.pos-p.observedTo, dt)
	p.observed, p.observedTo = now, p.state.pos
	status.RecordRate, status.History = p.rate, make(map[string]schemas.HistoryStatus)
	for _, n := range p.state.networks {
		h := &n.history
		if h.late == 0 {
			continue
		}
		if h.late > h.seen {
			h.moved = now
		}
		smooth(&h.rate, h.late-h.seen, dt)
		h.seen = h.late
		x := schemas.HistoryStatus{Late: h.late, Rate: h.rate, Reentries: h.reentries, ReadBack: h.readBack}
		if now.Sub(h.moved) < historyLately {
			x.WorkingOn = h.last
		}
		status.History[n.id] = x
	}
}
