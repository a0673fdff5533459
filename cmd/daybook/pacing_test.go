package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"daybook/pipeline/source"
)

// slowWorkers take some records a second of what a producer sends.
type slowWorkers struct {
	sent  atomic.Int64
	rate  int64
	begin time.Time
	most  int64 // that ever waited
}

func (w *slowWorkers) Send(context.Context, *source.Outgoing) error {
	w.sent.Add(1)
	return nil
}

func (w *slowWorkers) Acked() int64 { return w.sent.Load() }

func (w *slowWorkers) Close(context.Context) error { return nil }

func (w *slowWorkers) look(context.Context) (backlog, error) {
	taken := min(w.sent.Load(), int64(time.Since(w.begin).Seconds()*float64(w.rate)))
	b := backlog{waiting: w.sent.Load() - taken, taken: taken, owned: true}
	w.most = max(w.most, b.waiting)
	return b, nil
}

// A paced sender keeps to what the workers take, and lets no more wait than they
// take in the time that they may be behind (and what was sent at the start, when
// nothing was known).
func TestPacer_KeepsToWhatTheWorkersTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &slowWorkers{rate: 40_000, begin: time.Now()}
		p := newPacer(t.Context(), 2*time.Second, slog.New(slog.DiscardHandler), w.look)
		defer p.close()
		s := newSender(w, new(atomic.Int64), 0, p)
		const records = 1_000_000
		for range records {
			if err := s.add(t.Context(), &source.Outgoing{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		took := time.Since(w.begin)
		if took < 20*time.Second || took > 27*time.Second {
			t.Errorf("a million records at 40,000/s took %s: not paced, or held back for nothing", took)
		}
		if w.most > 2*80_000 {
			t.Errorf("%d records waited: more than the workers take in 4 s", w.most)
		}
	})
}

// laggingWorkers take what is there at once, up to a rate, and are seen to have
// taken it a second later: a flush, and a report of it.
type laggingWorkers struct {
	slowWorkers

	taken []int64 // at every look
}

func (w *laggingWorkers) look(context.Context) (backlog, error) {
	const looks = int(time.Second / paceEvery)
	last := int64(0)
	if n := len(w.taken); n > 0 {
		last = w.taken[n-1]
	}
	w.taken = append(w.taken, min(w.sent.Load(), last+int64(paceEvery.Seconds()*float64(w.rate))))
	seen := w.taken[max(0, len(w.taken)-1-looks)]
	return backlog{waiting: w.sent.Load() - seen, taken: seen, owned: true}, nil
}

// Workers that are fast are not held back for long by what is not known of them
// at first: ten seconds of work are let go within ten.
func TestPacer_FindsHowFastTheWorkersAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &laggingWorkers{slowWorkers: slowWorkers{rate: 200_000}}
		p := newPacer(t.Context(), 4*time.Second, slog.New(slog.DiscardHandler), w.look)
		defer p.close()
		s, begin := newSender(w, new(atomic.Int64), 0, p), time.Now()
		for range 2_000_000 {
			if err := s.add(t.Context(), &source.Outgoing{}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("two million records at 200,000/s were let go within %s", took)
		}
	})
}

// Nobody is waited for who takes nothing.
func TestPacer_LetsGoWithoutWorkers(t *testing.T) {
	for name, find := range map[string]func() backlog{
		"unowned": func() backlog { return backlog{waiting: 1 << 30} },
		"stuck":   func() backlog { return backlog{waiting: 1 << 30, taken: 7, owned: true} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPacer(t.Context(), 2*time.Second, slog.New(slog.DiscardHandler), func(context.Context) (backlog, error) { return find(), nil })
				defer p.close()
				begin := time.Now()
				time.Sleep(paceEvery * 3 / 2) // one look: the clock is the test's
				p.wait(1)
				if took := time.Since(begin); took > paceGiveUp+time.Second {
					t.Errorf("waited %s", took)
				}
			})
		})
	}
	if p := newPacer(t.Context(), 0, nil, nil); p != nil {
		t.Error("--behind 0 paces")
	}
}
