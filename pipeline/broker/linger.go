package broker

import (
	"net"
	"sync"
	"time"
)

// lingerLimit bounds how long a connection's end is kept from kfake: above any
// rebalance that our workers ask for (10 s).
const lingerLimit = time.Minute

// lingering is a listener whose connections end, for kfake, only when it has
// answered. A worker that is killed while it waits to join becomes a member of
// the next generation all the same, and must be timed out there; kfake starts
// the member's session when it answers, and does not if it knows that nobody
// is there to hear it. The member would stay for ever, and its partitions with
// it.
type lingering struct{ net.Listener }

// Accept implements net.Listener.
func (l lingering) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &lingeringConn{Conn: conn, closed: make(chan struct{})}, nil
}

type lingeringConn struct {
	net.Conn

	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex
	owed chan struct{} // closed by the answer to what was read; nil while nothing is owed
}

// Read implements net.Conn.
func (c *lingeringConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	if n > 0 && c.owed == nil {
		c.owed = make(chan struct{})
	}
	owed := c.owed
	c.mu.Unlock()
	if n > 0 || err == nil || owed == nil {
		return n, err
	}
	timer := time.NewTimer(lingerLimit)
	defer timer.Stop()
	select {
	case <-owed:
	case <-c.closed:
	case <-timer.C:
	}
	return 0, err
}

// Write implements net.Conn.
func (c *lingeringConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owed != nil {
		close(c.owed)
		c.owed = nil
	}
	return n, err
}

// Close implements net.Conn.
func (c *lingeringConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
