package engine_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
	chgo "github.com/ClickHouse/clickhouse-go/v2"

	"daybook/clickhouse/engine/enginetest"
)

func open(t *testing.T, dsn string, change ...func(*chgo.Options)) chgo.Conn {
	t.Helper()
	o, err := chgo.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(o)
	}
	c, err := chgo.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestDoor_ServesClickhouseGo(t *testing.T) {
	ctx := context.Background()
	c := open(t, enginetest.StartForTest(t))
	if err := c.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Exec(ctx, "CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a"); err != nil {
		t.Fatal(err)
	}
	a, s := new(proto.ColUInt64), new(proto.ColStr)
	for i := range 1000 {
		a.Append(uint64(i))
		s.Append("x")
	}
	var buf proto.Buffer
	input := proto.Input{{Name: "a", Data: a}, {Name: "s", Data: s}}
	if err := (proto.Block{Columns: 2, Rows: 1000}).EncodeRawBlock(&buf, 0, input); err != nil {
		t.Fatal(err)
	}
	if err := c.InsertFormat(ctx, "Native", "INSERT INTO t (a, s)", bytes.NewReader(buf.Buf)); err != nil {
		t.Fatal(err)
	}
	var n, sum uint64
	if err := c.QueryRow(ctx, "SELECT count(), sum(a) FROM t WHERE a < ?", 10).Scan(&n, &sum); err != nil {
		t.Fatal(err)
	}
	if n != 10 || sum != 45 {
		t.Fatalf("got %d rows with sum %d", n, sum)
	}
}
