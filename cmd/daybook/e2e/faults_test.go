package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"daybook/cmd/daybook/e2e/faultproxy"
)

// chaos does faults to a site, drawn from a seed. Several lanes may draw at
// once; a part is in the hands of one of them.
type chaos struct {
	site *site
	log  func(format string, args ...any)

	workers []sync.Mutex // one a worker
	engine  sync.Mutex   // and what stands before it
	kafka   sync.Mutex

	mu     sync.Mutex
	counts map[string]int
	errs   []error
}

// fault is one kind of fault and how often it is drawn.
type fault struct {
	name   string
	weight int
	do     func(*chaos, *rand.Rand) error
}

// faults lists the kinds. Those that need a proxy before Kafka, or the files of
// the embedded broker, are left out with Apache Kafka.
func faults(s *site) []fault {
	all := []fault{
		{"worker SIGKILL", 6, (*chaos).killWorker},
		{"worker SIGSTOP and SIGCONT (zombie)", 3, (*chaos).pauseWorker},
		{"worker killed, paused or failed at a step", 6, (*chaos).failWorker},
		{"worker leaves and joins", 2, (*chaos).leaveWorker},
		{"engine SIGKILL", 2, (*chaos).killEngine},
		{"engine: answers cut after delivery", 3, (*chaos).cutEngine},
		{"engine: black hole, slow, refused or reset", 2, (*chaos).engineWeather},
		{"checkpoints damaged", 1, (*chaos).damageCheckpoints},
	}
	if s.apache != nil {
		return append(all, fault{"node SIGKILL", 2, (*chaos).killNode}, fault{"node SIGSTOP and SIGCONT", 1, (*chaos).pauseNode})
	}
	return append(all,
		fault{"broker SIGKILL", 2, (*chaos).killBroker},
		fault{"broker: answers cut after delivery", 3, (*chaos).cutKafka},
		fault{"broker: black hole, slow or reset", 2, (*chaos).kafkaWeather},
	)
}

func newChaos(s *site, log func(string, ...any)) *chaos {
	return &chaos{site: s, log: log, workers: make([]sync.Mutex, len(s.workers)), counts: make(map[string]int)}
}

// lane draws and does one fault after the other until ctx ends, with a pause
// between two.
func (c *chaos) lane(ctx context.Context, rng *rand.Rand, kinds []fault, pause time.Duration) {
	for ctx.Err() == nil {
		c.one(draw(rng, kinds), rng)
		wait(ctx, pause/2+time.Duration(rng.Int64N(int64(pause))))
	}
}

// supervise does what a service manager does: a worker that found a store down
// at its start has ended with an error, and is started again.
func (c *chaos) supervise(ctx context.Context) {
	for ctx.Err() == nil {
		wait(ctx, time.Second)
		for i, w := range c.site.workers {
			if !c.workers[i].TryLock() {
				continue // a fault has it in hand
			}
			if w.pid() == 0 {
				c.count("  workers that found a store down at their start")
				if err := w.start(); err != nil {
					c.log("%v", err)
				}
			}
			c.workers[i].Unlock()
		}
	}
}

// draw takes a kind by its weight.
func draw(rng *rand.Rand, kinds []fault) fault {
	sum := 0
	for _, k := range kinds {
		sum += k.weight
	}
	n := rng.IntN(sum)
	for _, k := range kinds {
		if n -= k.weight; n < 0 {
			return k
		}
	}
	panic("weights do not add up")
}

// one does a fault to its end. A part that cannot be started again is the
// soak's failure.
func (c *chaos) one(k fault, rng *rand.Rand) {
	err := k.do(c, rng)
	c.count(k.name)
	if err != nil {
		c.mu.Lock()
		c.errs = append(c.errs, fmt.Errorf("%s: %w", k.name, err))
		c.mu.Unlock()
		c.log("%s: %v", k.name, err)
	}
}

func (c *chaos) count(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[name]++
}

