// Package brokertest gives a test the broker that it runs against: the embedded
// one, or Apache Kafka on this machine.
package brokertest

import (
	"os"
	"testing"
	"time"

	"daybook/pipeline/broker"        //nolint:depguard // only tests import this package.
	"daybook/pipeline/broker/apache" //nolint:depguard // only tests import this package.
)

// EnvKafka names the variable that makes Start give Apache Kafka in place of an
// embedded broker, so that the same tests run against both: the number of
// nodes, 1 or 3.
const EnvKafka = "DAYBOOK_TEST_KAFKA"

// Start gives the addresses of a broker on which nobody has made a topic of
// Daybook, and which is this test's alone until it ends.
func Start(tb testing.TB) []string {
	tb.Helper()
	if Real() {
		return lease(tb).Addrs()
	}
	return StartIn(tb, tb.TempDir()).Addrs()
}

// Real tells whether Start gives Apache Kafka.
func Real() bool { return os.Getenv(EnvKafka) != "" } //nolint:forbidigo // a switch for tests, not configuration.

// Replicas is how many nodes Start's broker has, which is the replication factor
// that topics should have on it.
func Replicas() int {
	if Real() && os.Getenv(EnvKafka) == "3" { //nolint:forbidigo // as above.
		return 3
	}
	return 1
}

// Cluster gives Apache Kafka to a test that kills and pauses nodes, and skips the
// test where there is none, or fewer nodes than it needs.
func Cluster(tb testing.TB, nodes int) *apache.Cluster {
	tb.Helper()
	if !Real() || Replicas() < nodes {
		tb.Skipf("needs %d nodes of Apache Kafka (%s=%d): make test-kafka", nodes, EnvKafka, nodes)
	}
	return lease(tb)
}

// StartIn starts an embedded broker on a folder, which may hold a log.
func StartIn(tb testing.TB, dir string) *broker.Broker {
	tb.Helper()
	b, err := broker.Start(tb.Context(), broker.Config{Dir: dir, Addr: "127.0.0.1:0", MinSession: 100 * time.Millisecond})
	if err != nil {
		tb.Fatalf("start broker: %v", err)
	}
	tb.Cleanup(b.Close)
	return b
}
