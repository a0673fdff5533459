package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"daybook/pipeline/broker/brokertest"
)

// logs remembers which broker has the log of a data folder: dev on the same
// folder must find it again.
var logs = struct {
	sync.Mutex

	byFolder map[string][]string
}{byFolder: make(map[string][]string)}

// useKafka makes dev on a data folder use a broker of the test's own, embedded
// here or Apache Kafka, in place of the one that dev embeds.
func useKafka(tb testing.TB, data string) (addrs []string) {
	tb.Helper()
	logs.Lock()
	defer logs.Unlock()
	if addrs = logs.byFolder[data]; addrs != nil {
		return addrs
	}
	addrs = brokertest.Start(tb)
	logs.byFolder[data] = addrs
	tb.Cleanup(func() {
		logs.Lock()
		defer logs.Unlock()
		delete(logs.byFolder, data)
	})
	return addrs
}

// kafkaSettings tells dev on a data folder where its log is, if dev does not
// embed the broker: the suite runs on Apache Kafka, or the test said so.
func kafkaSettings(tb testing.TB, data string) []string {
	tb.Helper()
	logs.Lock()
	own := logs.byFolder[data] == nil && !brokertest.Real()
	logs.Unlock()
	if own {
		return nil
	}
	return []string{
		"DAYBOOK_KAFKA_BROKERS=" + strings.Join(useKafka(tb, data), ","),
		fmt.Sprintf("DAYBOOK_KAFKA_REPLICATION=%d", brokertest.Replicas()),
	}
}
