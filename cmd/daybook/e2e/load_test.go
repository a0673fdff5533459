package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"daybook/pipeline/source"
	"daybook/schemas"
)

// liveLoad produces events of now at a rate that is fixed beforehand: the instant
// of every one follows from its number, whatever became of those before it.
type liveLoad struct {
	to    *source.Producer
	rng   *rand.Rand
	users *rand.Zipf
	sent  int64

	event  schemas.Event
	agents [][]byte
	key    []byte
	value  []byte
	fields [7][]byte // what differs from event to event
}

// What the load is of: as many people as a network of some size has online, some
// far more active than others.
const (
	loadNetwork    = "load"
	backlogNetwork = "backlog"
	loadUsers      = 100_000
)

func newLiveLoad(to *source.Producer, network string, users uint64) *liveLoad {
	rng := rand.New(rand.NewPCG(5, 6))
	l := &liveLoad{to: to, rng: rng, users: rand.NewZipf(rng, 1.1, 50, users-1), event: schemas.Event{
		Source: []byte("load"), Network: []byte(network), Category: []byte("content"), Action: []byte("view"), Label: []byte("article"),
	}}
	for i := range 40 {
		l.agents = append(l.agents, fmt.Appendf(nil, "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", 103+i))
	}
	return l
}

// send produces one event of about 340 bytes. Its id is random, as those of
// producers are: nothing else in it takes as much room on disk.
func (l *liveLoad) send(ctx context.Context, at time.Time) error {
	l.sent++
	e, f := &l.event, &l.fields
	user, page := l.users.Uint64(), l.rng.Uint64N(10_000)
	write := func(i int, name string, n uint64, base int) []byte {
		f[i] = strconv.AppendUint(append(f[i][:0], name...), n, base)
		return f[i]
	}
	e.ID = write(0, "", l.rng.Uint64(), 16)
	e.ID = strconv.AppendUint(append(e.ID, '-'), l.rng.Uint64(), 16)
	f[0] = e.ID
	e.User, e.DeviceID = write(1, "user-", user, 10), write(2, "device-", user*2+page&1, 10)
	e.ContentID, e.ContentName = write(3, "page-", page, 10), write(4, "The page of number ", page, 10)
	e.URL, e.Props = write(5, "https://example.org/articles/", page, 10), append(write(6, `{"ref":`, l.rng.Uint64N(1_000_000), 10), '}')
	f[6] = e.Props
	e.UserAgent, e.TimeMs = l.agents[user%uint64(len(l.agents))], at.UnixMilli()
	l.value = schemas.AppendEvent(l.value[:0], e)
	l.key = append(append(append(l.key[:0], e.Network...), '/'), e.User...)
	return l.to.Send(ctx, &source.Outgoing{Key: l.key, Value: l.value, Partition: -1})
}

// burst produces events as fast as they are taken, their times spread evenly.
func (l *liveLoad) burst(ctx context.Context, events int64, from, to time.Time) error {
	step := to.Sub(from).Seconds() / float64(events)
	for i := range events {
		if err := l.send(ctx, from.Add(time.Duration(float64(i)*step*float64(time.Second)))); err != nil {
			return err
		}
	}
	return l.to.Flush(ctx)
}

// steady produces events, and probes if there is somebody to look for them,
// until done is closed. It gives how late the latest one was sent.
func (l *liveLoad) steady(ctx context.Context, perSecond float64, watch *probes, done <-chan struct{}) (behind time.Duration, err error) {
	start := time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	sent, probed := int64(0), int64(0)
	for {
		select {
		case <-done:
			return behind, l.to.Flush(ctx)
		case <-tick.C:
		}
		for due := int64(time.Since(start).Seconds() * perSecond); sent < due; sent++ {
			at := start.Add(time.Duration(float64(sent) / perSecond * float64(time.Second)))
			if err := l.send(ctx, at); err != nil {
				return behind, err
			}
			behind = max(behind, time.Since(at))
		}
		if watch == nil {
			continue
		}
		for due := int64(time.Since(start).Seconds() * probesPerSecond); probed < due; probed++ {
			if err := watch.send(ctx, l.to, start.Add(time.Duration(probed)*time.Second/probesPerSecond)); err != nil {
				return behind, err
			}
		}
	}
}

// taken is how many records the workers have reported.
func (m *bench) taken() int64 {
	m.tb.Helper()
	return m.number("SELECT sum(next_offset) FROM daybook.partitions")
}

// lag is how many records the workers have not reported yet.
func (m *bench) lag(s *site) int64 {
	m.tb.Helper()
	lag := -m.taken()
	for p := range s.cfg.partitions {
		_, end, err := s.client.ListOffsets(m.tb.Context(), int32(p))
		if err != nil {
			m.tb.Fatal(err)
		}
		lag += end
	}
	return lag
}

// lagEvery is how often another process is asked how far it is: nothing tells.
const lagEvery = 200 * time.Millisecond

// awaitLag returns when at most so many records wait.
func (m *bench) awaitLag(s *site, most int64, limit time.Duration) {
	m.tb.Helper()
	begin, tick := time.Now(), time.NewTicker(lagEvery)
	defer tick.Stop()
	for ; ; <-tick.C {
		lag := m.lag(s)
		if lag <= most {
			return
		}
		if time.Since(begin) > limit {
			m.tb.Fatalf("%d records still wait after %s", lag, limit)
		}
	}
}

// What always waits while the capacity is measured: some seconds' work, so that no
// partition's runs out between two flushes.
const (
	capacityAhead = 600_000
	capacityBurst = 30_000
)

// capacity measures how many events a second the installation takes for good when
// always some wait. They are produced meanwhile, on this machine, and probes are looked
// for: what their producer, Kafka and the looking take of it counts, and so do merges,
// as all of it will under the loads. A backlog that lies there already goes faster.
func (m *bench) capacity(b *testing.B, s *site, l *liveLoad) float64 {
	b.Helper()
	over := make(chan struct{})
	ended := m.under(b, s, newLiveLoad(l.to, loadNetwork, loadUsers), 0, m.newProbes("probe-capacity"), over)
	tick := time.NewTicker(lagEvery / 4)
	defer tick.Stop()
	from := time.Now().Add(freshSettles)
	to := from.Add(*freshCapacity)
	first, sent := m.taken(), l.sent
	var base int64
	var watch *cores
	for {
		taken, now := m.taken(), time.Now()
		if watch == nil && now.After(from) {
			base, watch = taken, m.watchCores()
		}
		if now.After(to) {
			rate := float64(taken-base) / now.Sub(watch.begin).Seconds()
			say("while the capacity was measured, %s", watch)
			close(over)
			ended()
			return rate
		}
		if l.sent-sent-(taken-first) > capacityAhead {
			<-tick.C
			continue
		}
		if err := l.burst(b.Context(), capacityBurst, now, now); err != nil {
			b.Fatal(err)
		}
	}
}

func perSecond(rate float64) string { return fmt.Sprintf("%.0f events/s", rate) }
