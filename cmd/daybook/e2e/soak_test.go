package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Flags of the soak; `make soak` sets them.
var (
	soakFor    = flag.Duration("soak", 0, "how long the soak does faults; 0: it is not run")
	soakKafka  = flag.Int("soak.kafka", 0, "nodes of Apache Kafka; 0: the embedded broker")
	soakSeed   = flag.Uint64("soak.seed", 0, "seed of traffic and faults; 0: one is drawn and printed")
	soakRate   = flag.Int("soak.rate", 1500, "records a second")
	soakReport = flag.String("soak.report", "", "file for the report, in Markdown; the parts' logs go beside it")
	soakDir    = flag.String("soak.dir", "", "folder for the parts' data, which stays; else a temporary one")
	soakDeep   = flag.Bool("soak.deep", true, "replay the whole log into the reference at the end")
	soakCheck  = flag.Duration("soak.check", 5*time.Minute, "between two stops to verify")
)

// maxBacklog bounds what the producer may be ahead of the tables.
const maxBacklog = 300_000

// soak is one run of the kill loop.
type soak struct {
	*chaos

	traffic *traffic
	seed    uint64
	begin   time.Time
	checks  int
	sum     tally
	out     io.Writer
}

// The kill loop: real processes under load, whose parts are killed, paused,
// cut off and damaged at random; every few minutes everything is read and
// verified, and at the end compared with the reference over the whole log.
func TestSoak(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("it runs for as long as it is told: make soak MINUTES=60")
	}
	s := startSoak(t, siteConfig{workers: 3, partitions: 6, nodes: *soakKafka, session: 4 * time.Second, checkpoint: 2 * time.Second})
	err := errors.Join(s.loop(*soakFor), s.failed())
	if werr := s.report(); err == nil {
		err = werr
	}
	if err != nil {
		t.Error(err)
	}
	if !s.sum.clean() {
		t.Errorf("lost %d, twice %d, different %d (seed %d)\n%s", s.sum.lost, s.sum.twice, s.sum.different, s.seed, strings.Join(s.sum.notes, "\n"))
	}
}

