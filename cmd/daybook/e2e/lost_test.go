package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"daybook/pipeline/broker/brokertest"
	"daybook/pipeline/source"
	"daybook/schemas"
)

// What accidents do to Kafka while the tables stay, up to the remedy that a
// person carries out (TRUST.md section 2), with the real processes.

// sendGood produces good events [from, to).
func sendGood(tb testing.TB, kafka []string, from, to int) {
	tb.Helper()
	client, err := source.New(source.Config{Brokers: kafka})
	if err != nil {
		tb.Fatal(err)
	}
	defer client.Close()
	var out []source.Outgoing
	for n := from; n < to; n++ {
		out = append(out, goodEvent(n))
	}
	if err := client.Produce(context.Background(), out); err != nil {
		tb.Fatal(err)
	}
}

// devFails runs dev on a folder and gives what it says when it refuses to start.
func devFails(t *testing.T, data string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	d := &instance{t: t, data: data}
	cmd := d.command(ctx, "dev", "--api", "127.0.0.1:0", "--kafka", "127.0.0.1:0", "--clickhouse", "127.0.0.1:0")
	out, err := cmd.CombinedOutput()
	if err == nil || ctx.Err() != nil {
		t.Fatalf("dev did not refuse to start: %v\n%s", err, out)
	}
	return string(out)
}

// The folder of Kafka is gone, the tables are not: offsets begin anew, so rows
// of the new log would lose to older ones. Nothing starts before a person says
// that this is meant; then the tables keep what they had and get what is new.
func TestKafkaWiped_RefusedUntilTheEpochIsNew(t *testing.T) {
	if brokertest.Real() {
		t.Skip("the folder is that of the embedded broker")
	}
	data := t.TempDir()
	d := startDev(t, data)
	d.run(0, "network", "set", "good")
	sendGood(t, d.Kafka, 0, 100)
	d.await("the events", func() bool { return d.number(`SELECT count() FROM daybook.events`) == 100 })
	d.stop()
	if err := os.RemoveAll(filepath.Join(data, "kafka")); err != nil {
		t.Fatal(err)
	}
	said := devFails(t, data)
	for _, want := range []string{"daybook migrate --new-epoch", "daybook dev --new-epoch"} {
		if !strings.Contains(said, want) {
			t.Fatalf("dev over tables of another log does not name %s:\n%s", want, said)
		}
	}
	d = launchDev(t, data, []string{"--new-epoch"})
	d.awaitReady()
	d.stop() // once is enough
	d = startDev(t, data)
	d.run(0, "network", "set", "good")
	sendGood(t, d.Kafka, 100, 140)
	d.await("old and new events", func() bool { return d.number(`SELECT count() FROM daybook.events`) == 140 })
	d.await("all of them in sessions and in the ledger", func() bool {
		return d.number(`SELECT sum(events) FROM daybook.sessions WHERE network_id = 'good'`) == 140 && d.number(`SELECT sum(accepted) FROM daybook.ledger`) == 140
	})
	if n := d.number(`SELECT uniqExact(epoch) FROM daybook.ledger`); n != 2 {
		t.Errorf("the ledger knows %d epochs, want 2", n)
	}
	d.stop()
}

// lostSite is a site of one worker on one partition, which has read 100 events
// and was stopped.
type lostSite struct {
	*site

	t       *testing.T
	admin   *kgo.Client
	metrics string // the worker's listener
}

