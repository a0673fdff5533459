package pipeline

import (
	"time"

	"daybook/schemas"
)

// observe publishes where the partition stands: gauges, and the status that
// the worker reports to storage.
func (p *partition) observe() {
	now := p.cfg.Now()
	s, id := p.state, label(p.id)
	status := &schemas.PartitionStatus{
		Topic: p.cfg.Topic, Epoch: p.cfg.Epoch, Partition: p.id, Worker: p.cfg.Worker,
		Next: s.pos, Published: p.published, Committed: p.pointer.Next, LogEnd: max(p.logEnd, s.pos),
		CheckpointMs: p.lastCheck.UnixMilli(), OpenSessions: int64(s.sessions),
		HorizonMs: make(map[string]int64, len(s.networks)), OutOfOrderMs: p.rules.OutOfOrder, UpdatedMs: now.UnixMilli(),
	}
	for _, n := range s.networks {
		if n.horizon > never {
			status.HorizonMs[n.id] = n.horizon
		}
	}
	p.observeHistory(status, now)
	switch {
	case p.caughtUp.IsZero() || p.rest != nil:
		p.complete = time.Time{}
	case p.published == s.pos:
		p.complete = p.caughtUp
	} // else rows of open sessions are held back: what was complete then is complete still
	if !p.complete.IsZero() {
		status.CaughtUpMs = p.complete.UnixMilli()
	}
	p.status.Store(status)
	p.metrics.lagRecords.WithLabelValues(id).Set(float64(status.LogEnd - s.pos))
	p.ages()
	p.metrics.openKeys.WithLabelValues(id).Set(float64(s.sessions))
	p.metrics.count(&s.counts)
	s.counts = newCounts()
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
