package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"daybook/pipeline/broker/brokertest"
)

// logs remembers which Kafka has the log of a data folder: dev on the same
// folder must find it again.
var logs = struct {
	sync.Mutex

	byFolder map[string][]string
}{byFolder: make(map[string][]string)}

// kafkaSettings makes dev on a data folder use Apache Kafka in place of its
// embedded broker, if the suite runs on it (brokertest.EnvKafka).
func kafkaSettings(tb testing.TB, data string) []string {
	tb.Helper()
	if !brokertest.Real() {
		return nil
	}
	logs.Lock()
	defer logs.Unlock()
	addrs, known := logs.byFolder[data]
	if !known {
		addrs = brokertest.Start(tb)
		logs.byFolder[data] = addrs
		tb.Cleanup(func() {
			logs.Lock()
			defer logs.Unlock()
			delete(logs.byFolder, data)
		})
	}
	return []string{
		"DAYBOOK_KAFKA_BROKERS=" + strings.Join(addrs, ","),
		fmt.Sprintf("DAYBOOK_KAFKA_REPLICATION=%d", brokertest.Replicas()),
	}
}
