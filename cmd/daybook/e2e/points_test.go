package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"daybook/clickhouse"
	"daybook/pipeline"
	"daybook/pipeline/source"
)

var (
	everyPoint  = flag.Bool("points.all", false, "every step at its first, second and a random occurrence, by kill, pause and error; else each by one kill")
	onlyPoints  = flag.String("points.only", "", "regular expression of the steps to try, such as ^written@.*:pause")
	randomKills = flag.Int("kills", 5, "random SIGKILLs of workers, engine and broker")
)

// stepNames lists every step at which a worker can be armed.
func stepNames() []string {
	return slices.Concat(pipeline.Points(), clickhouse.Points(), source.Points())
}

// life is a worker that is armed at one step.
type life struct {
	point  string
	n      int
	action string
}

func (l life) String() string { return fmt.Sprintf("%s@%d:%s", l.point, l.n, l.action) }

// lives lists what the test goes through.
func lives(rng *rand.Rand) []life {
	var all []life
	for _, point := range stepNames() {
		if !*everyPoint {
			all = append(all, life{point, 1 + rng.IntN(3), "kill"})
			continue
		}
		for _, action := range []string{"kill", "pause", "error"} {
			all = append(all, life{point, 1, action}, life{point, 2, action}, life{point, 3 + rng.IntN(6), action})
		}
	}
	only := regexp.MustCompile(*onlyPoints)
	return slices.DeleteFunc(all, func(l life) bool { return !only.MatchString(l.String()) })
}

// pointsRig is a site under traffic whose workers die at steps.
type pointsRig struct {
	t       *testing.T
	site    *site
	chaos   *chaos
	traffic *traffic
}

// startRig starts a site and lets traffic flow until stop is called.
func startRig(t *testing.T, cfg siteConfig, perSecond int) (r *pointsRig, stop func()) {
	t.Helper()
	seed := *soakSeed
	if seed == 0 {
		seed = rand.Uint64N(1 << 32)
	}
	t.Logf("seed %d", seed)
	s := startSite(t, cfg)
	r = &pointsRig{t: t, site: s, chaos: newChaos(s, t.Logf)}
	var err error
	if r.traffic, err = newTraffic(s, seed, perSecond, 10*time.Minute); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { r.traffic.run(ctx) })
	return r, func() { cancel(); done.Wait() }
}

// settle checks that nothing is lost, twice or different.
func (r *pointsRig) settle() {
	r.t.Helper()
	for _, w := range r.site.workers {
		if w.pid() == 0 {
			r.must(w.start())
		}
	}
	r.must(r.site.settle(startLimit))
	found, err := r.site.check(r.traffic, true)
	r.must(err)
	if !found.clean() {
		r.t.Errorf("lost %d, twice %d, different %d\n%s", found.lost, found.twice, found.different, found.notes)
	}
	if n := r.traffic.records.Load(); n == 0 {
		r.t.Error("there was no traffic")
	}
}

