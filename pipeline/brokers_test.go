package pipeline

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"daybook/schemas"
)

// What other people's producers write, from the broker to rows. Each test runs
// on the embedded broker and on Apache Kafka.

var brokersBase = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// foreign is a producer that is not ours: franz-go, which has Java's features.
func (r *rig) foreign(opts ...kgo.Opt) *kgo.Client {
	r.tb.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(r.brokers...), kgo.DefaultProduceTopic(schemas.TopicEvents), kgo.RecordPartitioner(kgo.ManualPartitioner()),
	}, opts...)...)
	if err != nil {
		r.tb.Fatal(err)
	}
	r.tb.Cleanup(c.Close)
	return c
}

// record makes an event of its own session, on its partition.
func (r *rig) record(i int) *kgo.Record {
	user := fmt.Sprintf("user-%d", i%7)
	key := schemas.AppendKey(nil, "acme", user)
	return &kgo.Record{
		Key: key, Partition: schemas.Partition(key, int(r.partitions)),
		Value: fmt.Appendf(nil, `{"id":"e%d","network":"acme","user":%q,"time":%q}`, i, user, brokersBase.Add(time.Duration(i)*13*time.Minute).Format(time.RFC3339)),
	}
}

func (r *rig) send(c *kgo.Client, records ...*kgo.Record) {
	r.tb.Helper()
	if err := c.ProduceSync(r.ctx, records...).FirstErr(); err != nil {
		r.tb.Fatal(err)
	}
	for _, record := range records {
		r.produced[record.Partition] = max(r.produced[record.Partition], record.Offset+1)
	}
}

func TestWorker_TakesEveryCompression(t *testing.T) {
	const perCodec = 140
	r := newRig(t, 2)
	r.network("acme")
	w := r.launch("a", nil)
	codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
	for n, codec := range codecs {
		c := r.foreign(kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(20*time.Millisecond))
		var records []*kgo.Record
		for i := range perCodec {
			records = append(records, r.record(n*perCodec+i))
		}
		r.send(c, records...)
	}
	r.settled()
	if err := w.stop(); err != nil {
		t.Error(err)
	}
	if sessions, events := r.count(); sessions != perCodec*len(codecs) || events != perCodec*len(codecs) {
		t.Errorf("got %d sessions of %d events, want %d of each", sessions, events, perCodec*len(codecs))
	}
	// The producer may leave a batch as it is if that is smaller: each codec must
	// really have been on the log.
	reader := r.foreign(kgo.ConsumeTopics(schemas.TopicEvents), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	seen, left := map[uint8]int{}, r.produced[0]+r.produced[1]
	for left > 0 {
		fetches := reader.PollFetches(r.ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(record *kgo.Record) { seen[record.Attrs.CompressionType()]++; left-- })
	}
	for codec := uint8(1); codec <= 4; codec++ {
		if seen[codec] != perCodec {
			t.Errorf("codec %d: %d records on the log, want %d", codec, seen[codec], perCodec)
		}
	}
}

// A transactional producer: what it aborted and the markers are skipped and
// accounted for, and nothing behind an open transaction is taken before it ends.
func TestWorker_AccountsForTransactions(t *testing.T) {
	r := newRig(t, 1)
	r.network("acme") // offset 0
	w := r.launch("a", nil)
	tx, plain := r.foreign(kgo.TransactionalID("tx")), r.foreign()
	begin := func() {
		t.Helper()
		if err := tx.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
	}
	end := func(try kgo.TransactionEndTry) {
		t.Helper()
		if err := tx.EndTransaction(r.ctx, try); err != nil {
			t.Fatal(err)
		}
		r.produced[0]++ // the marker
	}
	begin()
	r.send(tx, r.record(1), r.record(2))
	end(kgo.TryCommit) // 1, 2, marker 3
	begin()
	r.send(tx, r.record(3), r.record(4), r.record(5))
	end(kgo.TryAbort) // 4 to 6, marker 7
	r.send(plain, r.record(6))
	r.settled() // 8
	r.expectLedger("next 9: 3 accepted, 0 duplicate (0 conflicts), map[] map[] map[aborted:3 control:3]")

	begin()
	r.send(tx, r.record(7))    // 9, open
	r.send(plain, r.record(8)) // 10, behind it
	produced := time.Now().UnixMilli()
	r.store.await(r.ctx, t, "the worker to have looked since", func() bool { return r.store.statuses[0].CaughtUpMs > produced })
	r.store.mu.Lock()
	status := r.store.statuses[0]
	r.store.mu.Unlock()
	if status.Published != 9 || status.LogEnd != 9 {
		t.Errorf("with a transaction open at 9: published %d of %d, want 9 of 9", status.Published, status.LogEnd)
	}
	end(kgo.TryAbort) // marker 11
	r.settled()
	if err := w.stop(); err != nil {
		t.Error(err)
	}
	r.expectLedger("next 12: 4 accepted, 0 duplicate (0 conflicts), map[] map[] map[aborted:4 control:4]")
	if sessions, events := r.count(); sessions != 4 || events != 4 {
		t.Errorf("got %d sessions of %d events, want 4 of 4: those of offsets 1, 2, 8 and 10", sessions, events)
	}
}

// expectLedger compares the only block of partition 0.
func (r *rig) expectLedger(want string) {
	r.tb.Helper()
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	if got := r.store.of(0).ledger["0"].row; got != want {
		r.tb.Errorf("ledger:\n got %s\nwant %s", got, want)
	}
}

// grow gives a topic more partitions, as an administrator would.
func grow(ctx context.Context, tb testing.TB, c *kgo.Client, topic string, partitions int32) {
	tb.Helper()
	request := kmsg.NewPtrCreatePartitionsRequest()
	request.TimeoutMillis = 10_000
	request.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: topic, Count: partitions}}
	answer, err := request.RequestWith(ctx, c)
	if err != nil || answer.Topics[0].ErrorCode != 0 {
		tb.Fatalf("grow %s: %v, %+v", topic, err, answer)
	}
}

// More partitions while it runs: users would move between them, so the worker
// ends with instructions, and what it had is committed (ARCHITECTURE.md 4.11).
func TestWorker_RefusesMorePartitions(t *testing.T) {
	r := newRig(t, 2)
	r.network("acme")
	r.produce(brokersBase, upTo(50)...)
	w := r.launch("a", nil)
	r.settled()
	grow(r.ctx, t, r.foreign(), schemas.TopicEvents, 4)
	select {
	case err := <-w.done:
		if err == nil || !strings.Contains(err.Error(), "has 4 partitions, its epoch has 2") || !strings.Contains(err.Error(), "daybook migrate") {
			t.Errorf("the worker ended with: %v", err)
		}
	case <-r.ctx.Done():
		t.Fatal("the worker did not notice")
	}
	w.cancel()
	committed, err := r.client.Committed(r.ctx, []int32{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	for p, n := range r.produced {
		if committed[p].Offset != n {
			t.Errorf("partition %d: committed %d, want %d", p, committed[p].Offset, n)
		}
	}
}
