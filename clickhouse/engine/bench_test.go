package engine_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
	chgo "github.com/ClickHouse/clickhouse-go/v2"

	"daybook/clickhouse/engine/enginetest"
)

func benchConn(b *testing.B) chgo.Conn {
	b.Helper()
	o, err := chgo.ParseDSN(enginetest.StartForTest(b))
	if err != nil {
		b.Fatal(err)
	}
	c, err := chgo.Open(o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return c
}

// The floor of every read: parse, lease, classify, run, answer.
func BenchmarkDoor_SelectOne(b *testing.B) {
	c := benchConn(b)
	for b.Loop() {
		var one uint8
		if err := c.QueryRow(context.Background(), "SELECT 1").Scan(&one); err != nil {
			b.Fatal(err)
		}
	}
}

// A writer's flush: 100,000 rows of one encoded Native block, durable.
func BenchmarkDoor_InsertNative(b *testing.B) {
	const rows = 100_000
	c := benchConn(b)
	if err := c.Exec(context.Background(), "CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a"); err != nil {
		b.Fatal(err)
	}
	a, s := new(proto.ColUInt64), new(proto.ColStr)
	for i := range rows {
		a.Append(uint64(i))
		s.Append("0123456789abcdef")
	}
	var block proto.Buffer
	if err := (proto.Block{Columns: 2, Rows: rows}).EncodeRawBlock(&block, 0, proto.Input{{Name: "a", Data: a}, {Name: "s", Data: s}}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := c.InsertFormat(context.Background(), "Native", "INSERT INTO t (a, s)", bytes.NewReader(block.Buf)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
