package source_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go"
	"go.uber.org/goleak"

	"daybook/pipeline/broker/brokertest"
	"daybook/pipeline/source"
	"daybook/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(brokertest.Main(m)) }

// This file is the contract with a broker. It runs against the embedded one, or
// unchanged against Apache Kafka: make test-kafka.

var unique atomic.Int64

// open gives a client whose topics and group are this test's own.
func open(tb testing.TB, brokers []string, change func(*source.Config)) *source.Client {
	tb.Helper()
	prefix := fmt.Sprintf("t%d-%d", time.Now().UnixNano(), unique.Add(1))
	cfg := source.Config{
		Brokers: brokers, ClientID: "daybook-test", Group: prefix,
		EventsTopic: prefix + ".events", SettingsTopic: prefix + ".settings", CheckpointsTopic: prefix + ".checkpoints",
		RetryFor: 10 * time.Second, MaxWait: 200 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	c, err := source.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

func openWithTopics(tb testing.TB, partitions int) *source.Client {
	tb.Helper()
	c := open(tb, brokertest.Start(tb), nil)
	if err := c.EnsureTopics(tb.Context(), source.TopicsConfig{Partitions: partitions}); err != nil {
		tb.Fatal(err)
	}
	return c
}

func within(tb testing.TB, d time.Duration) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), d)
	tb.Cleanup(cancel)
	return ctx
}

// readAll fetches from an offset until the end and checks that each chunk
// covers its range exactly.
func readAll(tb testing.TB, c *source.Client, partition int32, from int64) (records []source.Record, skips []source.Skip) {
	tb.Helper()
	for next := from; ; {
		chunk, err := c.Fetch(within(tb, 20*time.Second), partition, next)
		if err != nil {
			tb.Fatalf("fetch at %d: %v", next, err)
		}
		checkCover(tb, chunk)
		records, skips = append(records, chunk.Records...), append(skips, chunk.Skips...)
		if chunk.Next >= chunk.LastStable {
			return records, skips
		}
		next = chunk.Next
	}
}

// checkCover checks that records and skips are [From, Next) exactly.
func checkCover(tb testing.TB, chunk *source.Chunk) {
	tb.Helper()
	at, records, skips := chunk.From, chunk.Records, chunk.Skips
	for at < chunk.Next {
		switch {
		case len(records) > 0 && records[0].Offset == at:
			at, records = at+1, records[1:]
		case len(skips) > 0 && skips[0].From == at && skips[0].To > at:
			at, skips = skips[0].To, skips[1:]
		default:
			tb.Fatalf("offset %d of [%d, %d) is covered by nothing", at, chunk.From, chunk.Next)
		}
	}
	if at != chunk.Next || len(records)+len(skips) > 0 {
		tb.Fatalf("[%d, %d) is covered beyond its end: %d records, %d skips left", chunk.From, chunk.Next, len(records), len(skips))
	}
}

func TestClient_FetchesWhatKafkaGoWroteInEveryCodec(t *testing.T) {
	const count = 2_000
	for codec, name := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		t.Run(name, func(t *testing.T) {
			brokers := brokertest.Start(t)
			var topic string
			c := open(t, brokers, func(cfg *source.Config) { topic = cfg.EventsTopic })
			if err := c.EnsureTopics(t.Context(), source.TopicsConfig{Partitions: 1}); err != nil {
				t.Fatal(err)
			}
			w := &kafka.Writer{
				Addr: kafka.TCP(brokers...), Topic: topic, RequiredAcks: kafka.RequireAll, BatchSize: 300,
				BatchTimeout: 5 * time.Millisecond, Compression: kafka.Compression(codec), Transport: new(kafka.Transport),
			}
			messages := make([]kafka.Message, count)
			for i := range messages {
				messages[i] = kafka.Message{
					Key: fmt.Appendf(nil, "key-%d", i), Value: []byte(strings.Repeat(fmt.Sprintf("value %d ", i), i%40)),
					Headers: []kafka.Header{{Key: "h", Value: fmt.Appendf(nil, "%d", i)}},
				}
			}
			defer w.Transport.(*kafka.Transport).CloseIdleConnections() //nolint:forcetypeassert // set above.
			if err := w.WriteMessages(within(t, 20*time.Second), messages...); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			records, _ := readAll(t, c, 0, 0)
			if len(records) != count {
				t.Fatalf("got %d records, want %d", len(records), count)
			}
			for i, r := range records {
				want := messages[i]
				if r.Offset != int64(i) || string(r.Key) != string(want.Key) || string(r.Value) != string(want.Value) ||
					len(r.Headers) != 1 || string(r.Headers[0].Value) != string(want.Headers[0].Value) {
					t.Fatalf("record %d differs: %+v", i, r)
				}
				if age := time.Since(time.UnixMilli(r.TimestampMs)); age < -time.Minute || age > time.Hour {
					t.Fatalf("record %d has time %d", i, r.TimestampMs)
				}
			}
			// From the middle of a batch.
			if records, _ := readAll(t, c, 0, 1_234); len(records) != count-1_234 || records[0].Offset != 1_234 {
				t.Fatalf("from the middle: got %d records", len(records))
			}
		})
	}
}

