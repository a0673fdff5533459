package e2e

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"syscall"
	"testing"
	"time"

	"daybook/pipeline/source"
)

var (
	freshFor      = flag.Duration("fresh.for", time.Minute, "how long BenchmarkFreshness measures each load")
	freshBacklog  = flag.Duration("fresh.backlog", 10*time.Minute, "how much of time the backlog of BenchmarkFreshness holds")
	freshRate     = flag.Float64("fresh.rate", 0, "what BenchmarkFreshness takes for the capacity, events/s, instead of measuring it")
	freshCapacity = flag.Duration("fresh.capacity", 40*time.Second, "how long BenchmarkFreshness measures the capacity")
)

const stopSignal = syscall.SIGTERM

// freshSettles is what is left out at the begin of each load: it has to come up, and
// the engine's merges to its pace.
const freshSettles = 10 * time.Second

// BenchmarkFreshness measures how long an event takes from the instant at which
// it was to be produced until it is seen: its row, its session's first row, and
// the session by the read API. The load's instants are fixed beforehand (an open
// loop: what is late stays late, nothing waits for an answer), at 50 % and 90 %
// of a capacity that the same run measures; if more records wait at the end of a load
// than at its begin, it was more than the installation holds. Then a worker that was away for a while
// starts again under half load.
//
//	make bench-fresh
//	go test ./cmd/daybook/e2e -run XXX -bench Freshness -benchtime 1x -timeout 90m -fresh.for 20s -fresh.capacity 20s -fresh.backlog 1m
func BenchmarkFreshness(b *testing.B) {
	m, s := benchSite(b, benchPartitions)
	to, err := s.client.NewProducer(b.Context(), source.ProducerConfig{Compression: source.CompressionLZ4, Linger: 5 * time.Millisecond})
	if err != nil {
		b.Fatal(err)
	}
	l := newLiveLoad(to, loadNetwork, loadUsers)
	m.run("network", "set", loadNetwork, "--zone", "Europe/Prague")
	for b.Loop() {
		rate := *freshRate
		if rate == 0 {
			rate = m.capacity(b, s, l)
		}
		say("capacity %s; now 50 %% and 90 %% of it for %s each, then a backlog of %s", perSecond(rate), *freshFor, *freshBacklog)
		checkRoom(b, s.dir, rate)
		rows := []string{"load|events/s|what|p50|p99|p99.9|most|seen|not seen"}
		for _, share := range []int{50, 90} {
			rows = append(rows, m.fresh(b, s, l, share, rate)...)
		}
		backlog := ""
		if *freshBacklog > 0 {
			text, live := m.drain(b, s, to, rate/2)
			backlog, rows = text, append(rows, live...)
		}
		say("%s\ncapacity %s (%d partitions, one worker; for %s, as fast as taken)\n%s\n%s", m.machine(), perSecond(rate), benchPartitions, *freshCapacity, table(rows...), backlog)
		b.ReportMetric(rate, "capacity-events/s")
	}
	b.ReportMetric(0, "ns/op") // says nothing here
	if err := to.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// freshBytes is what an event takes on disk for a while, measured: the log, the
// tables, and the parts that merges have replaced, which stay for eight minutes.
const freshBytes = 1000

// checkRoom refuses loads that would fill the disk: engine and broker stop then.
func checkRoom(b *testing.B, dir string, capacity float64) {
	b.Helper()
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		b.Fatal(err)
	}
	free := float64(stat.Bavail) * float64(stat.Bsize)
	// Both loads; the backlog, and what comes in as long again while it is drained.
	loads := 1.4 * (*freshFor + freshSettles).Seconds()
	need := capacity * freshBytes * (loads + freshBacklog.Seconds())
	if need > free {
		room := max(0, free/(capacity*freshBytes)-loads)
		b.Fatalf("at %.0f events/s loads of %s and a backlog of %s take about %.0f GB of disk for a while, and %.0f are free in %s: give -fresh.backlog=%.0fs or less, or set TMPDIR to a larger disk",
			capacity, *freshFor, *freshBacklog, need/1e9, free/1e9, dir, room)
	}
}

