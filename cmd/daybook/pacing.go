package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"daybook/clickhouse"
	"daybook/clickhouse/query"
	"daybook/pipeline/source"
)

// pacer holds a replay back while the workers are behind: what it produces lies
// in front of the live records that come after, in the same partitions. It looks
// at the log's ends and at what the workers report, and lets so many records wait
// as the workers take in the time that they may be behind.
//
// It never holds a replay back for good: without a worker that moves there is
// nobody to wait for, and Kafka keeps the records.
type pacer struct {
	paceRule // guarded by mu

	behind time.Duration
	look   func(ctx context.Context) (backlog, error)
	log    *slog.Logger

	mu      sync.Mutex
	room    *sync.Cond
	sent    int64 // records since the last look
	off     bool  // nobody to wait for
	waiting int64 // records that wait, for the meter
	stop    context.CancelFunc
	done    chan struct{}
}

// backlog is what one look finds.
type backlog struct {
	waiting int64 // records between the workers and the end of the log, by the fullest partition times their number
	taken   int64 // records that the workers have taken, ever
	owned   bool  // some worker has a partition
}

// paceRule is the arithmetic: how many records may wait.
type paceRule struct {
	window float64 // records that may wait
	rate   float64 // records a second that the workers take; known after paceKnown
	taken  int64
	began  int64         // what they had taken when they were first seen to take some
	known  time.Duration // since then; 0 before
	stuck  time.Duration // without any progress although records wait
}

const (
	paceEvery = 250 * time.Millisecond
	paceStart = 100_000 // before anything is known: four seconds of a slow worker
	paceLeast = 20_000  // the workers are kept busy whatever the rate was
	paceKnown = time.Second
	// A record that is taken at once is seen to wait for so long all the same: until
	// its flush, its turn and the report of it. Without this the window would shrink
	// although nobody is behind, and with it the batches and the rate.
	paceSeen     = 1500 * time.Millisecond
	paceGiveUp   = 30 * time.Second // workers that take nothing for so long are not waited for
	paceSmoothed = 16               // looks that a rate is smoothed over, 4 s: a checkpoint is no slower worker
)

// learn takes one look, dt after the one before. limited says that records were
// held back since.
func (p *paceRule) learn(b backlog, dt, behind time.Duration, limited bool) {
	moved := b.taken - p.taken
	if p.taken == 0 {
		moved = 0 // the first look
	}
	p.taken = b.taken
	p.stuck += dt
	if moved > 0 || b.waiting == 0 {
		p.stuck = 0
	}
	if !p.measure(moved, dt) {
		if limited {
			// As much more as was taken: what waits for its first report doubles with each.
			p.window += float64(moved)
		}
		return
	}
	most := p.rate * (behind + paceSeen).Seconds()
	switch {
	case float64(b.waiting) > max(most, paceLeast):
		p.window = max(paceLeast, min(p.window, most))
	case limited: // a rate that is held back by the window shows in more than one look
		p.window = max(1.1*p.window, min(most, 2*p.window))
	}
}

// measure learns the rate, and says whether it is known: an average at first,
// from when the workers were first seen to take some.
func (p *paceRule) measure(moved int64, dt time.Duration) bool {
	switch {
	case p.known >= paceKnown:
		p.rate += (float64(moved)/dt.Seconds() - p.rate) / paceSmoothed
		return true
	case p.known > 0:
		p.known += dt
		p.rate = float64(p.taken-p.began) / p.known.Seconds()
	case moved > 0:
		p.known, p.began = 1, p.taken
	}
	return p.known >= paceKnown
}

// newPacer begins to look; close ends it. A pacer that is not to wait is nil.
func newPacer(ctx context.Context, behind time.Duration, log *slog.Logger, look func(context.Context) (backlog, error)) *pacer {
	if behind <= 0 {
		return nil
	}
	p := &pacer{behind: behind, look: look, log: log, done: make(chan struct{}), paceRule: paceRule{window: paceStart}}
	p.room = sync.NewCond(&p.mu)
	ctx, p.stop = context.WithCancel(ctx)
	go p.run(ctx)
	return p
}

func (p *pacer) run(ctx context.Context) {
	defer close(p.done)
	defer p.release()
	tick := time.NewTicker(paceEvery)
	defer tick.Stop()
	last, held := time.Now(), false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		b, err := p.look(ctx)
		if ctx.Err() != nil {
			return
		}
		now := time.Now()
		p.mu.Lock()
		if err == nil {
			limited := held || float64(p.waiting+p.sent) > p.window
			p.learn(b, now.Sub(last), p.behind, limited)
			p.waiting, p.sent = b.waiting, 0
			last = now
		} else {
			p.stuck += now.Sub(last)
			last = now
		}
		was := p.off
		p.off = err == nil && !b.owned || p.stuck >= paceGiveUp
		if held = float64(p.waiting) > p.window; !held || p.off {
			p.room.Broadcast()
		}
		if p.off && !was {
			p.log.LogAttrs(ctx, slog.LevelWarn, "no worker takes records: not waiting for one", slog.Int64("records_waiting", p.waiting))
		}
		p.mu.Unlock()
	}
}

// release lets everybody go who waits.
func (p *pacer) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.off = true
	p.room.Broadcast()
}

// wait returns when n more records may follow. A nil pacer lets everything through.
func (p *pacer) wait(n int) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.off && float64(p.waiting+p.sent) > p.window {
		p.room.Wait()
	}
	p.sent += int64(n)
}

// records tells how many wait, as of the last look.
func (p *pacer) records() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting
}

// close ends the looking.
func (p *pacer) close() {
	if p != nil {
		p.stop()
		<-p.done
	}
}

// pace makes the pacer of a command that produces, if both stores can be found.
// What it needs of ClickHouse is the workers' reports.
func (a *app) pace(ctx context.Context, client *source.Client, behind time.Duration) (*pacer, func()) {
	if behind <= 0 {
		return nil, func() {}
	}
	found, err := a.needBoth()
	var store *clickhouse.Store
	if err == nil {
		store, err = clickhouse.Open(ctx, clickhouse.Options{DSN: found.ClickHouse.String(), Log: a.log})
	}
	if err != nil {
		a.log.LogAttrs(ctx, slog.LevelInfo, "workers' progress cannot be seen: not waiting for them", slog.String("why", err.Error()))
		return nil, func() {}
	}
	p := newPacer(ctx, behind, a.log, func(ctx context.Context) (backlog, error) { return readBacklog(ctx, store, client) })
	return p, func() {
		p.close()
		_ = store.Close() // only read from
	}
}

// readBacklog looks once.
func readBacklog(ctx context.Context, store query.Querier, client *source.Client) (b backlog, err error) {
	all, err := ends(ctx, client)
	if err != nil {
		return b, err
	}
	rows, err := store.Query(ctx, query.Statement{
		Text: `SELECT partition, next_offset, owned FROM partitions WHERE topic = {topic:String} AND ` + newestEpoch + ` ORDER BY partition LIMIT 100000`,
		Args: []query.Arg{{Name: "topic", Value: client.EventsTopic()}},
	})
	if err != nil {
		return b, err
	}
	defer func() { _ = rows.Close() }() // Err has said what there is to say
	for rows.Next() {
		var partition int32
		var next int64
		var owned bool
		if err := rows.Scan(&partition, &next, &owned); err != nil {
			return b, err
		}
		if int(partition) < len(all) {
			b.waiting = max(b.waiting, (all[partition]-next)*int64(len(all)))
			b.taken += next
			b.owned = b.owned || owned
		}
	}
	return b, rows.Err()
}
