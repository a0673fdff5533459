package faultproxy

import (
	"net"
	"sync"
	"time"
)

// dialTimeout bounds the way to the target.
const dialTimeout = 5 * time.Second

// conn is one client's connection and its counterpart at the target.
type conn struct {
	proxy  *Proxy
	client net.Conn
	server net.Conn

	mu     sync.Mutex
	armed  *Cut // applies to the answer that comes next
	passed int  // bytes since it was armed
}

// serve forwards one client's connection until one of the two sides ends it.
func (p *Proxy) serve(client net.Conn) {
	if p.pass(0) != nil {
		_ = client.Close()
		return
	}
	server, err := net.DialTimeout("tcp", p.target, dialTimeout) //nolint:noctx // bounded, and without a caller
	if err != nil {
		abort(client) // as the target itself would refuse
		return
	}
	c := &conn{proxy: p, client: client, server: server}
	p.mu.Lock()
	select {
	case <-p.closed:
		p.mu.Unlock()
		c.reset()
		return
	default:
	}
	p.conns[c] = struct{}{}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { c.pump(client, server, c.request) })
	both.Go(func() { c.pump(server, client, c.answer) })
	both.Wait()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	_ = client.Close() // both directions are through
	_ = server.Close()
}

// pump forwards one direction. see is given each piece and says how much of it
// goes on, and the cut that ends the connection then.
func (c *conn) pump(from, to net.Conn, see func([]byte) (int, *Cut)) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if c.proxy.pass(n) != nil {
				c.reset()
				return
			}
			most, cut := see(buf[:n])
			if _, werr := to.Write(buf[:most]); werr != nil {
				c.reset()
				return
			}
			if cut != nil {
				c.reset()
				c.proxy.happened(cut)
				return
			}
		}
		if err != nil {
			c.endWrite(to)
			return
		}
	}
}

// request looks at a piece that the client sent.
func (c *conn) request(piece []byte) (int, *Cut) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.armed == nil {
		if c.armed = c.proxy.take(piece); c.armed == nil {
			return len(piece), nil
		}
		c.passed = 0
	}
	if !c.armed.Request {
		return len(piece), nil
	}
	return c.count(piece)
}

// answer looks at a piece that the server sent.
func (c *conn) answer(piece []byte) (int, *Cut) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.armed == nil || c.armed.Request {
		return len(piece), nil
	}
	return c.count(piece)
}

// count lets bytes pass up to the armed cut. The caller holds the lock.
func (c *conn) count(piece []byte) (int, *Cut) {
	left := c.armed.After - c.passed
	if left > len(piece) {
		c.passed += len(piece)
		return len(piece), nil
	}
	return max(0, left), c.armed
}

// reset ends both sides the hard way: the peers see a reset, not an end.
func (c *conn) reset() {
	abort(c.client)
	abort(c.server)
}

func abort(side net.Conn) {
	if tcp, ok := side.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // fails only on a closed one
	}
	_ = side.Close()
}

// endWrite hands on that one side has nothing more to say.
func (c *conn) endWrite(to net.Conn) {
	if tcp, ok := to.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // fails only on a closed one
	}
}
