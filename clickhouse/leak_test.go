package clickhouse_test

import (
	"testing"

	"go.uber.org/goleak"

	"daybook/clickhouse"
	"daybook/clickhouse/engine/enginetest"
	"daybook/clickhouse/query"
	"daybook/schemas"
)

// HOUSE.md section 7: who starts a goroutine waits for it, an answer that is
// given up early included.
func TestStore_LeavesNoGoroutine(t *testing.T) {
	dsn := enginetest.StartForTest(t)
	before := goleak.IgnoreCurrent()
	s, err := clickhouse.Open(t.Context(), clickhouse.Options{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Migrate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	f := clickhouse.BenchFlush(0, 20_000)
	for i := range 3000 {
		session(f, "n", "u", "b", schemas.ClassWeb, int64(i)*7_200_000, int64(i)*7_200_000, false)
	}
	write(t, s, f)
	q := query.Sessions{Network: "n", From: query.FirstDate, To: query.LastDate, Limit: query.All}
	for _, err := range q.Run(t.Context(), s) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	for _, err := range q.Export(t.Context(), s) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, before)
}