// fresh measures one load.
func (m *bench) fresh(b *testing.B, s *site, l *liveLoad, share int, capacity float64) []string {
	b.Helper()
	perSecond := capacity * float64(share) / 100
	p := m.newProbes("probe-" + strconv.Itoa(share))
	from := time.Now().Add(freshSettles)
	to := from.Add(*freshFor)
	ended := m.under(b, s, l, perSecond, p, overAt(to))
	<-overAt(from)
	watch, waited := m.watchCores(), m.lag(s)
	<-overAt(to)
	told, waiting := watch.String(), m.lag(s)
	late := ended()
	say("%d %%: %s; the producer was at most %s late; %.1f s of records waited at the begin, %.1f s at the end",
		share, told, late.Round(time.Millisecond), float64(waited)/perSecond, float64(waiting)/perSecond)
	rows := p.rows(fmt.Sprintf("%d %%", share), perSecond, from, to)
	for kind, what := range map[int]string{probeEvent: "event", probeSession: "session"} {
		sorted, _ := p.latencies(kind, from, to)
		b.ReportMetric(percentile(sorted, 0.99).Seconds(), fmt.Sprintf("%s-p99-s-at-%d%%", what, share))
	}
	say("%s", table(append([]string{"load|events/s|what|p50|p99|p99.9|most|seen|not seen"}, rows...)...))
	return rows
}

// overAt gives a channel that is closed at an instant.
func overAt(at time.Time) <-chan struct{} {
	over := make(chan struct{})
	time.AfterFunc(time.Until(at), func() { close(over) })
	return over
}

// under begins a load with probes that lasts until over is closed. What it gives
// waits for the end, until all of it has been taken; late is by how much the
// producer missed its instants.
func (m *bench) under(b *testing.B, s *site, l *liveLoad, perSecond float64, p *probes, over <-chan struct{}) func() (late time.Duration) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	watched, sent := make(chan struct{}), make(chan error, 1)
	go func() { defer close(watched); p.watch(ctx) }()
	var late time.Duration
	go func() {
		var err error
		late, err = l.steady(ctx, perSecond, p, over)
		sent <- err
	}()
	return func() time.Duration {
		defer cancel()
		if err := <-sent; err != nil {
			b.Fatal(err)
		}
		m.awaitLag(s, 0, 10*startLimit)
		p.awaitAll(startLimit)
		cancel()
		<-watched
		if p.err != nil {
			b.Fatal(p.err)
		}
		return late
	}
}

func (p *probes) rows(load string, perSecond float64, from, to time.Time) (rows []string) {
	for kind, name := range probeNames() {
		sorted, missing := p.latencies(kind, from, to)
		text := func(share float64) string { return fmt.Sprintf("%.2f s", percentile(sorted, share).Seconds()) }
		p999 := text(0.999)
		if len(sorted) < 1000 {
			p999 = "" // of fewer there is none
		}
		rows = append(rows, fmt.Sprintf("%s|%.0f|%s|%s|%s|%s|%s|%d|%d", load, perSecond, name, text(0.5), text(0.99), p999, text(1), len(sorted), missing))
	}
	return rows
}

// drain stops the worker, produces what comes in freshBacklog at that rate as fast
// as Kafka takes it, and starts the worker again while the load goes on.
func (m *bench) drain(b *testing.B, s *site, to *source.Producer, perSecond float64) (text string, live []string) {
	b.Helper()
	// Of a network of its own: a log is late where newer events of one lie before it.
	l := newLiveLoad(to, backlogNetwork, loadUsers)
	m.run("network", "set", backlogNetwork, "--zone", "Europe/Prague")
	worker, p := s.workers[0], m.newProbes("probe-backlog")
	if err := worker.end(stopSignal); err != nil {
		b.Fatal(err)
	}
	now, events := time.Now(), int64(perSecond*freshBacklog.Seconds())
	if err := l.burst(b.Context(), events, now.Add(-*freshBacklog), now); err != nil {
		b.Fatal(err)
	}
	say("a backlog of %d events is there after %.0f s", events, time.Since(now).Seconds())
	over := make(chan struct{})
	begin := time.Now()
	ended := m.under(b, s, l, perSecond, p, over)
	if err := worker.start(); err != nil {
		b.Fatal(err)
	}
	watch := m.watchCores()
	m.awaitLag(s, int64(2*perSecond), 10**freshBacklog+startLimit) // what comes in two seconds is never taken yet
	caught, told := time.Now(), watch.String()
	end := caught.Add(freshSettles)
	<-overAt(end)
	close(over)
	ended()
	b.ReportMetric(caught.Sub(begin).Seconds(), "drain-s")
	text = fmt.Sprintf("a worker that was away for %s at half load (%d events) had caught up %.1f s after its start, %.1f s for each minute; %s",
		*freshBacklog, events, caught.Sub(begin).Seconds(), caught.Sub(begin).Seconds()/freshBacklog.Minutes(), told)
	return text, append(p.rows("while a backlog is drained", perSecond, begin, caught), p.rows("after it", perSecond, caught, end)...)
}
