package apache

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

//go:embed log4j2.properties
var loggingConfig []byte

// Cluster is one to three nodes. Its methods may be called by several
// goroutines; nodes are numbered from 0. Close it.
type Cluster struct {
	opts  Options
	nodes []*node
}

// stopLimit is how long a node may take to stop in order before it is killed.
const stopLimit = 20 * time.Second

// Start formats a new cluster in Options.Dir and returns when a topic can be
// made with a replica on every node and a group can be joined. The context
// bounds the start only.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("start kafka: %w", err)
	}
	if err := os.WriteFile(filepath.Join(opts.Dir, "log4j2.properties"), loggingConfig, 0o600); err != nil {
		return nil, fmt.Errorf("start kafka: %w", err)
	}
	addrs, err := FreeAddrs(ctx, 2*opts.Nodes)
	if err != nil {
		return nil, fmt.Errorf("start kafka: %w", err)
	}
	c := &Cluster{opts: opts}
	for i := range opts.Nodes {
		c.nodes = append(c.nodes, &node{
			id: i + 1, dir: filepath.Join(opts.Dir, fmt.Sprintf("node%d", i+1)), addr: addrs[2*i], controller: addrs[2*i+1],
		})
	}
	if err := c.each(func(n *node) error {
		if err := c.format(ctx, n); err != nil {
			return err
		}
		return c.spawn(n) //nolint:contextcheck // the context bounds the start, not the node's life.
	}); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if err := c.awaitUsable(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// each does something to all nodes at once.
func (c *Cluster) each(do func(*node) error) error {
	var all sync.WaitGroup
	failures := make([]error, len(c.nodes))
	for i, n := range c.nodes {
		all.Go(func() { failures[i] = do(n) })
	}
	all.Wait()
	return errors.Join(failures...)
}

// Addrs are the addresses of the nodes, host:port, whether they run or not.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		addrs[i] = n.addr
	}
	return addrs
}

// Nodes is how many nodes the cluster has, whether they run or not.
func (c *Cluster) Nodes() int { return len(c.nodes) }

// Dir is where the nodes keep everything; nodeN/kafka.log is what they print.
func (c *Cluster) Dir() string { return c.opts.Dir }

// Whole tells whether every node runs and none is paused.
func (c *Cluster) Whole() bool {
	for _, n := range c.nodes {
		n.mu.Lock()
		ok := n.running() && !n.paused
		n.mu.Unlock()
		if !ok {
			return false
		}
	}
	return true
}

// Kill ends a node by SIGKILL, paused or not, and returns when it is gone. Its
// page cache stays: this is no power failure.
func (c *Cluster) Kill(i int) error {
	n := c.nodes[i]
	if err := n.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-n.gone()
	return nil
}

// Stop ends a node in order: it hands over what it leads first. It returns when
// the node is gone; after 20 s it is killed, which is an error.
func (c *Cluster) Stop(i int) error {
	n := c.nodes[i]
	if err := n.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-n.gone():
		return nil
	case <-time.After(stopLimit):
		return errors.Join(fmt.Errorf("stop kafka node %d: it did not end within %s", n.id, stopLimit), c.Kill(i))
	}
}

// StartNode starts a node that was killed or stopped, on its address and its
// data, and returns when it is in sync (AwaitInSync).
func (c *Cluster) StartNode(ctx context.Context, i int) error {
	if err := c.spawn(c.nodes[i]); err != nil { //nolint:contextcheck // as in Start.
		return err
	}
	return c.AwaitInSync(ctx, i)
}

// AwaitInSync waits until the cluster lets the node serve and it has caught up
// with every partition that it has a replica of: only then may another node fail
// without making partitions of two in sync unavailable.
func (c *Cluster) AwaitInSync(ctx context.Context, i int) error {
	return c.awaitNode(ctx, c.nodes[i])
}

// Pause freezes a node by SIGSTOP: its connections stay, nothing answers.
func (c *Cluster) Pause(i int) error { return c.nodes[i].signal(syscall.SIGSTOP) }

// Resume lets a paused node go on, as if no time had passed for it. It does not
// wait until it is in sync again.
func (c *Cluster) Resume(i int) error { return c.nodes[i].signal(syscall.SIGCONT) }

// Close kills every node and returns when they are gone. The folder stays.
func (c *Cluster) Close() error {
	return c.each(func(n *node) error {
		n.mu.Lock()
		runs := n.running()
		n.mu.Unlock()
		if !runs {
			return nil
		}
		if err := n.signal(syscall.SIGKILL); err != nil {
			return err
		}
		<-n.gone()
		return nil
	})
}
