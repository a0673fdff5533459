package clickhouse_test

import (
	"flag"
	"testing"

	"daybook/clickhouse"
	"daybook/clickhouse/engine/enginetest"
)

// benchUsers sizes the tables of BenchmarkReads: users of each of 100 networks.
var benchUsers = flag.Int("bench-users", 50, "users of each of 100 networks in BenchmarkReads; 1000 makes 10 million session-days")

func TestMain(m *testing.M) { enginetest.Main(m) }

// openEmpty gives a Store on a database without tables.
func openEmpty(tb testing.TB, opts ...func(*clickhouse.Options)) *clickhouse.Store {
	tb.Helper()
	o := clickhouse.Options{DSN: enginetest.StartForTest(tb)}
	for _, f := range opts {
		f(&o)
	}
	s, err := clickhouse.Open(tb.Context(), o)
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return s
}

// open gives a Store on a database with all tables.
func open(tb testing.TB, opts ...func(*clickhouse.Options)) *clickhouse.Store {
	tb.Helper()
	s := openEmpty(tb, opts...)
	if _, err := s.Migrate(tb.Context(), nil); err != nil {
		tb.Fatalf("migrate: %v", err)
	}
	return s
}
