package pipeline

import (
	"time"

	"daybook/schemas"
)

// observe takes note of where the partition stands with a flush: gauges, and the
// status that the worker reports to storage as soon as the flush is durable.
func (p *partition) observe(w *writing) *schemas.PartitionStatus {
	s := p.state
	status := &schemas.PartitionStatus{
		Topic: p.cfg.Topic, Epoch: p.cfg.Epoch, Partition: p.id, Worker: p.cfg.Worker,
		Next: s.pos, LogEnd: max(p.logEnd, s.pos), OpenSessions: int64(s.sessions),
		HorizonMs: make(map[string]int64, len(s.networks)), OutOfOrderMs: p.rules.OutOfOrder,
	}
	for _, n := range s.networks {
		if n.horizon > never {
			status.HorizonMs[n.id] = n.horizon
		}
	}
	p.observeHistory(status, p.cfg.Now())
	switch w.complete = p.complete; {
	case p.caughtUp.IsZero() || len(p.queue) > 0:
		w.complete = time.Time{}
	case w.clean:
		w.complete = p.caughtUp
	} // else rows of open sessions are held back: what was complete then is complete still
	p.metrics.count(&s.counts)
	s.counts = newCounts()
	return status
}

// publishStatus shows what observe took note of.
func (p *partition) publishStatus(status *schemas.PartitionStatus) {
	status.Published, status.Committed = p.published, p.pointer.Next
	status.CheckpointMs, status.UpdatedMs = p.lastCheck.UnixMilli(), p.cfg.Now().UnixMilli()
	if !p.complete.IsZero() {
		status.CaughtUpMs = p.complete.UnixMilli()
	}
	p.status.Store(status)
	id := label(p.id)
	p.metrics.lagRecords.WithLabelValues(id).Set(float64(status.LogEnd - status.Next))
	p.metrics.openKeys.WithLabelValues(id).Set(float64(status.OpenSessions))
	p.ages()
}

// ages sets the gauges that grow while nothing happens: storage that is down
// must show in them, too.
func (p *partition) ages() {
	now, id := p.cfg.Now(), label(p.id)
	lag := 0.0
	if p.complete.IsZero() && p.lastRead > 0 {
		lag = now.Sub(time.UnixMilli(p.lastRead)).Seconds()
	}
	p.metrics.lagSeconds.WithLabelValues(id).Set(lag)
	greatest := int64(never)
	for _, n := range p.state.networks {
		greatest = max(greatest, n.greatest)
	}
	if greatest > never {
		p.metrics.watermarkDelay.WithLabelValues(id).Set(now.Sub(time.UnixMilli(greatest - p.rules.OutOfOrder)).Seconds())
	}
	p.metrics.checkpointAge.WithLabelValues(id).Set(now.Sub(p.lastCheck).Seconds())
}
