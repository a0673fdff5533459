package peers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// javaPeer is one way to run a program of java/.
type javaPeer struct {
	system    string // Flink or Streams: class and folder of jars
	state     string // heap, rocksdb or memory
	guarantee string // at-least-once or exactly-once
	sink      string // kafka or discard
}

// memoryLimit ends a run on Streams' in-memory store, whose look-up walks over
// every end of a session within the gap: the more users, the slower each event.
// All of the log would take hours; a small one is checked.
const memoryLimit = 30 * time.Second

func (j javaPeer) name() string {
	state := map[string]string{"heap": "heap state", "rocksdb": "RocksDB", "memory": "in-memory store"}[j.state]
	to := map[string]string{"kafka": "Kafka sink", "discard": "discarding sink"}[j.sink]
	if j.system == "Streams" {
		return fmt.Sprintf("Kafka Streams, %s, %s", state, strings.ReplaceAll(j.guarantee, "-", " "))
	}
	return fmt.Sprintf("Flink, %s, %s, %s", state, strings.ReplaceAll(j.guarantee, "-", " "), to)
}

// heapMB is what each JVM may take for objects: a Flink task manager's process
// has 1,728 MB by default. RocksDB has its own beside it. Kafka
// Streams needs more: with two threads and at least once its cache, the producers'
// buffers and what is restored ran out of that.
func (j javaPeer) heapMB() int {
	if j.system == "Streams" {
		return 3072
	}
	return 1536
}

func (j javaPeer) limit() time.Duration {
	if j.state == "memory" {
		return memoryLimit
	}
	return time.Hour
}

// openings are those that Flink's own start scripts make (env.java.opts.all).
var openings = []string{
	"--add-exports=java.management/sun.management=ALL-UNNAMED", "--add-opens=java.base/java.lang=ALL-UNNAMED", "--add-opens=java.base/java.net=ALL-UNNAMED",
	"--add-opens=java.base/java.io=ALL-UNNAMED", "--add-opens=java.base/java.nio=ALL-UNNAMED", "--add-opens=java.base/java.time=ALL-UNNAMED",
	"--add-opens=java.base/java.util=ALL-UNNAMED", "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
}

func (j javaPeer) run(ctx context.Context, s *site) (m measured, err error) {
	name := s.runName(strings.ToLower(j.system))
	dir := filepath.Join(s.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return m, err
	}
	defer os.RemoveAll(dir)
	jars := filepath.Join(s.top, ".peers", strings.ToLower(j.system))
	args := append([]string{fmt.Sprintf("-Xmx%dm", j.heapMB())}, openings...)
	args = append(args, "-cp", filepath.Join(s.top, ".peers/classes", strings.ToLower(j.system))+":"+jars+"/*", j.system+"Sessions",
		"name="+name, "dir="+dir, "brokers="+s.brokers(), "topic="+s.client.EventsTopic(), "out="+name,
		"partitions="+strconv.Itoa(s.partitions), "events="+strconv.Itoa(s.events),
		"limit_ms="+strconv.FormatInt(j.limit().Milliseconds(), 10), "state="+j.state, "guarantee="+j.guarantee, "sink="+j.sink)
	p, err := launch(j.name(), filepath.Join(s.dir, "logs", name+".log"), exec.CommandContext(ctx, "java", args...))
	if err != nil {
		return m, err
	}
	defer p.kill()
	if m.first, err = p.awaitTime(ctx, "first "); err != nil {
		return m, err
	}
	p.begin()
	if m.last, err = p.awaitTime(ctx, "last "); err != nil {
		return m, err
	}
	p.end()
	if j.sink == "discard" {
		said, err := p.await(ctx, "sessions ")
		if err != nil {
			return m, err
		}
		if _, err := fmt.Sscan(said, &m.got.count, &m.got.events, &m.got.sum); err != nil {
			return m, fmt.Errorf("read sessions of %s, %q: %w", p.name, said, err)
		}
	}
	if j.system == "Streams" {
		said, err := p.await(ctx, "counted ")
		if err != nil {
			return m, err
		}
		if m.events, err = strconv.Atoi(said); err != nil {
			return m, fmt.Errorf("read events counted by %s: %w", p.name, err)
		}
	}
	took, err := p.whole(ctx)
	if err != nil {
		return m, err
	}
	m.parts = []usage{took}
	if j.sink == "kafka" {
		m.got, err = s.readSessions(ctx, name)
	}
	return m, err
}

// awaitTime reads a line of a word and milliseconds since 1970.
func (p *process) awaitTime(ctx context.Context, word string) (time.Time, error) {
	text, err := p.await(ctx, word)
	if err != nil {
		return time.Time{}, err
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	return time.UnixMilli(ms), err
}
