package source_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/pipeline/broker/brokertest"
	"daybook/pipeline/source"
)

// TestClient_TheLogAppendsTheTime: on Apache Kafka a producer has no say in when
// a record came. The embedded broker believes the producer.
func TestClient_TheLogAppendsTheTime(t *testing.T) {
	if !brokertest.Real() {
		t.Skipf("%s is not set: the embedded broker leaves the producer's time", brokertest.EnvKafka)
	}
	brokers := brokertest.Start(t)
	var topic string
	c := open(t, brokers, func(cfg *source.Config) { topic = cfg.EventsTopic })
	if err := c.EnsureTopics(t.Context(), source.TopicsConfig{Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	producer, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	liar := kgo.StringRecord("x")
	liar.Timestamp = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	before := time.Now().UnixMilli()
	if err := producer.ProduceSync(t.Context(), liar).FirstErr(); err != nil {
		t.Fatal(err)
	}
	records, _ := readTo(t, c, 0, 1)
	if at := records[0].TimestampMs; at < before || at > time.Now().UnixMilli() {
		t.Fatalf("the record's time is %s", time.UnixMilli(at))
	}
}