func (c *chaos) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.errs...)
}

// total gives the number of faults so far and their kinds, the most frequent
// first.
func (c *chaos) total() (n int, kinds []string, counts map[string]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts = maps.Clone(c.counts)
	for k, v := range counts {
		n += v
		kinds = append(kinds, k)
	}
	slices.SortFunc(kinds, func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	return n, kinds, counts
}

// wait passes the time that a fault lasts: faults are made of time.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func last(d time.Duration) { wait(context.Background(), d) }

func between(rng *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(rng.Int64N(int64(high-low)))
}

// pick takes a worker in hand.
func (c *chaos) pick(rng *rand.Rand) (w *part, free func()) {
	i := rng.IntN(len(c.site.workers))
	c.workers[i].Lock()
	return c.site.workers[i], c.workers[i].Unlock
}

func (c *chaos) killWorker(rng *rand.Rand) error {
	w, free := c.pick(rng)
	defer free()
	return errors.Join(w.end(syscall.SIGKILL), after(between(rng, 0, 3*time.Second), w.start))
}

func after(d time.Duration, start func(...string) error) error {
	last(d)
	return start()
}

// pauseWorker makes a zombie: it wakes when its partitions are another's, with
// rows in hand that it believes to be its to write.
func (c *chaos) pauseWorker(rng *rand.Rand) error {
	w, free := c.pick(rng)
	defer free()
	w.signal(syscall.SIGSTOP)
	last(c.site.cfg.session + between(rng, time.Second, 2*c.site.cfg.session))
	w.signal(syscall.SIGCONT)
	return nil
}

// leaveWorker ends a worker in order and lets it come back: two rebalances.
func (c *chaos) leaveWorker(rng *rand.Rand) error {
	w, free := c.pick(rng)
	defer free()
	if err := w.end(syscall.SIGTERM); err != nil {
		return err
	}
	c.count("  rebalances by joining and leaving")
	return after(between(rng, 0, 5*time.Second), w.start)
}

// failWorker starts a worker that is armed at a step, and sees that it strikes.
func (c *chaos) failWorker(rng *rand.Rand) error {
	w, free := c.pick(rng)
	defer free()
	point := stepNames()[rng.IntN(len(stepNames()))]
	action := []string{"kill", "pause", "error"}[rng.IntN(3)]
	end := []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM}[rng.IntN(2)]
	if err := errors.Join(w.end(end), w.start(fmt.Sprintf("DAYBOOK_FAILPOINT=%s@%d:%s", point, 1+rng.IntN(5), action))); err != nil {
		return err
	}
	struck := c.strikes(w, action, 4*c.site.cfg.session)
	if !struck && point == "released" {
		w.signal(syscall.SIGTERM) // the step of a worker that leaves
		struck = c.strikes(w, action, 2*c.site.cfg.session)
	}
	if struck {
		c.count("  at " + point + ": " + action)
	}
	if action == "pause" && struck {
		last(c.site.cfg.session + between(rng, 0, c.site.cfg.session))
		w.signal(syscall.SIGCONT)
		if point != "released" {
			return nil // it goes on as a worker that was away
		}
	}
	// One that is still armed would strike when nobody looks.
	return errors.Join(w.end(syscall.SIGKILL), w.start())
}

// strikes waits until the armed step has killed or stopped the worker. A step
// that failed shows in its log only.
func (c *chaos) strikes(w *part, action string, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for ctx.Err() == nil {
		switch action {
		case "kill":
			if w.await(20 * time.Millisecond) {
				return w.killedBy() == syscall.SIGKILL
			}
			continue
		case "pause":
			if w.paused() {
				return true
			}
		default:
			if strings.Contains(w.tail(), "failpoint strikes") {
				return true
			}
		}
		if w.pid() == 0 {
			return false
		}
		wait(ctx, 20*time.Millisecond)
	}
	return false
}

