// Package brokertest starts the embedded broker for a test.
package brokertest

import (
	"os"
	"strings"
	"testing"
	"time"

	"daybook/pipeline/broker" //nolint:depguard // only tests import this package.
)

// EnvBrokers names the variable that makes Start give the addresses of a real
// cluster (separated by commas) in place of an embedded broker, so that the
// same tests run against Apache Kafka.
const EnvBrokers = "DAYBOOK_TEST_KAFKA_BROKERS"

// Start gives the addresses of a broker that lives as long as the test: an
// embedded one of its own, or the real one that EnvBrokers names. Topics of a
// real one are shared, so take names that are unique.
func Start(tb testing.TB) []string {
	tb.Helper()
	if brokers := os.Getenv(EnvBrokers); brokers != "" { //nolint:forbidigo // a switch for tests, not configuration.
		return strings.Split(brokers, ",")
	}
	return StartIn(tb, tb.TempDir()).Addrs()
}

// Real tells whether Start gives a real cluster.
func Real() bool { return os.Getenv(EnvBrokers) != "" } //nolint:forbidigo // a switch for tests, not configuration.

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