func newLostSite(t *testing.T) *lostSite {
	t.Helper()
	s := &lostSite{t: t, site: startSite(t, siteConfig{workers: 1, partitions: 1, session: 6 * time.Second, checkpoint: time.Second})}
	admin, err := kgo.NewClient(kgo.SeedBrokers(s.kafka...), kgo.MaxVersions(kversion.V3_0_0()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	s.admin = admin
	if s.metrics, err = stablePort(); err != nil {
		t.Fatal(err)
	}
	s.must("network", "set", "good")
	s.start1()
	sendGood(t, s.kafka, 0, 100)
	s.events(100)
	s.stop1()
	return s
}

// must runs a command that works, and gives what it printed.
func (s *lostSite) must(args ...string) string {
	s.t.Helper()
	out, err := s.run(startLimit, args...)
	if err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	return out
}

func (s *lostSite) start1() {
	s.t.Helper()
	if err := s.workers[0].start("DAYBOOK_METRICS_LISTEN=" + s.metrics); err != nil {
		s.t.Fatal(err)
	}
}

func (s *lostSite) stop1() {
	s.t.Helper()
	if err := s.workers[0].end(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
}

// until asks again until a condition about another process holds.
func (s *lostSite) until(what string, holds func() bool) {
	s.t.Helper()
	limit := time.Now().Add(startLimit)
	for !holds() {
		if time.Now().After(limit) {
			s.t.Fatalf("waited %s in vain: %s\n%s", startLimit, what, s.workers[0].tail())
		}
		last(100 * time.Millisecond)
	}
}

func (s *lostSite) count(sql string) int64 {
	s.t.Helper()
	n, err := s.number(s.t.Context(), sql)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// events waits until so many are stored, all in sessions and in the ledger.
func (s *lostSite) events(n int64) {
	s.t.Helper()
	s.until(fmt.Sprint(n, " events"), func() bool {
		return s.count("SELECT count() FROM events") == n && s.count("SELECT sum(events) FROM sessions") == n && s.count("SELECT sum(accepted) FROM ledger") == n
	})
}

// notReady waits until the worker says why it is not ready.
func (s *lostSite) notReady(want ...string) {
	s.t.Helper()
	said := ""
	s.until("the worker to say "+strings.Join(want, ", "), func() bool {
		answer, err := http.Get("http://" + s.metrics + "/readyz")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		said = string(text)
		for _, w := range want {
			if !strings.Contains(said, w) {
				return false
			}
		}
		return err == nil && answer.StatusCode == http.StatusServiceUnavailable
	})
}

// Retention passed unread records: the worker halts, daybook skip refuses what
// is not lost and records what is, the worker goes on, and the ledger and the
// table gaps say what is missing.
func TestLogCut_SkipRecordsAGap(t *testing.T) {
	s := newLostSite(t)
	if out, err := s.run(startLimit, "skip", "--partition", "0", "--reason", "x"); err == nil || !strings.Contains(out, "nothing is lost") {
		t.Errorf("skip on a whole log: %v\n%s", err, out)
	}
	sendGood(t, s.kafka, 100, 140)
	request := kmsg.NewPtrDeleteRecordsRequest()
	request.TimeoutMillis = 10_000
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic = schemas.TopicEvents
	topic.Partitions = []kmsg.DeleteRecordsRequestTopicPartition{{Partition: 0, Offset: 121}} // the setting, 100 events, 20 of 40
	request.Topics = append(request.Topics, topic)
	if a, err := request.RequestWith(t.Context(), s.admin); err != nil || a.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatalf("delete records: %v, %+v", err, a)
	}
	s.start1()
	s.notReady("the log begins at 121, the next record to read is 101", "daybook skip --partition 0 --reason TEXT")
	if out := s.must("skip", "--partition", "0", "--reason", "retention was too short"); !strings.Contains(out, "20 offsets from 101 on are given up") {
		t.Errorf("skip says %q", out)
	}
	s.events(120)
	if n := s.count("SELECT sum(skipped['gap']) FROM ledger"); n != 20 {
		t.Errorf("the ledger counts %d offsets as given up, want 20", n)
	}
	if n := s.count("SELECT count() FROM gaps WHERE reason = 'retention was too short'"); n != 1 {
		t.Errorf("%d rows of gaps tell the reason, want 1", n)
	}
	sum := "SELECT sum(accepted + duplicate + arraySum(mapValues(not_recorded)) + arraySum(mapValues(rejected)) + arraySum(mapValues(skipped))) FROM ledger"
	if n := s.count(sum); n != 141 {
		t.Errorf("the ledger accounts for %d offsets, want each of 141", n)
	}
	s.stop1()
}

// Somebody set the group's offset by hand. Nothing is read from there; deleting
// the offsets, as the worker says, lets it go on where it was.
func TestForeignCommit_HaltsAndGoesOnWhereItWas(t *testing.T) {
	s := newLostSite(t)
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.Generation = "daybook", -1
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic = schemas.TopicEvents
	one := kmsg.NewOffsetCommitRequestTopicPartition()
	one.Offset, one.Metadata = 7, new("set by hand")
	topic.Partitions = append(topic.Partitions, one)
	commit.Topics = append(commit.Topics, topic)
	if a, err := commit.RequestWith(t.Context(), s.admin); err != nil || a.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatalf("commit: %v, %+v", err, a)
	}
	sendGood(t, s.kafka, 100, 140)
	s.start1()
	s.notReady("offset 7 was committed by somebody else", "--delete-offsets")
	s.stop1()
	request := kmsg.NewPtrOffsetDeleteRequest()
	request.Group = "daybook"
	deleted := kmsg.NewOffsetDeleteRequestTopic()
	deleted.Topic, deleted.Partitions = schemas.TopicEvents, []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}
	request.Topics = append(request.Topics, deleted)
	if a, err := request.RequestWith(t.Context(), s.admin); err != nil || a.ErrorCode != 0 || a.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatalf("delete offsets: %v, %+v", err, a)
	}
	s.start1()
	s.events(140)
	s.stop1()
}

