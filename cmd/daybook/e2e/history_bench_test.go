package e2e

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// historyEvents is what ARCHITECTURE.md section 6 asks for: a million late ones.
const historyEvents = 1_000_000

// BenchmarkHistory measures a million late events of one network, while another
// one's live events lie behind them in the same partitions: the rate, the CPU, and
// how old the newest live event of a partition is at most. Run it on two cores
// (taskset -c 0,1): the producers count as well then.
//
//	taskset -c 0,1 go test ./cmd/daybook/e2e -run XXX -bench History -benchtime 1x -timeout 20m
func BenchmarkHistory(b *testing.B) {
	d := startDev(b, b.TempDir())
	file := filepath.Join(b.TempDir(), "history.ndjson")
	d.run(0, "generate", "--seed", "7", "--events", strconv.Itoa(historyEvents), "--users", "20000", "--days", "30", "--out", file)
	stop := d.live()
	round := 0
	for b.Loop() {
		network := fmt.Sprintf("history-%d", round)
		round++
		d.newerFirst(network)
		devBefore, engineBefore := d.cpu()
		begin := time.Now()
		sampled, ages := make(chan struct{}), make(chan []float64, 1)
		go func() { ages <- d.freshness(sampled) }()
		d.run(0, "replay", file, "--network", network, "--wait")
		wall := time.Since(begin)
		close(sampled)
		age := <-ages
		devAfter, engineAfter := d.cpu()
		b.ReportMetric(historyEvents/wall.Seconds(), "late-events/s")
		b.ReportMetric((devAfter-devBefore).Seconds()*1e6/historyEvents, "dev-cpu-µs/event")
		b.ReportMetric((engineAfter-engineBefore).Seconds()*1e6/historyEvents, "engine-cpu-µs/event")
		b.ReportMetric(age[len(age)*99/100], "live-p99-s")
		b.ReportMetric(age[len(age)-1], "live-max-s")
	}
	b.ReportMetric(0, "ns/op") // says nothing here
	stop()
	d.stop()
}

// cpu gives the CPU time that dev and its engine have used.
func (d *instance) cpu() (dev, engine time.Duration) {
	dev = processCPU(d.t, d.cmd.Process.Pid)
	for _, pid := range descendants(d.cmd.Process.Pid) {
		engine += processCPU(d.t, pid)
	}
	return dev, engine
}

// live produces a hundred events a second of now until it is stopped.
func (d *instance) live() (stop func()) {
	d.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	reader, writer := io.Pipe()
	cmd := d.command(ctx, "replay", "-", "--network", "live", "--format", "ndjson", "--order", "file", "--rate", "110", "--behind", "0")
	cmd.Stdin = reader
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				_ = writer.Close()
				return
			case now := <-tick.C:
				_, _ = fmt.Fprintf(writer, `{"id":"%d","source":"live","user":"u%d","time":%q,"type":"io.daybook.presence.heartbeat"}`+"\n",
					i, i%500, now.UTC().Format(time.RFC3339Nano))
			}
		}
	}()
	return func() { cancel(); _ = reader.Close(); <-done; _ = cmd.Wait() }
}

// freshness samples how old the newest visible live event is, by the partition
// that is furthest behind, until done is closed; sorted.
func (d *instance) freshness(done <-chan struct{}) (ages []float64) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			slices.Sort(ages)
			return ages
		case <-tick.C:
			ms := d.number(`SELECT toInt64(max(age)) FROM (SELECT dateDiff('millisecond', max(time), now64(3)) AS age
				FROM daybook.events_versions WHERE network_id = 'live' AND time > now() - 600 GROUP BY partition)`)
			ages = append(ages, float64(ms)/1000)
		}
	}
}