func TestClient_FetchIsEmptyAtTheEndAndRefusesWhatIsOut(t *testing.T) {
	c := openWithTopics(t, 2)
	if err := c.Produce(t.Context(), []source.Outgoing{{Value: []byte("a"), Partition: 1}, {Value: []byte("b"), Partition: 1}}); err != nil {
		t.Fatal(err)
	}
	chunk, err := c.Fetch(t.Context(), 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if chunk.From != 2 || chunk.Next != 2 || len(chunk.Records)+len(chunk.Skips) != 0 || chunk.LastStable != 2 {
		t.Fatalf("at the end: %+v", chunk)
	}
	_, err = c.Fetch(t.Context(), 1, 7)
	out := (*source.OffsetOutOfRangeError)(nil)
	if !errors.As(err, &out) || !errors.Is(err, source.ErrOffsetOutOfRange) || out.Start != 0 || out.End != 2 || out.Offset != 7 {
		t.Fatalf("beyond the end: %v", err)
	}
}

func TestClient_FetchEndsWithItsContext(t *testing.T) {
	c := openWithTopics(t, 1)
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	if _, err := c.Fetch(ctx, 0, 0); !errors.Is(err, stop) {
		t.Fatalf("got %v", err)
	}
}

func TestClient_CommitsAndReadsBackMetadata(t *testing.T) {
	c := openWithTopics(t, 2)
	group, gen := join(t, c)
	committed, err := gen.Committed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[int32]source.Committed{0: {Offset: -1}, 1: {Offset: -1}}, committed); diff != "" {
		t.Fatal(diff)
	}
	metadata := source.Pointer{ID: "p1-42-00", TopicOffset: 7, Chunks: 2, Bytes: 900_001, Sum: strings.Repeat("a", 32), Next: 42}.String()
	if err := gen.Commit(t.Context(), 1, 42, metadata); err != nil {
		t.Fatal(err)
	}
	longest := strings.Repeat("x", source.MaxMetadataBytes)
	if err := gen.Commit(t.Context(), 0, 1, longest); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{longest + "x", "a\x00b", "é"} {
		if err := gen.Commit(t.Context(), 0, 2, bad); !errors.Is(err, source.ErrBadMetadata) {
			t.Fatalf("metadata %.10q: got %v", bad, err)
		}
	}
	committed, err = gen.Committed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[int32]source.Committed{0: {Offset: 1, Metadata: longest}, 1: {Offset: 42, Metadata: metadata}}, committed); diff != "" {
		t.Fatal(diff)
	}
	if err := c.ResetCommitted(t.Context(), 1, 5, "by hand"); !errors.Is(err, source.ErrFenced) {
		t.Fatalf("reset while there is a member: %v", err)
	}
	if err := group.Close(); err != nil {
		t.Fatal(err)
	}
	// The left member is fenced; the administrator may set an empty group.
	if err := gen.Commit(t.Context(), 1, 43, ""); !errors.Is(err, source.ErrFenced) {
		t.Fatalf("commit of a member that left: %v", err)
	}
	if err := c.ResetCommitted(t.Context(), 1, 5, "by hand"); err != nil {
		t.Fatal(err)
	}
	committed, err = c.Committed(t.Context(), []int32{1})
	if err != nil || committed[1] != (source.Committed{Offset: 5, Metadata: "by hand"}) {
		t.Fatalf("after reset: %v, %v", committed, err)
	}
}

func join(tb testing.TB, c *source.Client) (*source.Group, *source.Generation) {
	tb.Helper()
	group, err := c.NewGroup(source.GroupConfig{SessionTimeout: 6 * time.Second, Heartbeat: 100 * time.Millisecond, JoinBackoff: 100 * time.Millisecond, WatchInterval: 100 * time.Millisecond})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = group.Close() })
	gen, err := group.Next(within(tb, 30*time.Second))
	if err != nil {
		tb.Fatal(err)
	}
	return group, gen
}

