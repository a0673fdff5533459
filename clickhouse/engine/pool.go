package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// role is what a connection may do; the engine enforces it by grants.
type role string

const (
	roleApp    role = "app"
	roleReader role = "reader"
)

// pool owns the engine's idle connections, by role, and the turns: at most
// cap(turns) statements run at once, at most maxQueued wait.
type pool struct {
	open     func(role) (*conn, error)
	turns    chan struct{} // one token a running statement; capacity MaxConnections
	readers  chan struct{} // one more a reader's; capacity half of that
	queued   atomic.Int64
	maxQueue int64
	wait     time.Duration

	mu     sync.Mutex
	idle   map[role][]*conn
	closed bool
}

func newPool(c Config, open func(role) (*conn, error)) *pool {
	return &pool{
		open: open, turns: make(chan struct{}, c.MaxConnections), readers: make(chan struct{}, max(1, c.MaxConnections/2)),
		maxQueue: int64(c.MaxQueued), wait: c.QueueTimeout, idle: map[role][]*conn{},
	}
}

// turn waits for the right to run a statement. The caller gives it back by
// calling free. Readers need a reader's turn first: people with slow questions
// must not keep the product from writing.
func (p *pool) turn(ctx context.Context, r role) (free func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.wait, errNoTurn)
	defer cancel()
	if r != roleReader {
		if err := p.take(ctx, p.turns); err != nil {
			return nil, err
		}
		return func() { <-p.turns }, nil
	}
	if err := p.take(ctx, p.readers); err != nil {
		return nil, err
	}
	if err := p.take(ctx, p.turns); err != nil {
		<-p.readers
		return nil, err
	}
	return func() { <-p.turns; <-p.readers }, nil
}

// errNoTurn ends a wait that took too long.
var errNoTurn = errors.New("no turn came in time")

// take takes a token, at once or from the queue.
func (p *pool) take(ctx context.Context, turns chan struct{}) error {
	select {
	case turns <- struct{}{}:
		return nil
	default:
	}
	if p.queued.Add(1) > p.maxQueue {
		p.queued.Add(-1)
		return tooMany("the queue is full")
	}
	defer p.queued.Add(-1)
	select {
	case turns <- struct{}{}:
		return nil
	case <-ctx.Done():
	}
	if errors.Is(context.Cause(ctx), errNoTurn) {
		return tooMany(errNoTurn.Error())
	}
	return &Error{Code: codeQueryCancelled, Text: "the client went away before its turn. (QUERY_WAS_CANCELLED)"}
}

func tooMany(why string) error {
	return &Error{Code: codeTooManyQueries, Text: "Too many simultaneous queries: " + why + ". (TOO_MANY_SIMULTANEOUS_QUERIES)"}
}

// get gives an idle connection of the role, if there is one the one that has
// the wanted settings already, or a new one. There are never more than turns and
// sessions together, because only those ask.
func (p *pool) get(r role, settings []setting) (*conn, error) {
	p.mu.Lock()
	if list := p.idle[r]; len(list) > 0 {
		at := max(0, slices.IndexFunc(list, func(c *conn) bool { return c.has(settings) }))
		c := list[at]
		p.idle[r] = slices.Delete(list, at, at+1)
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	return p.open(r)
}

// put takes a connection back, or closes it if it is no longer as new.
func (p *pool) put(r role, c *conn) {
	p.mu.Lock()
	if !c.spoiled && !c.broken && !p.closed {
		p.idle[r] = append(p.idle[r], c)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	c.close()
}

// close closes the idle connections; others close when they come back.
func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = map[role][]*conn{}, true
	p.mu.Unlock()
	for _, list := range idle {
		for _, c := range list {
			c.close()
		}
	}
}

// opener makes connections: marked for cancelling, and limited to their role.
type opener struct {
	api  *capi
	argv []string

	mu     sync.Mutex // one connect at a time
	serial int
}

func (o *opener) open(r role) (*conn, error) {
	o.mu.Lock()
	o.serial++
	c, err := o.api.openConn(o.argv, "door:"+strconv.Itoa(o.serial))
	o.mu.Unlock()
	if err != nil {
		return nil, err
	}
	for _, s := range []string{"SET log_comment = " + quote(c.id), "SET ROLE " + string(r)} {
		if err := c.exec(s); err != nil {
			c.close()
			return nil, fmt.Errorf("prepare engine connection: %w", err)
		}
	}
	return c, nil
}

// quote makes a SQL string literal.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\x00", `\0`).Replace(s) + "'"
}

// quoteName makes a SQL identifier.
func quoteName(s string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(s) + "`"
}
