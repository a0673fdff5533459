package simtest

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	seedFlag  = flag.Uint64("sim.seed", 1, "seed of the first traffic")
	planFlag  = flag.Uint64("sim.plan", 0, "seed of the first plan; 0: as that of the traffic")
	countFlag = flag.Int("sim.n", 2000, "pairs of traffic and plan to run")
	traceFlag = flag.Bool("sim.v", false, "print traffic, plan and trace of the pair")
)

func TestMain(m *testing.M) {
	flag.Parse()
	debug.SetGCPercent(800) // a run lives for milliseconds: the collector would be busier than the runs
	debug.SetMemoryLimit(2 << 30)
	os.Exit(m.Run())
}

// pair is what a run is drawn from.
type pair struct{ seed, plan uint64 }

func (p pair) String() string { return fmt.Sprintf("-sim.seed %d -sim.plan %d", p.seed, p.plan) }

// pairs gives the pairs that the flags ask for.
func pairs() []pair {
	all := make([]pair, *countFlag)
	for i := range all {
		all[i] = pair{*seedFlag + uint64(i), *seedFlag + uint64(i)}
		if *planFlag != 0 {
			all[i].plan = *planFlag + uint64(i)
		}
	}
	return all
}

// TestSimulator runs traffic under plans, whose tables must equal those of the
// reference. A pair that fails is shrunk and printed.
func TestSimulator(t *testing.T) {
	all, begin := pairs(), time.Now()
	if *traceFlag {
		all = all[:1]
	}
	var runs counters
	stop := showProgress(&runs.done, len(all))
	bad := hunt(t, all, none, &runs)
	stop()
	t.Logf("%d pairs in %v; %v", runs.done.Load(), time.Since(begin).Round(time.Millisecond), runs.String())
	if *traceFlag {
		tr, p := newTraffic(all[0].seed), newPlan(all[0].plan)
		out := simulate(t, tr, p, none, true)
		t.Logf("%v\n%v\n%s", tr, p, strings.Join(out.trace, "\n"))
	}
	if bad != nil {
		t.Logf("%v fails, shrinking: %s", bad.pair, bad.failure)
		tr, p, out := shrink(t, newTraffic(bad.pair.seed), newPlan(bad.pair.plan), none)
		t.Fatalf("%v fails; shrunk to\n%v%v\n%s\n%s", bad.pair, tr, p, out.failure, strings.Join(out.trace, "\n"))
	}
}

// showProgress prints how far a long hunt is, with -v.
func showProgress(done *atomic.Int64, all int) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick, begin := time.NewTicker(10*time.Second), time.Now()
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				n, took := done.Load(), time.Since(begin)
				if testing.Verbose() && n > 0 {
					left := time.Duration(float64(took) / float64(n) * float64(int64(all)-n))
					fmt.Fprintf(os.Stderr, "simulator: %d of %d pairs, %.0f/s, %v left\n", n, all, float64(n)/took.Seconds(), left.Round(time.Second))
				}
			case <-end:
				return
			}
		}
	}()
	return func() { close(end); <-ended }
}

// found is a pair that failed.
type found struct {
	pair    pair
	failure string
}

// counters tell what befell.
type counters struct {
	done   atomic.Int64
	mu     sync.Mutex
	faults map[string]int
}

func (c *counters) add(faults map[string]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.faults == nil {
		c.faults = make(map[string]int)
	}
	for k, n := range faults {
		c.faults[k] += n
	}
}

// String gives the faults by what they did.
func (c *counters) String() string { return strings.TrimPrefix(fmt.Sprint(c.faults), "map") }

// hunt runs pairs on all cores until one fails, and gives the first that did.
func hunt(t *testing.T, all []pair, m mutant, runs *counters) *found {
	t.Helper()
	var next atomic.Int64
	var bad atomic.Pointer[found]
	t.Run("runs", func(t *testing.T) {
		for core := range runtime.GOMAXPROCS(0) {
			t.Run(strconv.Itoa(core), func(t *testing.T) {
				t.Parallel()
				for bad.Load() == nil {
					i := int(next.Add(1)) - 1
					if i >= len(all) {
						return
					}
					out := simulate(t, newTraffic(all[i].seed), newPlan(all[i].plan), m, false)
					runs.done.Add(1)
					runs.add(out.faults)
					if out.failure != "" {
						bad.CompareAndSwap(nil, &found{all[i], out.failure})
					}
				}
			})
		}
	})
	return bad.Load()
}

// One pair is one history: the same seeds give the same trace, call by call,
// whatever the scheduler does.
func TestSimulator_RepeatsItself(t *testing.T) {
	for i := range uint64(60) {
		first := simulate(t, newTraffic(i), newPlan(i+1000), none, true)
		for range 2 {
			again := simulate(t, newTraffic(i), newPlan(i+1000), none, true)
			if again.failure+first.failure != "" {
				t.Errorf("%v fails: %s%s", pair{i, i + 1000}, first.failure, again.failure)
			}
			if again.sum == first.sum {
				continue
			}
			n := 0
			for n < min(len(first.trace), len(again.trace))-1 && first.trace[n] == again.trace[n] {
				n++
			}
			t.Errorf("%v went in two ways after\n%s\nonce\n%s\nonce\n%s", pair{i, i + 1000}, strings.Join(first.trace[max(0, n-5):n], "\n"), first.trace[n], again.trace[n])
			break
		}
	}
}
