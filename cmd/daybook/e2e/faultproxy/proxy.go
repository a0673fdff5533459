package faultproxy

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Weather is what happens to every connection until it changes. The zero value
// is a perfect network.
type Weather struct {
	Latency        time.Duration // of every read, in each direction
	BytesPerSecond int           // in each direction of a connection; 0: no limit
	BlackHole      bool          // connections stay and open, nothing passes; it passes afterwards
	Refuse         bool          // nobody listens; connections that exist stay
}

// Cut ends connections in the middle of an exchange.
type Cut struct {
	// Match is given a piece of what the client sends, at least the beginning of
	// a request as it was written; nil: any.
	Match func(request []byte) bool
	// Request cuts the request after so many bytes of it instead of the answer.
	Request bool
	// After is how many bytes pass before the cut. 0 with the answer: the server
	// has obeyed and the client never hears of it.
	After int
	// Times is how often; 0 is once.
	Times int
}

// Contains matches a request that holds the text.
func Contains(text string) func([]byte) bool {
	return func(request []byte) bool { return bytes.Contains(request, []byte(text)) }
}

// KafkaKey matches a request of Kafka's protocol by its API key: 0 produce, 1
// fetch, 8 offset commit, 12 heartbeat.
func KafkaKey(key byte) func([]byte) bool {
	return func(request []byte) bool { return len(request) >= 6 && request[4] == 0 && request[5] == key }
}

// Proxy forwards what comes to its address to a target.
type Proxy struct {
	addr   string
	target string
	closed chan struct{}
	all    sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while it refuses
	weather  Weather
	changed  chan struct{} // closed and replaced when the weather changes
	cuts     []*pending
	conns    map[*conn]struct{}
}

// pending is a Cut with what is left of it.
type pending struct {
	Cut

	left int
	done chan struct{}
}

// Start listens on an address, host:port; port 0 takes a free one, which a
// Proxy that refuses for a while may lose to another process.
func Start(listen, target string) (*Proxy, error) {
	p := &Proxy{addr: listen, target: target, closed: make(chan struct{}), changed: make(chan struct{}), conns: make(map[*conn]struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.listen(); err != nil {
		return nil, err
	}
	p.addr = p.listener.Addr().String()
	return p, nil
}

// Addr is where clients come to.
func (p *Proxy) Addr() string { return p.addr }

// listen opens the address; the caller holds the lock.
func (p *Proxy) listen() error {
	l, err := net.Listen("tcp", p.addr) //nolint:noctx // a listener that lives until Close
	if err != nil {
		return fmt.Errorf("start proxy: %w", err)
	}
	p.listener = l
	p.all.Go(func() { p.accept(l) })
	return nil
}

func (p *Proxy) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return // closed: it refuses, or ends
		}
		p.all.Go(func() { p.serve(client) })
	}
}

// Set changes the weather for every connection at once.
func (p *Proxy) Set(w Weather) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.weather = w
	close(p.changed)
	p.changed = make(chan struct{})
	switch {
	case w.Refuse && p.listener != nil:
		err := p.listener.Close()
		p.listener = nil
		return err
	case !w.Refuse && p.listener == nil:
		return p.listen()
	}
	return nil
}

// Cut arms a cut; the channel is closed when it has happened as often as asked.
func (p *Proxy) Cut(c Cut) <-chan struct{} {
	one := &pending{Cut: c, left: max(1, c.Times), done: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cuts = append(p.cuts, one)
	return one.done
}

// Heal makes the network perfect again and disarms every cut.
func (p *Proxy) Heal() error {
	p.mu.Lock()
	p.cuts = nil
	p.mu.Unlock()
	return p.Set(Weather{})
}

// Reset ends every connection at once, as a router that restarts does, and
// tells how many there were.
func (p *Proxy) Reset() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.reset()
	}
	return len(p.conns)
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() error {
	p.mu.Lock()
	select {
	case <-p.closed:
		p.mu.Unlock()
		return nil
	default:
	}
	close(p.closed)
	var err error
	if p.listener != nil {
		err = p.listener.Close()
	}
	p.mu.Unlock()
	p.Reset()
	p.all.Wait()
	return err
}

// take gives the cut that a piece of a request calls for, and counts it.
func (p *Proxy) take(request []byte) *Cut {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.cuts {
		if one.left > 0 && (one.Match == nil || one.Match(request)) {
			one.left--
			return &one.Cut
		}
	}
	return nil
}

// happened closes the channel of a cut that was the last of its kind.
func (p *Proxy) happened(c *Cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.cuts {
		if &one.Cut != c || one.left > 0 {
			continue
		}
		select {
		case <-one.done:
		default:
			close(one.done)
		}
	}
}

// errClosed ends a wait of a proxy that is closed.
var errClosed = errors.New("the proxy is closed")

// pass waits as the weather asks before n bytes go on.
func (p *Proxy) pass(n int) error {
	for {
		p.mu.Lock()
		w, changed := p.weather, p.changed
		p.mu.Unlock()
		if w.BlackHole {
			select {
			case <-changed:
				continue
			case <-p.closed:
				return errClosed
			}
		}
		d := w.Latency
		if w.BytesPerSecond > 0 {
			d += time.Duration(n) * time.Second / time.Duration(w.BytesPerSecond)
		}
		if d == 0 {
			return nil
		}
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-p.closed:
			return errClosed
		}
	}
}