func (c *chaos) killEngine(rng *rand.Rand) error {
	c.engine.Lock()
	defer c.engine.Unlock()
	return errors.Join(c.site.engine.end(syscall.SIGKILL), after(between(rng, 0, 10*time.Second), c.site.engine.start))
}

// cutEngine lets inserts arrive and be applied, and loses their answers.
func (c *chaos) cutEngine(rng *rand.Rand) error {
	c.engine.Lock()
	defer c.engine.Unlock()
	tables := []string{"events_versions", "sessions_versions", "session_days_versions", "ledger_versions", "progress_versions", "rejects_versions"}
	lost := c.site.chProxy.Cut(faultproxy.Cut{Match: faultproxy.Contains(tables[rng.IntN(len(tables))]), Times: 1 + rng.IntN(3)})
	select {
	case <-lost:
		c.count("  inserts' answers lost")
	case <-time.After(10 * time.Second): // nobody writes that table now
	}
	return c.site.chProxy.Heal()
}

func (c *chaos) engineWeather(rng *rand.Rand) error {
	c.engine.Lock()
	defer c.engine.Unlock()
	return weather(c.site.chProxy, rng, true)
}

// weather makes a network bad for some seconds.
func weather(p *faultproxy.Proxy, rng *rand.Rand, refuses bool) error {
	kinds := []faultproxy.Weather{
		{BlackHole: true}, {Latency: 100 * time.Millisecond}, {BytesPerSecond: 50_000}, {Refuse: true},
	}
	var err error
	switch n := rng.IntN(len(kinds)); {
	case n == 3 && !refuses:
		p.Reset()
	default:
		if err = p.Set(kinds[n]); n == 3 {
			p.Reset()
		}
	}
	last(between(rng, 2*time.Second, 12*time.Second))
	return errors.Join(err, p.Heal())
}

func (c *chaos) killBroker(rng *rand.Rand) error {
	c.kafka.Lock()
	defer c.kafka.Unlock()
	return errors.Join(c.site.broker.end(syscall.SIGKILL), after(between(rng, 0, 6*time.Second), c.site.broker.start))
}

// cutKafka loses answers of the exchanges that matter: a produce (of records
// or a checkpoint), a commit, a join, a fetch.
func (c *chaos) cutKafka(rng *rand.Rand) error {
	c.kafka.Lock()
	defer c.kafka.Unlock()
	keys := []byte{0, 1, 8, 8, 8, 11, 12, 14} // produce, fetch, commit, join, heartbeat, sync
	lost := c.site.kafkaProxy.Cut(faultproxy.Cut{Match: faultproxy.KafkaKey(keys[rng.IntN(len(keys))]), Times: 1 + rng.IntN(4)})
	select {
	case <-lost:
		c.count("  Kafka's answers lost")
	case <-time.After(10 * time.Second): // nobody asks that now
	}
	return c.site.kafkaProxy.Heal()
}

func (c *chaos) kafkaWeather(rng *rand.Rand) error {
	c.kafka.Lock()
	defer c.kafka.Unlock()
	return weather(c.site.kafkaProxy, rng, false)
}

func (c *chaos) killNode(rng *rand.Rand) error {
	c.kafka.Lock()
	defer c.kafka.Unlock()
	i := rng.IntN(c.site.apache.Nodes())
	if err := c.site.apache.Kill(i); err != nil {
		return err
	}
	last(between(rng, 0, 8*time.Second))
	return c.startNode(i)
}

func (c *chaos) pauseNode(rng *rand.Rand) error {
	c.kafka.Lock()
	defer c.kafka.Unlock()
	i := rng.IntN(c.site.apache.Nodes())
	if err := c.site.apache.Pause(i); err != nil {
		return err
	}
	last(between(rng, 2*time.Second, 12*time.Second))
	return c.site.apache.Resume(i)
}

func (c *chaos) startNode(i int) error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	return c.site.apache.StartNode(ctx, i)
}
