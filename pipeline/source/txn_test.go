package source_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/pipeline/broker/brokertest"
	"daybook/pipeline/source"
)

// TestClient_FetchHidesTransactions writes as a transactional Java producer
// would: kafka-go delivers aborted records and markers as data (KAFKA.md fact 2).
func TestClient_FetchHidesTransactions(t *testing.T) {
	brokers := brokertest.Start(t)
	var topic string
	c := open(t, brokers, func(cfg *source.Config) { topic = cfg.EventsTopic })
	if err := c.EnsureTopics(t.Context(), source.TopicsConfig{Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	tx, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.DefaultProduceTopic(topic), kgo.TransactionalID(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	transaction := func(end int64, commit kgo.TransactionEndTry, names ...string) {
		t.Helper()
		if err := tx.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if err := tx.ProduceSync(t.Context(), kgo.StringRecord(name)).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.EndTransaction(within(t, 10*time.Second), commit); err != nil {
			t.Fatal(err)
		}
		readTo(t, c, 0, end) // the marker may come after EndTransaction returned
	}
	transaction(3, kgo.TryCommit, "a", "b")
	transaction(6, kgo.TryAbort, "aborted", "aborted")
	if err := c.Produce(t.Context(), []source.Outgoing{{Value: []byte("plain")}}); err != nil {
		t.Fatal(err)
	}
	transaction(9, kgo.TryAbort, "aborted")
	transaction(11, kgo.TryCommit, "c")
	records, skips := readTo(t, c, 0, 11)
	var got []string
	for _, r := range records {
		got = append(got, fmt.Sprint(r.Offset, " ", string(r.Value)))
	}
	if diff := cmp.Diff([]string{"0 a", "1 b", "6 plain", "9 c"}, got); diff != "" {
		t.Error(diff)
	}
	want := []source.Skip{
		{From: 2, To: 3, Why: source.SkipControl},
		{From: 3, To: 5, Why: source.SkipAborted},
		{From: 5, To: 6, Why: source.SkipControl},
		{From: 7, To: 8, Why: source.SkipAborted},
		{From: 8, To: 9, Why: source.SkipControl},
		{From: 10, To: 11, Why: source.SkipControl},
	}
	if diff := cmp.Diff(want, skips); diff != "" {
		t.Error(diff)
	}

	// An open transaction: nothing behind its start is read, whatever follows.
	if err := tx.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := tx.ProduceSync(t.Context(), kgo.StringRecord("open")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := c.Produce(t.Context(), []source.Outgoing{{Value: []byte("behind")}}); err != nil {
		t.Fatal(err)
	}
	chunk, err := c.Fetch(t.Context(), 0, 11)
	if err != nil || chunk.Next != 11 || chunk.LastStable != 11 || chunk.HighWatermark != 13 {
		t.Fatalf("open transaction: %+v, %v", chunk, err)
	}
	if err := tx.EndTransaction(within(t, 10*time.Second), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	records, _ = readTo(t, c, 11, 14)
	if len(records) != 1 || string(records[0].Value) != "behind" {
		t.Fatalf("after the abort: %+v", records)
	}
}

// readTo reads partition 0 from an offset until it has read up to another.
func readTo(tb testing.TB, c *source.Client, from, to int64) (records []source.Record, skips []source.Skip) {
	tb.Helper()
	for next := from; next < to; {
		chunk, err := c.Fetch(within(tb, 20*time.Second), 0, next)
		if err != nil {
			tb.Fatalf("fetch at %d: %v", next, err)
		}
		checkCover(tb, chunk)
		records, skips = append(records, chunk.Records...), append(skips, chunk.Skips...)
		next = chunk.Next
	}
	return records, skips
}
