package pipeline

import (
	"errors"
	"testing"
	"time"

	"daybook/pipeline/broker/brokertest"
	"daybook/pipeline/source"
)

// Every node of three dies once, whichever leads what, and one freezes, while two
// workers read: what was acknowledged is in the tables, once.
func TestWorker_SurvivesTheDeathOfAnyNode(t *testing.T) {
	const perFault = 90
	cluster := brokertest.Cluster(t, 3)
	r := newRigOn(t, cluster.Addrs(), 3)
	// A frozen node costs the time of one request, 10 s by default.
	client, err := source.New(source.Config{Brokers: r.brokers, RequestTimeout: 3 * time.Second, RetryFor: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	r.client = client
	r.network("acme")
	workers := []*running{r.launch("a", nil), r.launch("b", nil)}
	ids := upTo(4 * perFault)
	produce := func(n int) {
		t.Helper()
		begin := time.Now()
		r.produce(brokersBase, ids[n*perFault:(n+1)*perFault]...)
		t.Logf("fault %d: written after %s", n, time.Since(begin).Round(time.Millisecond))
	}
	for i := range 3 {
		if err := cluster.Kill(i); err != nil {
			t.Fatal(err)
		}
		produce(i)
		if err := cluster.StartNode(r.ctx, i); err != nil {
			t.Fatal(err)
		}
	}
	if err := cluster.Pause(1); err != nil {
		t.Fatal(err)
	}
	produce(3)
	if err := errors.Join(cluster.Resume(1), cluster.AwaitInSync(r.ctx, 1)); err != nil {
		t.Fatal(err)
	}
	// A write whose answer was lost is repeated, so the log may be longer than
	// what was produced: the tables must have read it to its end.
	for p := range r.partitions {
		_, end, err := r.client.ListOffsets(r.ctx, p)
		if err != nil {
			t.Fatal(err)
		}
		if end < r.produced[p] {
			t.Errorf("partition %d ends at %d, %d were acknowledged", p, end, r.produced[p])
		}
		r.produced[p] = end
	}
	r.settled()
	var failures error
	for _, w := range workers {
		failures = errors.Join(failures, w.stop())
	}
	if failures != nil {
		t.Error(failures)
	}
	if sessions, events := r.count(); sessions != len(ids) || events != len(ids) {
		t.Errorf("got %d sessions of %d events, want %d of each", sessions, events, len(ids))
	}
}