func (r *pointsRig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// Whatever step of the protocol a worker dies in, wakes up in after its
// partitions went to another, or sees fail: the tables are those of the log.
func TestPoints_LeaveTheTablesOfTheLog(t *testing.T) {
	t.Parallel()
	r, stop := startRig(t, siteConfig{workers: 2, partitions: 2, session: 2 * time.Second, checkpoint: 200 * time.Millisecond}, 400)
	rng := rand.New(rand.NewPCG(r.traffic.seed, 3))
	all := lives(rng)
	for i, l := range all {
		begin := time.Now()
		switch l.action {
		case "kill":
			r.killAt(l)
		case "pause":
			r.pauseAt(l)
		default:
			r.failAt(l)
		}
		t.Logf("%d of %d: %s, %s", i+1, len(all), l, time.Since(begin).Round(10*time.Millisecond))
	}
	stop()
	r.settle()
}

// strike starts the first worker armed and waits until the step strikes.
func (r *pointsRig) strike(l life) *part {
	r.t.Helper()
	w := r.site.workers[0]
	r.must(w.end(syscall.SIGKILL))
	if err := os.Remove(w.log); err != nil && !errors.Is(err, os.ErrNotExist) {
		r.t.Fatal(err)
	}
	r.must(w.start("DAYBOOK_FAILPOINT=" + l.String()))
	if slices.Contains([]string{pipeline.PointAssigned, pipeline.PointRestored, pipeline.PointReleased}, l.point) {
		ctx, cancel := context.WithCancel(r.t.Context())
		var done sync.WaitGroup
		done.Go(func() { r.rebalance(ctx) })
		defer func() { cancel(); done.Wait() }()
	}
	if !r.chaos.strikes(w, l.action, time.Minute) {
		r.t.Fatalf("%s did not strike\n%s", l, w.tail())
	}
	return w
}

// rebalance lets the second worker come and go: some steps are taken once a
// generation.
func (r *pointsRig) rebalance(ctx context.Context) {
	heir := r.site.workers[1]
	for ctx.Err() == nil {
		wait(ctx, time.Second)
		if err := errors.Join(heir.start(), r.ownsSome(ctx, heir), heir.end(syscall.SIGTERM)); err != nil && ctx.Err() == nil {
			r.t.Error(err)
			return
		}
	}
}

func (r *pointsRig) ownsSome(ctx context.Context, w *part) error {
	for ctx.Err() == nil && r.owned(ctx, w) == 0 {
		wait(ctx, 20*time.Millisecond)
	}
	return ctx.Err()
}

func (r *pointsRig) killAt(l life) {
	r.t.Helper()
	r.strike(l)
}

// pauseAt wakes the worker when another one has its partitions.
func (r *pointsRig) pauseAt(l life) {
	r.t.Helper()
	zombie, heir := r.strike(l), r.site.workers[1]
	r.must(heir.start())
	r.await("the heir to own every partition", func() bool { return r.owned(r.t.Context(), heir) == r.site.cfg.partitions })
	zombie.signal(syscall.SIGCONT)
	r.await("the zombie to be a worker again, or gone", func() bool { return zombie.pid() == 0 || r.owned(r.t.Context(), zombie) > 0 })
	r.must(heir.end(syscall.SIGTERM))
}

// failAt lets a step fail; the worker goes on from its last checkpoint.
func (r *pointsRig) failAt(l life) {
	r.t.Helper()
	w := r.strike(l)
	r.await("the worker to own every partition again", func() bool { return w.pid() == 0 || r.owned(r.t.Context(), w) == r.site.cfg.partitions })
	if w.pid() == 0 {
		r.t.Errorf("%s ended the worker:\n%s", l, w.tail())
	}
}

// owned counts the partitions that a worker has reported as its own.
func (r *pointsRig) owned(ctx context.Context, w *part) int {
	n, err := r.site.number(ctx, "SELECT toInt64(count()) FROM partitions WHERE owned AND worker LIKE '%/"+strconv.Itoa(w.pid())+"'")
	if err != nil {
		return 0 // the engine is down
	}
	return int(n)
}

func (r *pointsRig) await(what string, holds func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), startLimit)
	defer cancel()
	for !holds() {
		if ctx.Err() != nil {
			r.t.Fatalf("waited %s in vain: %s", startLimit, what)
		}
		wait(ctx, 20*time.Millisecond)
	}
}

// Workers, engine and broker die at random instants, as processes do.
func TestKills_AtRandom(t *testing.T) {
	t.Parallel()
	r, stop := startRig(t, siteConfig{workers: 2, partitions: 4, session: 2 * time.Second, checkpoint: time.Second}, 1000)
	rng := rand.New(rand.NewPCG(r.traffic.seed, 4))
	for _, w := range r.site.workers {
		r.must(w.start())
	}
	for i := range *randomKills {
		k := []fault{
			{"worker SIGKILL", 3, (*chaos).killWorker}, {"engine SIGKILL", 1, (*chaos).killEngine}, {"broker SIGKILL", 1, (*chaos).killBroker},
		}
		before, err := r.progress()
		r.must(err)
		one := draw(rng, k)
		r.chaos.one(one, rng)
		r.must(r.chaos.failed())
		r.await("the tables to go on", func() bool {
			now, err := r.progress()
			return err == nil && now > before
		})
		wait(t.Context(), between(rng, 0, time.Second)) // the next one at any instant
		t.Logf("%d of %d: %s", i+1, *randomKills, one.name)
	}
	stop()
	r.settle()
}

// progress is how far the log is in the tables, over all partitions.
func (r *pointsRig) progress() (int64, error) {
	n, err := r.site.number(r.t.Context(), "SELECT toInt64(sum(next_offset)) FROM partitions")
	if errors.Is(err, io.EOF) {
		return 0, nil
	}
	return n, err
}
