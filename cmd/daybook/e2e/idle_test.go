package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"daybook/pipeline/source"
	"daybook/schemas"
)

// idleGap is the smallest that a network may have.
const idleGap = time.Minute

// sendAt produces one event of a user with a time.
func sendAt(t *testing.T, kafka []string, user string, at time.Time) {
	t.Helper()
	client, err := source.New(source.Config{Brokers: kafka})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	value := fmt.Appendf(nil, `{"id":"%d","network":"good","user":%q,"time":%q}`, at.Unix(), user, at.UTC().Format(time.RFC3339))
	err = client.Produce(t.Context(), []source.Outgoing{{Key: schemas.AppendKey(nil, "good", user), Value: value, Partition: -1}})
	if err != nil {
		t.Fatal(err)
	}
}

// When traffic stops, the last sessions are shown closed once the wall clock has
// passed their end and the gap: not before, and without another event.
func TestIdle_LastSessionsAreShownClosed(t *testing.T) {
	d := startDev(t, t.TempDir())
	d.run(0, "network", "set", "good", "--gap", idleGap.String())
	at := time.Now().Add(15*time.Second - idleGap).Truncate(time.Second)
	sendAt(t, d.Kafka, "last", at)
	byAPI := func() (status string) {
		from, to := at.UTC().AddDate(0, 0, -1).Format(time.DateOnly), at.UTC().AddDate(0, 0, 1).Format(time.DateOnly)
		d.list("/v1/networks/good/sessions?from="+from+"&to="+to, func(item map[string]any) { status, _ = item["status"].(string) })
		return status
	}
	seen := map[string]bool{}
	d.await("the session to be closed", func() bool {
		rows := d.sql(`SELECT status FROM daybook.sessions WHERE network_id = 'good'`)
		now := time.Now()
		if len(rows) == 0 {
			return false
		}
		seen[rows[0][0]] = true
		if rows[0][0] != "open" && now.Before(at.Add(idleGap)) {
			t.Fatalf("%s after its last event the session is %s, its gap is %s", now.Sub(at), rows[0][0], idleGap)
		}
		return rows[0][0] == "closed"
	})
	if late := time.Since(at.Add(idleGap)); late > 15*time.Second {
		t.Errorf("closed %s after its end and the gap, want a few seconds", late)
	}
	if got := byAPI(); got != "closed" {
		t.Errorf("the API says %q", got)
	}
	if !seen["open"] {
		t.Error("the session was never shown open: nothing was shown")
	}
	d.stop()
}

// Nobody owns the partition: what its log holds beyond the last row is not
// known, so nothing is closed by the wall clock before somebody has read it.
func TestIdle_UnownedPartitionClosesNothing(t *testing.T) {
	s := newLostSite(t)
	s.must("network", "set", "good", "--gap", idleGap.String())
	s.start1()
	at := time.Now().Add(20*time.Second - idleGap).Truncate(time.Second)
	sendAt(t, s.kafka, "last", at)
	closed := func() bool {
		return s.count("SELECT countIf(status != 'open') FROM sessions WHERE user_id = 'last'") == 1
	}
	s.until("the session", func() bool { return s.count("SELECT count() FROM sessions WHERE user_id = 'last'") == 1 })
	if err := s.workers[0].end(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if closed() || time.Now().After(at.Add(idleGap)) {
		t.Fatalf("the worker was killed too late: %s after the last event", time.Since(at))
	}
	at2 := at.Add(20 * time.Second)
	sendAt(t, s.kafka, "last", at2) // nobody reads that the session goes on
	for time.Now().Before(at.Add(idleGap + 5*time.Second)) {
		if closed() {
			t.Fatalf("closed %s after its last event while nobody owns the partition", time.Since(at))
		}
		last(500 * time.Millisecond)
	}
	s.start1()
	s.until("the session to be closed", func() bool {
		if closed() && time.Now().Before(at2.Add(idleGap)) {
			t.Fatalf("closed %s after its last event, which the worker had not read", time.Since(at2))
		}
		return s.count("SELECT count() FROM sessions WHERE user_id = 'last' AND status = 'closed' AND events = 2") == 1
	})
	s.stop1()
}