func startSoak(t *testing.T, cfg siteConfig) *soak {
	t.Helper()
	seed := *soakSeed
	if seed == 0 {
		seed = rand.Uint64N(1 << 32)
	}
	s := &soak{seed: seed, begin: time.Now(), out: os.Stdout}
	cfg.dir = *soakDir
	s.chaos = newChaos(startSite(t, cfg), s.say)
	var err error
	if s.traffic, err = newTraffic(s.site, seed, *soakRate, *soakFor); err != nil {
		t.Fatal(err)
	}
	s.say("seed %d, %d workers, %d partitions, %s, %d records/s for %s", seed, cfg.workers, cfg.partitions, kafkaName(cfg.nodes), *soakRate, *soakFor)
	for _, w := range s.site.workers {
		if err := w.start(); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func kafkaName(nodes int) string {
	if nodes == 0 {
		return "embedded broker"
	}
	return fmt.Sprintf("%d nodes of Apache Kafka", nodes)
}

func (s *soak) say(format string, args ...any) {
	fmt.Fprintf(s.out, "soak %s  %s\n", time.Since(s.begin).Round(time.Second), fmt.Sprintf(format, args...))
}

// loop does rounds of traffic and faults, each of which ends with a check.
func (s *soak) loop(length time.Duration) error {
	end := time.Now().Add(length)
	for round := uint64(1); time.Now().Before(end); round++ {
		until := time.Now().Add(*soakCheck)
		if rest := time.Until(end); rest < *soakCheck*3/2 {
			until = end // no round of a few seconds at the end
		}
		s.round(round, until)
		if err := s.verify(!until.Before(end)); err != nil {
			return err
		}
	}
	return nil
}

// round lets traffic and faults run until an instant.
func (s *soak) round(round uint64, until time.Time) {
	ctx, cancel := context.WithDeadline(context.Background(), until)
	defer cancel()
	var all sync.WaitGroup
	producing, stop := context.WithCancel(ctx)
	all.Go(func() { s.produce(producing) })
	all.Go(func() { s.changeSettings(ctx) })
	all.Go(func() { s.progress(ctx) })
	all.Go(func() { s.supervise(ctx) })
	for lane := range uint64(3) {
		rng := rand.New(rand.NewPCG(s.seed, round<<8|lane))
		all.Go(func() { s.lane(ctx, rng, faults(s.site), 8*time.Second) })
	}
	<-ctx.Done()
	stop()
	all.Wait()
}

// produce keeps the backlog bounded: a soak that runs behind tests nothing but
// catching up.
func (s *soak) produce(ctx context.Context) {
	for ctx.Err() == nil {
		if left, err := s.site.backlog(ctx); err == nil && left > maxBacklog {
			wait(ctx, time.Second)
			continue
		}
		some, cancel := context.WithTimeout(ctx, 5*time.Second)
		s.traffic.run(some)
		cancel()
	}
}

func (s *soak) changeSettings(ctx context.Context) {
	for ctx.Err() == nil {
		wait(ctx, 20*time.Second)
		if ctx.Err() == nil {
			_ = s.traffic.change(ctx) // Kafka is down now: another time
		}
	}
}

// progress prints a line now and then.
func (s *soak) progress(ctx context.Context) {
	for before := s.traffic.records.Load(); ctx.Err() == nil; {
		const every = 15 * time.Second
		wait(ctx, every)
		now := s.traffic.records.Load()
		n, _, _ := s.total()
		left, err := s.site.backlog(ctx)
		behind := fmt.Sprintf("%d behind", left)
		if err != nil {
			behind = "a store is down"
		}
		s.say("of %s: %d records, %d/s, %s, %d faults", *soakFor, now, (now-before)/int64(every.Seconds()), behind, n)
		before = now
	}
}

// verify lets everything be read and compares.
func (s *soak) verify(deep bool) error {
	if err := s.site.up(); err != nil {
		return err
	}
	begin := time.Now()
	if err := s.site.settle(startLimit); err != nil {
		return err
	}
	settled := time.Since(begin)
	found, err := s.site.check(s.traffic, deep)
	if err != nil {
		return err
	}
	s.checks++
	s.sum.lost, s.sum.twice, s.sum.different = max(s.sum.lost, found.lost), max(s.sum.twice, found.twice), max(s.sum.different, found.different)
	s.sum.notes = append(s.sum.notes, found.notes...)
	s.say("check %d (deep: %t): settled after %s, lost %d, twice %d, different %d; it took %s", s.checks, deep,
		settled.Round(100*time.Millisecond), found.lost, found.twice, found.different, time.Since(begin).Round(time.Second))
	if !found.clean() {
		return fmt.Errorf("check %d: lost %d, twice %d, different %d\n%s", s.checks, found.lost, found.twice, found.different, strings.Join(found.notes, "\n"))
	}
	return nil
}

// report prints the table, and writes it to the file that was asked for.
func (s *soak) report() error {
	n, kinds, counts := s.total()
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s, seed %d, %s of faults, %d workers, %d partitions\n\n| fault | times |\n|---|---:|\n",
		kafkaName(s.site.cfg.nodes), s.seed, time.Since(s.begin).Round(time.Second), len(s.site.workers), s.site.cfg.partitions)
	part := 0
	for _, k := range kinds {
		if strings.HasPrefix(k, " ") {
			part += counts[k]
			continue
		}
		fmt.Fprintf(&b, "| %s | %d |\n", k, counts[k])
	}
	fmt.Fprintf(&b, "| **together** | %d |\n\n| of these | times |\n|---|---:|\n", n-part)
	for _, k := range kinds {
		if strings.HasPrefix(k, " ") {
			fmt.Fprintf(&b, "| %s | %d |\n", strings.TrimSpace(k), counts[k])
		}
	}
	fmt.Fprintf(&b, "\n| | |\n|---|---:|\n| records acknowledged | %d |\n| of them bad on purpose | %d |\n| batches sent again | %d |\n| changes of settings | %d |\n| checks | %d |\n| **lost** | %d |\n| **twice** | %d |\n| **different** | %d |\n",
		s.traffic.records.Load(), s.traffic.bad.Load(), s.traffic.failed.Load(), s.traffic.settings.Load(), s.checks, s.sum.lost, s.sum.twice, s.sum.different)
	fmt.Fprintln(s.out, b.String())
	if *soakReport == "" {
		return nil
	}
	if err := os.WriteFile(*soakReport, []byte(b.String()), 0o644); err != nil {
		return err
	}
	return s.site.keepLogs(strings.TrimSuffix(*soakReport, filepath.Ext(*soakReport)) + ".logs")
}
