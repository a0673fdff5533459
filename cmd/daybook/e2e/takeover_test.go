package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"daybook/pipeline/source"
	"daybook/schemas"
)

// takeoverLimit is TRUST.md section 4: a partition is owned again within 10 s of
// a SIGKILL. The session timeout is 6 s of them, by default.
const takeoverLimit = 10 * time.Second

// A killed worker's partitions are another's within ten seconds: what comes for
// them after the kill is in the tables by then, which is what ownership is for.
func TestKill_PartitionsAreOwnedAgainWithinTenSeconds(t *testing.T) {
	d := startDev(t, t.TempDir())
	d.run(0, "network", "set", "good")
	second := d.startWorker()
	d.await("the second worker to own partitions", func() bool { return len(d.owned(second.Process.Pid)) > 0 })
	orphans := d.owned(second.Process.Pid)

	client, err := source.New(source.Config{Brokers: d.Kafka})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	partitions, err := client.Partitions(t.Context(), schemas.TopicEvents)
	if err != nil {
		t.Fatal(err)
	}
	// One event on each orphan.
	var events []source.Outgoing
	for n, missing := 0, slices.Clone(orphans); len(missing) > 0; n++ {
		e := orphanEvent(n)
		if at := slices.Index(missing, schemas.Partition(e.Key, partitions)); at >= 0 {
			missing = slices.Delete(missing, at, at+1)
			events = append(events, e)
		}
	}

	if err := second.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	if err := client.Produce(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	d.await("the events of the orphaned partitions", func() bool {
		return d.number("SELECT count() FROM daybook.events WHERE network_id = 'good'") == int64(len(events))
	})
	took := time.Since(killed)
	d.await("dev to own every partition", func() bool { return len(d.owned(d.cmd.Process.Pid)) == partitions })
	t.Logf("partitions %v: %s from SIGKILL to their next events in the tables, %s until reported as owned", orphans, took.Round(time.Millisecond), time.Since(killed).Round(time.Millisecond))
	if took > takeoverLimit {
		t.Errorf("partitions %v were nobody's for %s, want at most %s", orphans, took, takeoverLimit)
	}
	d.stop()
}

// owned lists the partitions that a process reports as its own.
func (d *instance) owned(pid int) []int32 {
	d.t.Helper()
	var all []int32
	for _, row := range d.sql(fmt.Sprintf("SELECT partition FROM daybook.partitions WHERE NOT released AND endsWith(worker, '/%d') ORDER BY partition", pid)) {
		var p int32
		if _, err := fmt.Sscan(row[0], &p); err != nil {
			d.t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// orphanEvent is the n-th user's only event.
func orphanEvent(n int) source.Outgoing {
	user := fmt.Sprintf("orphan-%d", n)
	return source.Outgoing{
		Key: schemas.AppendKey(nil, "good", user), Partition: -1,
		Value: fmt.Appendf(nil, `{"id":"e","network":"good","user":%q,"time":"2026-05-12T08:00:00Z"}`, user),
	}
}
