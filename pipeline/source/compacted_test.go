package source_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/pipeline/broker/brokertest"
	"daybook/pipeline/source"
)

// TestClient_ReadsALogThatKafkaCompacted: cut batches, and the empty batch that
// an idempotent producer leaves behind, on which kafka-go panics (KAFKA.md fact
// 1). Only Apache Kafka makes them.
func TestClient_ReadsALogThatKafkaCompacted(t *testing.T) {
	if !brokertest.Real() {
		t.Skipf("%s is not set: the embedded broker leaves no empty batches", brokertest.EnvKafka)
	}
	brokers := brokertest.Start(t)
	var topic string
	c := open(t, brokers, func(cfg *source.Config) { topic = cfg.EventsTopic })
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	answer, err := (&kafka.Client{Addr: kafka.TCP(brokers...), Transport: transport}).CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{
		Topic: topic, NumPartitions: 1, ReplicationFactor: 1, ConfigEntries: []kafka.ConfigEntry{
			{ConfigName: "cleanup.policy", ConfigValue: "compact"},
			{ConfigName: "segment.ms", ConfigValue: "100"},
			{ConfigName: "min.cleanable.dirty.ratio", ConfigValue: "0.01"},
			{ConfigName: "max.compaction.lag.ms", ConfigValue: "100"},
		},
	}}})
	if err != nil || answer.Errors[topic] != nil {
		t.Fatalf("%v, %v", err, answer)
	}
	producer, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(5*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	const rounds, keys = 40, 8
	end := int64(0)
	for deadline := time.Now().Add(90 * time.Second); ; {
		for round := range rounds {
			var records []*kgo.Record
			for key := range keys - round%3 {
				records = append(records, kgo.KeySliceRecord(fmt.Append(nil, key), fmt.Append(nil, "value ", end)))
			}
			if err := producer.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
				t.Fatal(err)
			}
			end += int64(len(records))
		}
		records, skips := readTo(t, c, 0, end)
		if len(skips) > 1 {
			t.Logf("%d offsets: %d records, %d gaps", end, len(records), len(skips))
			for from := range end { // from everywhere, also from within a gap
				readTo(t, c, from, min(from+20, end))
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the broker did not compact")
		}
	}
}
