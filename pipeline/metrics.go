package pipeline

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"daybook/schemas"
)

// metrics are the worker's figures (HOUSE.md section 9). Label values come
// from closed sets: partitions, reasons.
type metrics struct {
	records            prometheus.Counter
	accepted           prometheus.Counter
	duplicates         prometheus.Counter
	conflicts          prometheus.Counter
	notRecorded        *prometheus.CounterVec // reason
	rejected           *prometheus.CounterVec // reason
	skipped            *prometheus.CounterVec // reason
	late               prometheus.Counter
	reentries          prometheus.Counter
	sessionRows        prometheus.Counter
	retries            prometheus.Counter
	flushRows          prometheus.Histogram
	checkpointSeconds  prometheus.Histogram
	checkpointBytes    *prometheus.GaugeVec // partition
	checkpointsRefused prometheus.Counter
	rebalances         prometheus.Counter
	lagRecords         *prometheus.GaugeVec // partition
	lagSeconds         *prometheus.GaugeVec // partition
	watermarkDelay     *prometheus.GaugeVec // partition
	checkpointAge      *prometheus.GaugeVec // partition
	openKeys           *prometheus.GaugeVec // partition
	repeatIDs          *prometheus.GaugeVec // partition
	repeatIDsLimit     prometheus.Gauge
	halted             *prometheus.GaugeVec // partition
	panics             prometheus.Counter
	setAside           *prometheus.GaugeVec // partition
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "daybook", Subsystem: "worker", Name: name, Help: help})
		reg.MustRegister(c)
		return c
	}
	counters := func(name, help string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "daybook", Subsystem: "worker", Name: name, Help: help}, []string{"reason"})
		reg.MustRegister(c)
		return c
	}
	gauges := func(name, help string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "daybook", Subsystem: "worker", Name: name, Help: help}, []string{"partition"})
		reg.MustRegister(g)
		return g
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "daybook", Subsystem: "worker", Name: name, Help: help, Buckets: buckets})
		reg.MustRegister(h)
		return h
	}
	limit := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "daybook", Subsystem: "worker", Name: "repeat_ids_limit", Help: "Ids a partition may keep before it moves a horizon up."})
	reg.MustRegister(limit)
	m := &metrics{
		records:            counter("records_total", "Records applied."),
		accepted:           counter("accepted_total", "Events accepted."),
		duplicates:         counter("duplicates_total", "Repeats of an accepted event."),
		conflicts:          counter("conflicts_total", "Repeats with other content than the accepted event; part of duplicates."),
		notRecorded:        counters("not_recorded_total", "Events that were not recorded, by reason."),
		rejected:           counters("rejected_total", "Records rejected, by reason."),
		skipped:            counters("skipped_total", "Offsets that hold no event, by reason."),
		late:               counter("late_total", "Accepted events before the horizon: they re-entered from the stored events."),
		reentries:          counter("reentries_total", "Users whose stored events re-entered."),
		sessionRows:        counter("session_rows_total", "Rows of sessions written, tombstones included."),
		retries:            counter("storage_retries_total", "Attempts at storage that failed and were repeated."),
		flushRows:          histogram("flush_events", "Events in a flush.", prometheus.ExponentialBuckets(1, 4, 9)),
		checkpointSeconds:  histogram("checkpoint_seconds", "Time a checkpoint took, commit included.", prometheus.ExponentialBuckets(0.002, 2, 12)),
		checkpointBytes:    gauges("checkpoint_bytes", "Size of the last checkpoint."),
		checkpointsRefused: counter("checkpoints_refused_total", "Checkpoints that were missing, damaged or of another topic."),
		rebalances:         counter("rebalances_total", "Generations of the consumer group joined."),
		lagRecords:         gauges("lag_records", "Records between the state and the end of the log."),
		lagSeconds:         gauges("lag_seconds", "Age of the last record read while behind; 0 at the end of the log."),
		watermarkDelay:     gauges("watermark_delay_seconds", "Wall clock minus the greatest watermark of the partition's networks."),
		checkpointAge:      gauges("checkpoint_age_seconds", "Time since the last checkpoint."),
		openKeys:           gauges("open_sessions", "Keys (network, user, device) with sessions in the state."),
		repeatIDs:          gauges("repeat_ids", "Ids kept to recognise repeats."),
		repeatIDsLimit:     limit,
		panics:             counter("panics_total", "Panics while a record was handled; the third of one record sets it aside."),
		setAside:           gauges("set_aside_records", "Records of the partition that are not handled because that panicked."),
		halted:             gauges("halted", "1 while the partition waits for a person's decision."),
	}
	for _, r := range schemas.Reasons() {
		m.rejected.WithLabelValues(r.String())
	}
	m.notRecorded.WithLabelValues(NotRecordedDisabled)
	for _, r := range []string{"control", "aborted", "compacted", skippedGap} {
		m.skipped.WithLabelValues(r)
	}
	return m
}

// label gives the label value of a partition.
func label(partition int32) string { return strconv.Itoa(int(partition)) }

// flushed counts what a durable flush held.
func (m *metrics) flushed(w *writing) {
	m.accepted.Add(float64(w.accepted))
	m.sessionRows.Add(float64(w.sessions))
	m.flushRows.Observe(float64(w.accepted))
	for _, reason := range w.rejected {
		m.rejected.WithLabelValues(reason.String()).Inc()
	}
}

// count adds what a state has counted.
func (m *metrics) count(c *counts) {
	m.duplicates.Add(float64(c.duplicates))
	m.conflicts.Add(float64(c.conflicts))
	m.late.Add(float64(c.late))
	m.reentries.Add(float64(c.reentries))
	for reason, n := range c.notRecorded {
		m.notRecorded.WithLabelValues(reason).Add(float64(n))
	}
	for reason, n := range c.skipped {
		m.skipped.WithLabelValues(reason).Add(float64(n))
	}
}

// checkpoint notes a committed checkpoint.
func (m *metrics) checkpoint(partition int32, bytes int, took time.Duration) {
	m.checkpointBytes.WithLabelValues(label(partition)).Set(float64(bytes))
	m.checkpointSeconds.Observe(took.Seconds())
}

// forget drops the gauges of a partition that was let go.
func (m *metrics) forget(partition int32) {
	for _, g := range []*prometheus.GaugeVec{m.checkpointBytes, m.lagRecords, m.lagSeconds, m.watermarkDelay, m.checkpointAge, m.openKeys, m.repeatIDs, m.halted, m.setAside} {
		g.DeleteLabelValues(label(partition))
	}
}