func TestClient_CheckpointRoundTrip(t *testing.T) {
	c := openWithTopics(t, 2)
	big := make([]byte, 2_500_000)
	for i := range big {
		big[i] = byte(i * i >> 7)
	}
	orphan, err := c.WriteCheckpoint(t.Context(), 1, 5, []byte("of a worker that was killed"))
	if err != nil {
		t.Fatal(err)
	}
	var pointers []source.Pointer
	for i, snapshot := range [][]byte{[]byte("small"), big, {}} {
		p, err := c.WriteCheckpoint(t.Context(), 1, int64(10*(i+1)), snapshot)
		if err != nil {
			t.Fatal(err)
		}
		back, err := source.ParsePointer(p.String())
		if err != nil || back != p || len(p.String()) > 300 {
			t.Fatalf("pointer %q: %v, %v", p, back, err)
		}
		got, err := c.ReadCheckpoint(t.Context(), 1, p)
		if err != nil || string(got) != string(snapshot) {
			t.Fatalf("snapshot %d: %d bytes, %v", i, len(got), err)
		}
		pointers = append(pointers, p)
	}
	listed, err := c.Checkpoints(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]source.Pointer{pointers[2], pointers[1], pointers[0], orphan}, listed); diff != "" {
		t.Fatal(diff)
	}
	if err := c.DropCheckpoints(t.Context(), 1, pointers[:2]); err != nil {
		t.Fatal(err)
	}
	listed, err = c.Checkpoints(t.Context(), 1)
	if err != nil || len(listed) != 1 || listed[0] != pointers[2] { // the orphan went with them: the log was cut
		t.Fatalf("after drop: %v, %v", listed, err)
	}
	damaged := pointers[1]
	damaged.Sum = strings.Repeat("0", 32)
	if _, err := c.ReadCheckpoint(t.Context(), 1, damaged); !errors.Is(err, source.ErrCheckpointDamaged) {
		t.Fatalf("other checksum: %v", err)
	}
	missing := pointers[1]
	missing.ID = "p1-0-ffff"
	if _, err := c.ReadCheckpoint(t.Context(), 1, missing); !errors.Is(err, source.ErrCheckpointDamaged) {
		t.Fatalf("missing: %v", err)
	}
}

func TestClient_SettingsAreTheNewestOfEach(t *testing.T) {
	c := openWithTopics(t, 1)
	var last int64
	for _, kv := range [][2]string{{"b", "1"}, {"a", "2"}, {"b", "3"}} {
		position, err := c.PutSetting(t.Context(), kv[0], []byte(kv[1]))
		if err != nil {
			t.Fatal(err)
		}
		last = position
	}
	got, err := c.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []source.Setting{{Network: "a", Value: []byte("2"), Position: last - 1}, {Network: "b", Value: []byte("3"), Position: last}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestClient_AppendControlReachesOnePartition(t *testing.T) {
	c := openWithTopics(t, 3)
	offset, err := c.AppendControl(t.Context(), 2, []byte(`{"network":"n"}`), []byte("signature"))
	if err != nil || offset != 0 {
		t.Fatalf("offset %d, %v", offset, err)
	}
	records, _ := readAll(t, c, 2, 0)
	if len(records) != 1 || string(records[0].Headers[0].Key) != schemas.HeaderControl || string(records[0].Headers[0].Value) != "signature" {
		t.Fatalf("got %+v", records)
	}
}

func TestClient_EnsureTopicsIsIdempotentAndChecksCounts(t *testing.T) {
	c := openWithTopics(t, 3)
	if err := c.EnsureTopics(t.Context(), source.TopicsConfig{Partitions: 3}); err != nil {
		t.Fatal(err)
	}
	if err := c.EnsureTopics(t.Context(), source.TopicsConfig{Partitions: 4}); !errors.Is(err, source.ErrPartitionCount) {
		t.Fatalf("got %v", err)
	}
	id, err := c.TopicID(t.Context(), c.EventsTopic())
	if err != nil || len(id) != 32 || id == strings.Repeat("0", 32) {
		t.Fatalf("topic id %q, %v", id, err)
	}
	if _, err := c.TopicID(t.Context(), "absent"); !errors.Is(err, source.ErrUnknownTopic) {
		t.Fatalf("absent topic: %v", err)
	}
}
