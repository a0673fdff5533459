package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"daybook/pipeline/source"
	"daybook/schemas"
)

// More partitions, as documented in daybook migrate --help: they are refused by
// what runs and by what starts; on a new topic under a new epoch the tables go
// on, with what was in them, settings included.
func TestGrowth_IsRefusedAndTheMigrationGoesOn(t *testing.T) {
	data := t.TempDir()
	brokers := useKafka(t, data)
	admin, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()

	d := startDev(t, data)
	d.run(0, "network", "set", "good")
	produceGood(t, brokers, 300)
	d.awaitGood(300)
	before := d.tables("good")

	grow := kmsg.NewPtrCreatePartitionsRequest()
	grow.TimeoutMillis = 10_000
	grow.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: schemas.TopicEvents, Count: 8}}
	if answer, err := grow.RequestWith(t.Context(), admin); err != nil || answer.Topics[0].ErrorCode != 0 {
		t.Fatalf("grow: %v, %+v", err, answer)
	}
	expectRefusal(t, d, "has 8 partitions, its epoch has 4", "daybook migrate --help")
	expectRefusal(t, launchDev(t, data, nil), "has 8 partitions, daybook.checkpoints has 4", "daybook migrate --help")

	remove := kmsg.NewPtrDeleteTopicsRequest()
	remove.TimeoutMillis = 10_000
	for _, topic := range []string{schemas.TopicEvents, schemas.TopicCheckpoints} {
		remove.TopicNames = append(remove.TopicNames, topic)
		remove.Topics = append(remove.Topics, kmsg.DeleteTopicsRequestTopic{Topic: new(topic)})
	}
	if answer, err := remove.RequestWith(t.Context(), admin); err != nil || answer.Topics[0].ErrorCode != 0 || answer.Topics[1].ErrorCode != 0 {
		t.Fatalf("delete: %v, %+v", err, answer)
	}
	const eight = "DAYBOOK_KAFKA_PARTITIONS=8"
	expectRefusal(t, launchDev(t, data, nil, eight), "hold rows of another id", "daybook dev --new-epoch")

	d = launchDev(t, data, []string{"--new-epoch"}, eight)
	d.awaitReady()
	if diff := cmp.Diff(before, d.tables("good")); diff != "" {
		t.Errorf("the migration changed the tables (-before +after):\n%s", diff)
	}
	// The same once more, and what follows: users are in other partitions now, and
	// are still the same users.
	produceGood(t, brokers, 600)
	d.awaitGood(600)
	// A flush writes its ledger after its sessions.
	d.await("600 records accounted for in the new epoch", func() bool {
		return d.number("SELECT sum(accepted) + sum(duplicate) FROM daybook.ledger WHERE epoch = 2") == 600
	})
	if n := d.number("SELECT sum(duplicate) FROM daybook.ledger WHERE epoch = 2"); n != 300 {
		t.Errorf("%d repeats recognised in the new epoch, want 300", n)
	}
	// 600 events of ten users, each every ten seconds: ten sessions.
	if n := d.number("SELECT count() FROM daybook.sessions WHERE network_id = 'good'"); n != 10 {
		t.Errorf("%d sessions over the migration, want 10", n)
	}
	d.stop()
}

// expectRefusal waits until dev has ended by itself, and reads why.
func expectRefusal(t *testing.T, d *instance, because ...string) {
	t.Helper()
	for limit := time.After(startLimit); ; {
		select {
		case _, more := <-d.lines:
			if more {
				continue
			}
		case <-limit:
			t.Fatalf("daybook dev still runs after %s", startLimit)
		}
		break
	}
	<-d.done
	if code := d.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("daybook dev: exit status %d, want 1", code)
	}
	for _, want := range because {
		if got := d.log.String(); !strings.Contains(got, want) {
			t.Errorf("daybook dev does not say %q:\n%s", want, got)
		}
	}
}

// produceGood sends the first n good events.
func produceGood(t *testing.T, brokers []string, n int) {
	t.Helper()
	client, err := source.New(source.Config{Brokers: brokers})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var events []source.Outgoing
	for i := range n {
		events = append(events, goodEvent(i))
	}
	if err := client.Produce(t.Context(), events); err != nil {
		t.Fatal(err)
	}
}

// awaitGood waits until so many good events are in sessions.
func (d *instance) awaitGood(n int64) {
	d.t.Helper()
	d.await(fmt.Sprintf("%d events in sessions", n), func() bool {
		return d.number("SELECT sum(events) FROM daybook.sessions WHERE network_id = 'good'") == n
	})
}
