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
	freshCapacity = flag.Int64("fresh.capacity", 2_000_000, "events by which BenchmarkFreshness measures the capacity")
)

const stopSignal = syscall.SIGTERM

// BenchmarkFreshness measures how long an event takes from the instant at which
// it was to be produced until it is seen: its row, its session's first row, and
// the session by the read API. The load's instants are fixed beforehand (an open
// loop: what is late stays late, nothing waits for an answer), at 50 % and 90 %
// of a capacity that the same run measures by a backlog. Then a worker that was
// away for a while starts again under half load.
//
//	make bench-fresh
//	go test ./cmd/daybook/e2e -run XXX -bench Freshness -benchtime 1x -timeout 90m -fresh.for 20s -fresh.backlog 1m
func BenchmarkFreshness(b *testing.B) {
	m, s := benchSite(b, benchPartitions)
	to, err := s.client.NewProducer(b.Context(), source.ProducerConfig{Compression: source.CompressionLZ4, Linger: 5 * time.Millisecond})
	if err != nil {
		b.Fatal(err)
	}
	l := newLiveLoad(to)
	m.run("network", "set", loadNetwork, "--zone", "Europe/Prague")
	for b.Loop() {
		rate := m.capacity(s, l, *freshCapacity)
		say("capacity %s; now 50 %% and 90 %% of it for %s each, then a backlog of %s", perSecond(rate), *freshFor, *freshBacklog)
		rows := []string{"load|events/s|what|p50|p99|p99.9|most|seen|not seen"}
		for _, share := range []int{50, 90} {
			rows = append(rows, m.fresh(b, s, l, share, rate)...)
		}
		backlog, live := m.drain(b, s, l, rate/2)
		rows = append(rows, live...)
		say("%s\ncapacity %s (%d partitions, one worker; %d events of a backlog)\n%s\n%s", m.machine(), perSecond(rate), benchPartitions, *freshCapacity, table(rows...), backlog)
		b.ReportMetric(rate, "capacity-events/s")
	}
	b.ReportMetric(0, "ns/op") // says nothing here
	if err := to.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// fresh measures one load.
func (m *bench) fresh(b *testing.B, s *site, l *liveLoad, share int, capacity float64) []string {
	b.Helper()
	perSecond := capacity * float64(share) / 100
	p := m.newProbes("probe-" + strconv.Itoa(share))
	var from, to time.Time
	late := m.under(b, l, perSecond, p, func() {
		time.Sleep(5 * time.Second) // the load has to come up, and the engine to its pace
		from = time.Now()
		time.Sleep(*freshFor)
		to = time.Now()
	}, s)
	if late > 100*time.Millisecond {
		say("the producer itself was up to %s late", late.Round(time.Millisecond))
	}
	rows := p.rows(fmt.Sprintf("%d %%", share), perSecond, from, to)
	sorted, _ := p.latencies(probeEvent, from, to)
	b.ReportMetric(percentile(sorted, 0.99).Seconds(), fmt.Sprintf("p99-s-at-%d%%", share))
	return rows
}

// under runs do beside a load with probes, and returns when all of it has been
// taken; late is by how much the producer missed its instants.
func (m *bench) under(b *testing.B, l *liveLoad, perSecond float64, p *probes, do func(), s *site) (late time.Duration) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	watched := make(chan struct{})
	go func() { defer close(watched); p.watch(ctx) }()
	done, sent := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		late, err = l.steady(ctx, perSecond, p, done)
		sent <- err
	}()
	do()
	close(done)
	if err := <-sent; err != nil {
		b.Fatal(err)
	}
	m.awaitLag(s, 0, 10*startLimit)
	for limit := time.Now().Add(startLimit); p.waiting() > 0 && time.Now().Before(limit); time.Sleep(probeEvery) {
	}
	cancel()
	<-watched
	if p.err != nil {
		b.Fatal(p.err)
	}
	return late
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

// drain stops the worker, produces what comes in freshBacklog at that rate, and
// starts it again while the load goes on.
func (m *bench) drain(b *testing.B, s *site, l *liveLoad, perSecond float64) (text string, live []string) {
	b.Helper()
	worker, p := s.workers[0], m.newProbes("probe-backlog")
	if err := worker.end(stopSignal); err != nil {
		b.Fatal(err)
	}
	now, events := time.Now(), int64(perSecond*freshBacklog.Seconds())
	if err := l.burst(b.Context(), events, now.Add(-*freshBacklog), now); err != nil {
		b.Fatal(err)
	}
	say("a backlog of %d events is there", events)
	var begin, caught, end time.Time
	m.under(b, l, perSecond, p, func() {
		begin = time.Now()
		if err := worker.start(); err != nil {
			b.Fatal(err)
		}
		m.awaitLag(s, int64(2*perSecond), 10**freshBacklog+startLimit) // what comes in two seconds is never taken yet
		caught = time.Now()
		time.Sleep(10 * time.Second)
		end = time.Now()
	}, s)
	b.ReportMetric(caught.Sub(begin).Seconds(), "drain-s")
	text = fmt.Sprintf("a worker that was away for %s at half load (%d events) had caught up %.1f s after its start",
		*freshBacklog, events, caught.Sub(begin).Seconds())
	return text, append(p.rows("while a backlog is drained", perSecond, begin, caught), p.rows("after it", perSecond, caught, end)...)
}
