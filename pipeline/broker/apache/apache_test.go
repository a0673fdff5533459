package apache_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"daybook/pipeline/broker/apache"
	"daybook/pipeline/source"
)

// start gives a cluster that lives as long as the test, which is skipped unless
// DAYBOOK_TEST_KAFKA says that Apache Kafka is wanted: make test-kafka.
func start(t *testing.T, opts apache.Options) *apache.Cluster {
	t.Helper()
	if os.Getenv("DAYBOOK_TEST_KAFKA") == "" {
		t.Skip("DAYBOOK_TEST_KAFKA is not set: make test-kafka")
	}
	opts.Dir = t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	begin := time.Now()
	c, err := apache.Start(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d nodes usable after %s", c.Nodes(), time.Since(begin).Round(time.Millisecond))
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func open(t *testing.T, c *apache.Cluster) *source.Client {
	t.Helper()
	client, err := source.New(source.Config{Brokers: c.Addrs(), RetryFor: 30 * time.Second, RequestTimeout: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// count reads a partition to its end.
func count(t *testing.T, client *source.Client, partition int32) (records int) {
	t.Helper()
	for next := int64(0); ; {
		chunk, err := client.Fetch(t.Context(), partition, next)
		if err != nil {
			t.Fatal(err)
		}
		records += len(chunk.Records)
		if next = chunk.Next; next >= chunk.LastStable {
			return records
		}
	}
}

// What was acknowledged is there after SIGKILL, after a stop in order, and the
// node keeps its address.
func TestCluster_OneNodeKeepsItsLog(t *testing.T) {
	c := start(t, apache.Options{Nodes: 1})
	client := open(t, c)
	if err := client.EnsureTopics(t.Context(), source.TopicsConfig{Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	for i, end := range []func(int) error{c.Kill, c.Stop} {
		if err := client.Produce(t.Context(), []source.Outgoing{{Value: []byte("a")}, {Value: []byte("b")}}); err != nil {
			t.Fatal(err)
		}
		if err := end(0); err != nil {
			t.Fatal(err)
		}
		if c.Whole() {
			t.Fatal("whole without its node")
		}
		begin := time.Now()
		if err := c.StartNode(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		t.Logf("serves again after %s", time.Since(begin).Round(time.Millisecond))
		if got, want := count(t, client, 0), 2*(i+1); got != want || !c.Whole() {
			t.Fatalf("end %d: %d records, want %d; whole: %v", i, got, want, c.Whole())
		}
	}
}

// With three replicas of which two must have a record, any node may be dead,
// then any may be frozen: what was acknowledged stays, and writing goes on.
func TestCluster_ThreeNodesSurviveAnyOne(t *testing.T) {
	c := start(t, apache.Options{Nodes: 3})
	client := open(t, c)
	if err := client.EnsureTopics(t.Context(), source.TopicsConfig{Partitions: 3, ReplicationFactor: 3, MinInSync: 2}); err != nil {
		t.Fatal(err)
	}
	produced := 0
	produce := func(when string) {
		t.Helper()
		begin := time.Now()
		for p := range int32(3) {
			if err := client.Produce(t.Context(), []source.Outgoing{{Value: []byte("x"), Partition: p}}); err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			produced++
		}
		t.Logf("%s: written to every partition after %s", when, time.Since(begin).Round(time.Millisecond))
	}
	produce("all well")
	for i := range 3 {
		if err := c.Kill(i); err != nil {
			t.Fatal(err)
		}
		produce("one dead")
		if err := c.StartNode(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Pause(1); err != nil {
		t.Fatal(err)
	}
	if c.Whole() {
		t.Fatal("whole with a frozen node")
	}
	produce("one frozen")
	if err := c.Resume(1); err != nil {
		t.Fatal(err)
	}
	produce("one thawed")
	got := 0
	for p := range int32(3) {
		got += count(t, client, p)
	}
	// A write whose answer was lost is repeated: more is possible, less is not.
	if got < produced {
		t.Fatalf("%d records, %d acknowledged", got, produced)
	}
}

func TestStart_RefusesWithARemedy(t *testing.T) {
	for name, opts := range map[string]apache.Options{
		"make kafka":       {Dir: t.TempDir(), Jars: t.TempDir(), Java: "true"},
		"install Java":     {Dir: t.TempDir(), Java: "no-such-java"},
		"want 1 or 3":      {Dir: t.TempDir(), Nodes: 2},
		"no folder":        {Java: "true", Jars: fakeJars(t)},
		"format kafka nod": {Dir: t.TempDir(), Java: "false", Jars: fakeJars(t)},
	} {
		if c, err := apache.Start(t.Context(), opts); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
}

func fakeJars(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/kafka_2.13-0.jar", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
