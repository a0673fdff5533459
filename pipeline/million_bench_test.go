package pipeline

import (
	"context"
	"flag"
	"fmt"
	"math/rand"
	"sync"
	"testing"
	"time"

	"daybook/pipeline/broker/brokertest"
	"daybook/pipeline/source"
	"daybook/schemas"
)

var millionUsers = flag.Int("million.users", 1_000_000, "open sessions of BenchmarkMillionSessions")

// BenchmarkMillionSessions measures what a checkpoint of one million open
// sessions of one partition costs: its size and time, the longest time without
// a flush beside it under traffic of 20,000 events a second, and the time from
// assignment to the first record of a worker that resumes at it (architecture
// section 6). Rows are dropped; the broker is the embedded one, over TCP.
func BenchmarkMillionSessions(b *testing.B) {
	users := *millionUsers
	client, err := source.New(source.Config{Brokers: brokertest.Start(b)})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	if err := client.EnsureTopics(b.Context(), source.TopicsConfig{Partitions: 1}); err != nil {
		b.Fatal(err)
	}
	signals := &signals{tb: b, client: client, users: users}
	signals.network()
	for i := range users {
		signals.add(i)
	}
	signals.send()
	for b.Loop() {
		filled := live(b, client, source.Committed{Offset: -1}, time.Hour)
		filled.await(func() bool { return filled.next >= int64(users)+1 })
		pointer := filled.end()
		b.ReportMetric(float64(pointer.Bytes)/1e6, "MB/checkpoint")

		signals.add(0)
		signals.send()
		begin := time.Now()
		resumed := live(b, client, source.Committed{Offset: pointer.Next, Metadata: pointer.String()}, 4*time.Second)
		resumed.await(func() bool { return resumed.next > pointer.Next })
		b.ReportMetric(time.Since(begin).Seconds(), "s-to-first-record")

		stop := signals.flow(20_000)
		flowing := time.Now()
		resumed.await(func() bool { return time.Since(flowing) > time.Second }) // the first checkpoint is not due yet
		b.ReportMetric(resumed.longest(), "ms-pause-without")
		resumed.await(func() bool { return resumed.committed >= 2 })
		b.ReportMetric(resumed.longest(), "ms-pause-with")
		stop()
		resumed.end()
		b.ReportMetric(resumed.p.checkTook.Seconds(), "s/checkpoint")
		b.ReportMetric(0, "ns/op") // says nothing here
	}
}

// signals produces events of about 250 bytes.
type signals struct {
	tb     testing.TB
	client *source.Client
	users  int
	sent   int
	out    []source.Outgoing
}

func (s *signals) network() {
	value, err := schemas.EncodeControl(schemas.Control{Network: "bench", Zone: "UTC", GapMs: schemas.MaxGapMs})
	if err != nil {
		s.tb.Fatal(err)
	}
	if _, err := s.client.AppendControl(s.tb.Context(), 0, value, schemas.SignControl(rigKey, value)); err != nil {
		s.tb.Fatal(err)
	}
}

func (s *signals) add(user int) {
	id := fmt.Sprintf("user-%07d", user)
	s.out = append(s.out, source.Outgoing{
		Key: schemas.AppendKey(nil, "bench", id),
		Value: fmt.Appendf(nil, `{"id":"event-%09d","source":"web","network":"bench","user":%q,"time":%q,"type":"io.daybook.content.content.viewed","device":{"id":"d-%07d","class":"web"},"content":{"id":"article-7"}}`,
			s.sent, id, time.Now().UTC().Format(time.RFC3339Nano), user),
	})
	if s.sent++; len(s.out) >= 10_000 {
		s.send()
	}
}

func (s *signals) send() {
	if err := s.client.Produce(s.tb.Context(), s.out); err != nil && s.tb.Context().Err() == nil {
		s.tb.Error(err)
	}
	s.out = s.out[:0]
}

// flow sends so many events a second, of random users, until it is stopped.
func (s *signals) flow(perSecond int) (stop func()) {
	end := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		const slices = 100
		tick := time.NewTicker(time.Second / slices)
		defer tick.Stop()
		for r := rand.New(rand.NewSource(1)); ; {
			for range perSecond / slices {
				s.add(r.Intn(s.users))
			}
			s.send()
			select {
			case <-tick.C:
			case <-end:
				return
			}
		}
	})
	return func() { close(end); done.Wait() }
}

// oneLife is one life of the partition's worker; it is also its store, which
// drops everything, and its group.
type oneLife struct {
	*memory

	tb   testing.TB
	p    *partition
	stop context.CancelFunc
	done chan error

	next, committed int64
	last            time.Time     // of the last flush
	pause           time.Duration // longest since longest was asked
}

func live(tb testing.TB, client *source.Client, at source.Committed, checkpoints time.Duration) *oneLife {
	tb.Helper()
	cfg := Config{
		Topic: schemas.TopicEvents, Epoch: 1, Partitions: 1, Worker: "bench", ControlKey: rigKey, Drain: time.Minute,
		CheckpointEvery: checkpoints, CheckpointIdle: 1 << 40, CheckpointBytes: 1 << 40, FlushAge: 20 * time.Millisecond,
	}.withDefaults()
	l := &oneLife{memory: newMemory(), tb: tb, done: make(chan error, 1)}
	l.p = newPartition(0, &cfg, client, l, l, newMetrics(cfg.Registerer))
	ctx, cancel := context.WithCancel(tb.Context())
	l.stop = cancel
	go func() { l.done <- l.p.run(ctx, at, nil) }()
	return l
}

// dropped are rows of which only the position is kept.
type dropped struct{ next int64 }

func (d *dropped) Add(f *schemas.Flush) { d.next = f.Next }

func (d *dropped) Release() {}

func (l *oneLife) NewRows() schemas.Rows { return &dropped{} }

// WriteRows takes note of a flush and drops it.
func (l *oneLife) WriteRows(_ context.Context, rows schemas.Rows) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !l.last.IsZero() {
		l.pause = max(l.pause, now.Sub(l.last))
	}
	l.last, l.next = now, rows.(*dropped).next
	l.notify()
	return nil
}

func (l *oneLife) Commit(context.Context, int32, int64, string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.committed++
	l.notify()
	return nil
}

func (l *oneLife) End() {}

func (l *oneLife) await(ok func() bool) {
	l.memory.await(l.tb.Context(), l.tb, "the worker", ok)
}

// longest gives the longest time between two flushes since it was last asked, in ms.
func (l *oneLife) longest() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	pause := l.pause
	l.pause = 0
	return float64(pause.Microseconds()) / 1000
}

// end lets the partition go and gives its last checkpoint.
func (l *oneLife) end() source.Pointer {
	l.stop()
	if err := <-l.done; err != nil {
		l.tb.Fatal(err)
	}
	return l.p.pointer
}
