package clickhouse_test

import (
	"flag"
	"testing"

	"daybook/clickhouse"
	"daybook/clickhouse/engine/enginetest"
)

var update = flag.Bool("update", false, "rewrite COLUMNS.md")

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
