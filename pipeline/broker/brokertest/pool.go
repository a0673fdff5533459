package brokertest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"daybook/pipeline/broker/apache" //nolint:depguard // only tests import this package.
)

// pool has the clusters of this process that no test holds. A cluster takes
// seconds to start, so it goes from test to test; two tests at a time never
// share one, because Daybook's topics have one name only.
type pool struct {
	mu   sync.Mutex
	dir  string // of all clusters; made with the first
	made int
	free []*apache.Cluster
}

//nolint:gochecknoglobals // clusters outlive tests by intention; Main closes them.
var clusters pool

// startLimit bounds a start or a wipe on a machine that does other things, too.
const startLimit = 2 * time.Minute

// Main wraps a package's tests, so that the clusters end with them:
//
//	func TestMain(m *testing.M) { os.Exit(brokertest.Main(m).Run()) }
//
// Without it they end with the process, and leave their folder behind.
func Main(m interface{ Run() int }) Runner { return Runner{m} }

// Runner runs tests, then closes what the pool holds.
type Runner struct{ tests interface{ Run() int } }

// Run implements what goleak wants of a *testing.M.
func (r Runner) Run() int {
	code := r.tests.Run()
	clusters.close()
	return code
}

// lease gives a cluster without topics of Daybook for as long as the test lasts.
func lease(tb testing.TB) *apache.Cluster {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), startLimit)
	defer cancel()
	c, err := clusters.take(ctx)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("nodes of Apache Kafka logged to %s/node*/kafka.log", c.Dir())
		}
		if err := clusters.put(c); err != nil {
			tb.Errorf("end kafka: %v", err)
		}
	})
	return c
}

func (p *pool) take(ctx context.Context) (*apache.Cluster, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := len(p.free) - 1; last >= 0 {
		c := p.free[last]
		p.free = p.free[:last]
		if err := c.Wipe(ctx); err != nil {
			return nil, fmt.Errorf("clear kafka for the next test: %w", err)
		}
		return c, nil
	}
	if p.dir == "" {
		dir, err := os.MkdirTemp("", "daybook-kafka-")
		if err != nil {
			return nil, err
		}
		p.dir = dir
	}
	p.made++
	return apache.Start(ctx, apache.Options{Dir: filepath.Join(p.dir, fmt.Sprintf("cluster%d", p.made)), Nodes: Replicas()})
}

// put takes a cluster back. One with a dead or frozen node is of no use.
func (p *pool) put(c *apache.Cluster) error {
	if !c.Whole() {
		return c.Close()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, c)
	return nil
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.free {
		_ = c.Close() // SIGKILL: nothing is asked of them any more
	}
	p.free = nil
	if p.dir != "" {
		_ = os.RemoveAll(p.dir)
		p.dir = ""
	}
}
