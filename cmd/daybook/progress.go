package main

import (
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
)

// meter shows how far a long command is: a bar with rate and time left on a
// terminal, else a log line every ten seconds. The work counts into n; the
// meter looks at it, so that counting costs an addition.
type meter struct {
	n        atomic.Int64
	what     string
	total    atomic.Int64             // 0: unknown
	start    atomic.Int64             // wall clock in nanoseconds; moved when the total is known
	bar      *progressbar.ProgressBar // nil without a terminal
	terminal io.Writer
	log      *slog.Logger
	waiting  func() int64 // records that wait for the workers; nil: not told
	stop     chan struct{}
	done     chan struct{}
}

// How often a meter is looked at.
const (
	barEvery = 200 * time.Millisecond
	logEvery = 10 * time.Second // LIBRARIES.md section 1
)

// newMeter starts to show; finish ends it.
func (a *app) newMeter(what, unit string, total int64) *meter {
	return a.newPacedMeter(what, unit, total, nil)
}

// newPacedMeter tells beside it how many records wait for the workers.
func (a *app) newPacedMeter(what, unit string, total int64, pace *pacer) *meter {
	m := &meter{what: what, log: a.log, terminal: a.std.err, stop: make(chan struct{}), done: make(chan struct{})}
	if pace != nil {
		m.waiting = pace.records
	}
	m.total.Store(total)
	m.start.Store(time.Now().UnixNano())
	every := logEvery
	if isTerminal(a.std.err) {
		every = barEvery
		size := total
		if size == 0 {
			size = -1 // a spinner
		}
		m.bar = progressbar.NewOptions64(size,
			progressbar.OptionSetWriter(a.std.err), progressbar.OptionSetDescription(what),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString(unit),
			progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(barEvery), progressbar.OptionFullWidth(),
		)
	}
	go m.run(every)
	return m
}

func (m *meter) run(every time.Duration) {
	defer close(m.done)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-m.stop:
			return
		case <-ticker.C:
			m.show()
		}
	}
}

func (m *meter) show() {
	n := m.n.Load()
	if m.bar != nil {
		if m.waiting != nil {
			m.bar.Describe(fmt.Sprintf("%s (%d wait for the workers)", m.what, m.waiting()))
		}
		_ = m.bar.Set64(n) // a bar that cannot be drawn is no reason to stop
		return
	}
	rate := float64(n) / m.took().Seconds()
	attrs := []any{slog.String("what", m.what), slog.Int64("done", n), slog.Int64("per_second", int64(rate))}
	if total := m.total.Load(); total > 0 && rate > 0 {
		left := time.Duration(float64(max(0, total-n)) / rate * float64(time.Second))
		attrs = append(attrs, slog.Int64("total", total), slog.String("time_left", left.Round(time.Second).String()))
	}
	if m.waiting != nil {
		attrs = append(attrs, slog.Int64("records_waiting", m.waiting()))
	}
	m.log.Info("progress", attrs...)
}

// setTotal makes a rate into a time left, once the total is known.
func (m *meter) setTotal(total int64) {
	m.total.Store(total)
	m.start.Store(time.Now().UnixNano())
	if m.bar != nil {
		m.bar.ChangeMax64(total)
	}
}

func (m *meter) took() time.Duration { return time.Duration(time.Now().UnixNano() - m.start.Load()) }

// finish shows the end and stops looking. A nil meter shows nothing.
func (m *meter) finish() {
	if m == nil {
		return
	}
	close(m.stop)
	<-m.done
	if m.bar != nil {
		_ = m.bar.Set64(m.n.Load()) // a bar that cannot be drawn is no reason to stop
		_ = m.bar.Exit()
		fmt.Fprintln(m.terminal)
		return
	}
	took := m.took()
	if took >= logEvery {
		m.show()
	}
}

// perSecond formats a rate for a closing line.
func perSecond(n int64, took time.Duration) string {
	if took <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f/s", float64(n)/took.Seconds())
}