// The topic was deleted and made anew: worker and migrate refuse over tables
// with rows, naming the remedy; after it the new log is read from its start.
func TestTopicMadeAnew_RefusedUntilTheEpochIsNew(t *testing.T) {
	s := newLostSite(t)
	request := kmsg.NewPtrDeleteTopicsRequest()
	request.TimeoutMillis = 10_000
	request.TopicNames = []string{schemas.TopicEvents}
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = kmsg.StringPtr(schemas.TopicEvents)
	request.Topics = append(request.Topics, topic)
	if a, err := request.RequestWith(t.Context(), s.admin); err != nil || a.Topics[0].ErrorCode != 0 {
		t.Fatalf("delete topic: %v, %+v", err, a)
	}
	if out, err := s.run(startLimit, "migrate"); err == nil || !strings.Contains(out, "daybook migrate --new-epoch") {
		t.Fatalf("migrate over tables of another topic: %v\n%s", err, out)
	}
	s.start1()
	s.until("the worker to refuse", func() bool { return s.workers[0].await(time.Second) })
	if said := s.workers[0].tail(); !strings.Contains(said, "daybook migrate --new-epoch") {
		t.Errorf("the worker says\n%s", said)
	}
	if out := s.must("migrate", "--new-epoch"); !strings.Contains(out, "is epoch 2") {
		t.Errorf("migrate --new-epoch says %q", out)
	}
	s.must("network", "set", "good")
	s.start1()
	sendGood(t, s.kafka, 100, 140)
	s.events(140)
	s.stop1()
}

// A record that makes the handler panic is set aside, with its bytes; everything
// around it is stored, status and readiness tell of it, and a start without the
// fault changes nothing of that.
func TestPoison_IsSetAsideAndEverythingGoesOn(t *testing.T) {
	data := t.TempDir()
	d := startDev(t, data, "DAYBOOK_FAILPOINT=apply=venom:panic")
	d.run(0, "network", "set", "good")
	sendGood(t, d.Kafka, 0, 200)
	client, err := source.New(source.Config{Brokers: d.Kafka})
	if err != nil {
		t.Fatal(err)
	}
	bad := source.Outgoing{Key: []byte("good/user-3"), Value: []byte(`{"id":"venom","network":"good","user":"user-3","time":"2026-05-12T08:03:20Z"}`), Partition: -1}
	err = client.Produce(t.Context(), []source.Outgoing{bad})
	client.Close()
	if err != nil {
		t.Fatal(err)
	}
	sendGood(t, d.Kafka, 200, 400)
	check := func(when string) {
		t.Helper()
		// A flush writes its ledger last.
		d.await("every good event "+when, func() bool {
			return d.number(`SELECT count() FROM daybook.events`) == 400 && d.number(`SELECT sum(events) FROM daybook.sessions`) == 400 &&
				d.number(`SELECT sum(accepted) + sum(rejected['handler_panic']) FROM daybook.ledger`) == 401
		})
		rows := d.sql(`SELECT reason, raw, detail FROM daybook.rejects`)
		if len(rows) != 1 || rows[0][0] != "handler_panic" || rows[0][1] != string(bad.Value) || !strings.Contains(rows[0][2], "DAYBOOK_FAILPOINT says so") {
			t.Errorf("%s: rejects %q", when, rows)
		}
		if n := d.number(`SELECT sum(rejected['handler_panic']) FROM daybook.ledger`); n != 1 {
			t.Errorf("%s: the ledger counts %d, want 1", when, n)
		}
		var status struct {
			SetAside []struct {
				Offset int64
				Panics int
				Reason string
			} `json:"set_aside"`
		}
		if err := json.Unmarshal([]byte(d.run(0, "status", "--json")), &status); err != nil || len(status.SetAside) != 1 || status.SetAside[0].Panics != 3 {
			t.Errorf("%s: status says %+v, %v", when, status, err)
		}
		d.await("readiness that tells of it "+when, func() bool { // once the partitions are restored
			answer, err := http.Get(d.Metrics + "/readyz")
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			return err == nil && answer.StatusCode == http.StatusOK && strings.Contains(string(text), "1 records of partition")
		})
	}
	check("while it would panic")
	if sum := d.metrics("daybook_worker_panics_total"); sum[""] != 3 && sum["daybook_worker_panics_total"] != 3 {
		t.Errorf("panics are counted as %v, want 3", sum)
	}
	want := d.tables("good")
	d.kill()
	d = startDev(t, data)
	check("after a start without the fault")
	for table, text := range d.tables("good") {
		if text != want[table] {
			t.Errorf("%s differs after the start", table)
		}
	}
	d.stop()
}
