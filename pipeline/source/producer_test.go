package source_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"daybook/pipeline/source"
)

func TestProducer_KeepsOrderWithinEachPartition(t *testing.T) {
	const count, partitions = 20_000, 3
	for _, compression := range []source.Compression{source.CompressionNone, source.CompressionLZ4, source.CompressionZstd} {
		t.Run(fmt.Sprint(compression), func(t *testing.T) {
			c := openWithTopics(t, partitions)
			p, err := c.NewProducer(t.Context(), source.ProducerConfig{BatchBytes: 40_000, Linger: time.Millisecond, Compression: compression})
			if err != nil {
				t.Fatal(err)
			}
			want := make([][]string, partitions)
			murmur, all := kafka.Murmur2Balancer{}, []int{0, 1, 2}
			for i := range count {
				key, value := fmt.Sprintf("n/user-%d", i%997), fmt.Sprintf("value %d", i)
				out := &source.Outgoing{Key: []byte(key), Value: []byte(value), Partition: -1}
				if err := p.Send(t.Context(), out); err != nil {
					t.Fatal(err)
				}
				at := murmur.Balance(kafka.Message{Key: []byte(key)}, all...)
				want[at] = append(want[at], value)
			}
			if err := p.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if p.Acked() != count {
				t.Fatalf("acked %d of %d", p.Acked(), count)
			}
			if err := p.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			for partition := range want {
				records, _ := readAll(t, c, int32(partition), 0)
				if len(records) != len(want[partition]) {
					t.Fatalf("partition %d has %d records, want %d", partition, len(records), len(want[partition]))
				}
				for i, r := range records {
					if string(r.Value) != want[partition][i] {
						t.Fatalf("partition %d offset %d: %q, want %q", partition, i, r.Value, want[partition][i])
					}
				}
			}
		})
	}
}

func TestProducer_SendsALoneRecordAfterItsLinger(t *testing.T) {
	c := openWithTopics(t, 1)
	p, err := c.NewProducer(t.Context(), source.ProducerConfig{Linger: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close(t.Context()) }()
	if err := p.Send(t.Context(), &source.Outgoing{Value: []byte("alone"), Partition: 0}); err != nil {
		t.Fatal(err)
	}
	for {
		chunk, err := c.Fetch(within(t, 10*time.Second), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(chunk.Records) == 1 {
			return
		}
	}
}

func TestProducer_RefusesWhatIsTooLargeAndGoesOn(t *testing.T) {
	c := openWithTopics(t, 1)
	p, err := c.NewProducer(t.Context(), source.ProducerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Send(t.Context(), &source.Outgoing{Value: make([]byte, 1_100_000)}); !errors.Is(err, source.ErrRecordTooLarge) {
		t.Fatalf("got %v", err)
	}
	if err := p.Send(t.Context(), &source.Outgoing{Value: nil, Partition: 1}); !errors.Is(err, source.ErrUnknownPartition) {
		t.Fatalf("got %v", err)
	}
	// Over the limit of an event, yet below the broker's: it must get through,
	// so that it is seen as a reject.
	large := bytes.Repeat([]byte("x"), 1_040_000)
	if err := p.Send(t.Context(), &source.Outgoing{Value: large}); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	records, _ := readAll(t, c, 0, 0)
	if len(records) != 1 || !bytes.Equal(records[0].Value, large) {
		t.Fatalf("got %d records", len(records))
	}
	if err := p.Send(t.Context(), &source.Outgoing{}); err == nil {
		t.Fatal("a closed producer takes a record")
	}
}
