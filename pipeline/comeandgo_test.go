package pipeline

import (
	"context"
	"fmt"
	"math/rand"
	"sync/atomic"
	"testing"
	"time"

	"daybook/schemas"
)

// Three workers join and leave: nothing is lost, nothing is read twice, and who
// keeps a partition over a rebalance goes on with the state in its memory.
func TestWorker_ComeAndGoLosesAndRepeatsNothing(t *testing.T) {
	const rounds, perRound = 14, 60
	r := newRig(t, 6)
	base := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	r.network("acme")
	ids := upTo(rounds * perRound)
	seed := rand.New(rand.NewSource(3))
	seed.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })

	var workers []*running
	present := map[string]*running{}
	for round := range rounds {
		name := []string{"a", "b", "c"}[seed.Intn(3)]
		w := present[name]
		switch {
		case w == nil:
			present[name] = r.launch(fmt.Sprint(name, round), nil) // another process each time
			workers = append(workers, present[name])
		case len(present) > 1:
			if err := w.stop(); err != nil {
				t.Errorf("worker %s: %v", name, err)
			}
			delete(present, name)
		}
		// Rebalances happen among records, not in a pause between them.
		r.produce(base, ids[round*perRound:(round+1)*perRound]...)
		r.settled()
	}
	for name, w := range present {
		if err := w.stop(); err != nil {
			t.Errorf("worker %s: %v", name, err)
		}
	}
	if sessions, events := r.count(); sessions != len(ids) || events != len(ids) {
		t.Errorf("got %d sessions of %d events, want %d of each", sessions, events, len(ids))
	}
	read, produced := int64(0), int64(0)
	for _, w := range workers {
		read += w.counter(t, "daybook_worker_records_total")
	}
	for _, n := range r.produced {
		produced += n
	}
	if read != produced {
		t.Errorf("%d records applied by %d workers, %d produced", read, len(workers), produced)
	}
	warm, moved := r.resumes.check(t)
	if warm == 0 || moved == 0 {
		t.Errorf("%d warm resumes, %d partitions moved: nothing was shown", warm, moved)
	}
	t.Logf("%d workers in turn, %d partitions moved, %d kept and resumed warm", len(workers), moved, warm)
}

// restless ends each generation as soon as the worker has written once in it.
type restless struct {
	Group

	wrote       chan struct{}
	over        atomic.Value // <-chan struct{}: closed when the generation ends
	generations int
}

func (g *restless) Next(ctx context.Context) (Generation, error) {
	gen, err := g.Group.Next(ctx)
	if err != nil {
		return nil, err
	}
	g.generations++
	g.over.Store(gen.Context().Done())
	select {
	case <-g.wrote: // of the generation before
	default:
	}
	go func() {
		select {
		case <-g.wrote:
			gen.End()
		case <-gen.Context().Done():
		}
	}()
	return gen, nil
}

// signalling tells of each write, which ends with its generation.
type signalling struct {
	Store

	g *restless
}

func (s signalling) WriteRows(ctx context.Context, rows schemas.Rows) error {
	err := s.Store.WriteRows(ctx, rows)
	select {
	case s.g.wrote <- struct{}{}:
	default:
	}
	<-s.g.over.Load().(<-chan struct{})
	return err
}

// Generations shorter than the checkpoint interval: what was written in one is
// committed when it ends, so the next goes on behind it.
func TestWorker_ShortGenerationsMakeProgress(t *testing.T) {
	r := newRig(t, 1)
	r.network("acme")
	r.produce(time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC), upTo(120)...)
	g := &restless{wrote: make(chan struct{}, 1)}
	w := r.launch("a", func(cfg *Config, join *Join, store *Store) {
		cfg.CheckpointEvery, cfg.CheckpointIdle, cfg.BatchRecords = time.Hour, 1<<40, 5
		plain := *join
		*join = func() (group Group, err error) {
			g.Group, err = plain()
			return g, err
		}
		*store = signalling{r.store, g}
	})
	r.settled()
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	if sessions, events := r.count(); sessions != 120 || events != 120 {
		t.Errorf("got %d sessions of %d events, want 120 of 120", sessions, events)
	}
	if read := w.counter(t, "daybook_worker_records_total"); read != r.produced[0] {
		t.Errorf("%d records applied, %d produced: a generation began again behind its predecessor", read, r.produced[0])
	}
	if g.generations < 10 {
		t.Errorf("%d generations: they were not short", g.generations)
	}
	committed, err := r.client.Committed(r.ctx, []int32{0})
	if err != nil || committed[0].Offset != r.produced[0] {
		t.Errorf("committed %v, %v, want %d", committed, err, r.produced[0])
	}
	t.Logf("%d generations for %d records", g.generations, r.produced[0])
}
