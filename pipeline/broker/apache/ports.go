package apache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports of nodes lie below the range from which Linux takes those of outgoing
// connections (32768). A client that dials the port of a dead node from within
// that range may be given the very same port and reach itself; the node could
// then not start again.
const (
	firstPort = 20_000
	lastPort  = 32_000 // exclusive
)

// freeAddrs gives n addresses on loopback on which nobody listens.
func freeAddrs(ctx context.Context, n int) ([]string, error) {
	var (
		addrs []string
		probe net.ListenConfig
	)
	for range 100 * n {
		addr := fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(lastPort-firstPort)) //nolint:gosec // no secret.
		listener, err := probe.Listen(ctx, "tcp", addr)
		if err != nil {
			continue
		}
		defer listener.Close() // held until all are found, so that they differ
		if addrs = append(addrs, addr); len(addrs) == n {
			return addrs, nil
		}
	}
	return nil, fmt.Errorf("find %d free ports of [%d, %d): found %d", n, firstPort, lastPort, len(addrs))
}
