package apache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// node is one process, broker and controller in one. Its folder holds log/,
// server.properties and kafka.log, to which every start appends.
type node struct {
	id         int // from 1
	dir        string
	addr       string // of clients and other brokers
	controller string

	mu      sync.Mutex
	process *os.Process
	paused  bool
	ended   chan struct{} // closed when the process is gone; nil before the first start
}

// java prepares a main class of Kafka. The class path's wildcard is Java's own.
func (c *Cluster) java(ctx context.Context, n *node, class string, args ...string) *exec.Cmd {
	args = append([]string{
		fmt.Sprintf("-Xmx%dm", c.opts.HeapMB), "-XX:+UseSerialGC", "-XX:-UsePerfData",
		"-XX:TieredStopAtLevel=1", // short lives: compiling costs more than it gives
		"-cp", filepath.Join(c.opts.Jars, "*"),
		"-Dlog4j2.configurationFile=" + filepath.Join(c.opts.Dir, "log4j2.properties"),
		class,
	}, args...)
	cmd := exec.CommandContext(ctx, c.opts.Java, args...) //nolint:gosec // our own arguments.
	cmd.Dir = n.dir
	cmd.SysProcAttr = dieWithParent()
	return cmd
}

// format prepares the node's folder.
func (c *Cluster) format(ctx context.Context, n *node) error {
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return err
	}
	properties := filepath.Join(n.dir, "server.properties")
	if err := os.WriteFile(properties, []byte(c.properties(n)), 0o600); err != nil {
		return err
	}
	out, err := c.java(ctx, n, "kafka.tools.StorageTool", "format", "-t", clusterID, "-c", properties).CombinedOutput()
	if err != nil {
		return fmt.Errorf("format kafka node %d: %w: %s", n.id, err, out)
	}
	return nil
}

// spawn starts the process; it does not wait until it answers.
func (c *Cluster) spawn(n *node) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running() {
		return fmt.Errorf("start kafka node %d: it runs", n.id)
	}
	log, err := os.OpenFile(filepath.Join(n.dir, "kafka.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := c.java(context.Background(), n, "kafka.Kafka", filepath.Join(n.dir, "server.properties"))
	cmd.Stdout, cmd.Stderr = log, log
	started, ended := make(chan error), make(chan struct{})
	go func() {
		defer close(ended)
		defer log.Close()
		// The kernel takes the end of the thread that started a child for the end
		// of the parent, so this one belongs to the child for as long as it lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in kafka.log
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start kafka node %d: %w", n.id, err)
	}
	n.process, n.ended, n.paused = cmd.Process, ended, false
	return nil
}

// running tells whether the process is there, paused or not. The caller holds
// the lock.
func (n *node) running() bool {
	if n.ended == nil {
		return false
	}
	select {
	case <-n.ended:
		return false
	default:
		return true
	}
}

// signal sends one to a process that runs.
func (n *node) signal(s syscall.Signal) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.running() {
		return fmt.Errorf("signal kafka node %d: it does not run", n.id)
	}
	if err := n.process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal kafka node %d: %w", n.id, err)
	}
	n.paused = s == syscall.SIGSTOP || n.paused && s != syscall.SIGCONT
	return nil
}

// gone gives the channel that is closed when the process has ended.
func (n *node) gone() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ended
}

// lastWords is the end of what the node printed, for an error.
func (n *node) lastWords() string {
	text, err := os.ReadFile(filepath.Join(n.dir, "kafka.log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
