package e2e

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"daybook/pipeline/source"
	"daybook/schemas"
)

// probes are single events among a load, each the first one of a new user, so
// that each starts a session. They are sent at instants that are fixed
// beforehand, and looked for until they show. Latency counts from that instant,
// so that what waits because something else was slow counts whole, and to the
// end of the answer in which the row was, so that looking is part of it.
type probes struct {
	m       *bench
	network string

	mu     sync.Mutex
	sent   []time.Time // intended
	shows  [probeKinds][]time.Duration
	lowest [probeKinds]int // all below have shown
	err    error
	seen   chan struct{} // of size one: one has shown
}

// What is looked for.
const (
	probeEvent   = iota // the event's row, by SQL
	probeSession        // its session's first row, by SQL
	probeAPI            // the session, by the read API; one probe a second
	probeKinds
)

func probeNames() [probeKinds]string {
	return [...]string{"event's row, SQL", "session's first row, SQL", "session, read API"}
}

const (
	probesPerSecond = 200
	probeEvery      = 100 * time.Millisecond // between two looks by SQL
	probeAPIEvery   = 200 * time.Millisecond // between two questions to the read API
)

// newProbes are of a network of their own, a small part of what every partition
// has, in one place of the tables.
func (m *bench) newProbes(network string) *probes {
	m.tb.Helper()
	m.run("network", "set", network, "--zone", "UTC")
	return &probes{m: m, network: network, seen: make(chan struct{}, 1)}
}

func (p *probes) user(i int) string { return fmt.Sprintf("probe-%09d", i) }

func (p *probes) send(ctx context.Context, to *source.Producer, at time.Time) error {
	p.mu.Lock()
	n := len(p.sent)
	p.sent = append(p.sent, at)
	for kind := range p.shows {
		p.shows[kind] = append(p.shows[kind], -1)
	}
	p.mu.Unlock()
	user := p.user(n)
	value := schemas.AppendEvent(nil, &schemas.Event{
		ID: []byte(user), Source: []byte("probe"), Network: []byte(p.network), User: []byte(user), TimeMs: at.UnixMilli(), Action: []byte("view"),
	})
	return to.Send(ctx, &source.Outgoing{Key: []byte(p.network + "/" + user), Value: value, Partition: -1})
}

// watch looks for the rows until the context ends.
func (p *probes) watch(ctx context.Context) {
	var looking sync.WaitGroup
	every := func(interval time.Duration, do func() error) {
		looking.Go(func() {
			tick := time.NewTicker(interval)
			defer tick.Stop()
			for ctx.Err() == nil {
				p.note(do())
				<-tick.C
			}
		})
	}
	every(probeEvery, func() error { return p.look(ctx, probeEvent, "events_versions") })
	every(probeEvery, func() error { return p.look(ctx, probeSession, "sessions_versions") })
	every(probeAPIEvery, func() error { return p.ask(ctx) })
	looking.Wait()
}

// note keeps the first error that is no end.
func (p *probes) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && p.err == nil && !strings.Contains(err.Error(), context.Canceled.Error()) {
		p.err = err
	}
}

// look asks once for the rows from the first on that has not shown. It asks the tables:
// their views show a row at the same instant, and to ask them twenty times a second
// would be a load of its own.
func (p *probes) look(ctx context.Context, kind int, table string) error {
	p.mu.Lock()
	from := p.lowest[kind]
	p.mu.Unlock()
	answer, err := p.m.ask(ctx, fmt.Sprintf("SELECT DISTINCT user_id FROM daybook.%s WHERE network_id = '%s' AND user_id >= '%s' SETTINGS max_threads = 1", table, p.network, p.user(from)), nil)
	if err != nil || answer == "" {
		return err
	}
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	shows := p.shows[kind]
	for user := range strings.Lines(answer) {
		var i int
		if _, err := fmt.Sscanf(user, "probe-%d", &i); err != nil || i >= len(shows) {
			return fmt.Errorf("a row of an unknown probe %q", user)
		}
		if shows[i] < 0 {
			shows[i] = now.Sub(p.sent[i])
		}
	}
	for p.lowest[kind] < len(shows) && shows[p.lowest[kind]] >= 0 {
		p.lowest[kind]++
	}
	p.tell()
	return nil
}

// ask asks the read API for one session after the other, until one is not there:
// questions for all that wait would be a load of their own.
func (p *probes) ask(ctx context.Context) error {
	for {
		p.mu.Lock()
		i := p.lowest[probeAPI]
		known := i < len(p.sent)
		p.mu.Unlock()
		if !known {
			return nil
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.m.api+"/v1/networks/"+p.network+"/sessions?user="+p.user(i), http.NoBody)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+p.m.key)
		answer, err := answerOf(req)
		if err != nil && strings.Contains(err.Error(), "status 404") {
			return nil // the user is not known yet
		}
		if err != nil || !strings.Contains(answer, `"session_id"`) {
			return err
		}
		p.mu.Lock()
		p.shows[probeAPI][i] = time.Since(p.sent[i])
		p.lowest[probeAPI] += probesPerSecond
		p.tell()
		p.mu.Unlock()
	}
}

// waiting is how many probes have not shown.
func (p *probes) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.sent) - min(p.lowest[probeEvent], p.lowest[probeSession], p.lowest[probeAPI])
}

// tell wakes who waits for probes to show.
func (p *probes) tell() {
	select {
	case p.seen <- struct{}{}:
	default:
	}
}

// awaitAll returns when every probe has shown, or after a limit: latencies counts
// those that have not.
func (p *probes) awaitAll(limit time.Duration) {
	over := time.NewTimer(limit)
	defer over.Stop()
	for p.waiting() > 0 {
		select {
		case <-p.seen:
		case <-over.C:
			return
		}
	}
}

// latencies gives the latencies of the probes that were sent from one instant
// to another, sorted; missing counts those that never showed.
func (p *probes) latencies(kind int, from, to time.Time) (sorted []time.Duration, missing int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, at := range p.sent {
		switch took := p.shows[kind][i]; {
		case at.Before(from) || !at.Before(to) || (kind == probeAPI && i%probesPerSecond != 0):
		case took < 0:
			missing++
		default:
			sorted = append(sorted, took)
		}
	}
	slices.Sort(sorted)
	return sorted, missing
}

// percentile is the least that a share of all is not above.
func percentile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(share*float64(len(sorted))))-1)]
}
