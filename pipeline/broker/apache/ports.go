package apache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
)

// Ports that stay a server's own while it is down lie below the range from which
// Linux takes those of outgoing connections. A client that dials the port of a
// dead server from within that range may be given the very same port and reach
// itself; the server could then not start again.
const (
	firstPort = 12_000
	lastPort  = 32_000 // exclusive, below Linux's default of 32768
	leastRoom = 2_000  // ports below another setting that are worth going there for
)

// given are the addresses that this process has handed out: a server that is
// killed for the moment looks free.
var given sync.Map //nolint:gochecknoglobals // ports are the whole process's.

// FreeAddrs gives n addresses host:port on loopback on which nobody listens, each
// once a process. Another process may take one before it is listened on: who can
// choose again on EADDRINUSE should.
func FreeAddrs(ctx context.Context, n int) ([]string, error) {
	var (
		addrs []string
		probe net.ListenConfig
		last  = errors.New("all of them are given already")
	)
	end := lastPort
	if low := outgoingFrom(); low >= firstPort+leastRoom {
		end = min(end, low)
	}
	for range 100 * n {
		addr := fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(end-firstPort)) //nolint:gosec // no secret.
		if _, again := given.LoadOrStore(addr, true); again {
			continue
		}
		listener, err := probe.Listen(ctx, "tcp", addr)
		if err != nil {
			last = err
			continue
		}
		if err := listener.Close(); err != nil {
			return nil, err
		}
		if addrs = append(addrs, addr); len(addrs) == n {
			return addrs, nil
		}
	}
	return nil, fmt.Errorf("find %d free ports of [%d, %d): found %d: %w", n, firstPort, end, len(addrs), last)
}

// outgoingFrom is the first port of outgoing connections, 0 if Linux does not say.
func outgoingFrom() (low int) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		_, err = fmt.Sscan(string(text), &low)
	}
	if err != nil {
		return 0
	}
	return low
}
