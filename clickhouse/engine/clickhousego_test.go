package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	chgo "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"github.com/google/go-cmp/cmp"

	"daybook/clickhouse/engine/enginetest"
)

// open connects with clickhouse-go as the rest of Daybook does.
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
	v, err := c.ServerVersion()
	if err != nil || v.Version.Major != 26 {
		t.Errorf("version %v, %v", v, err)
	}
	if err := c.Exec(ctx, "CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a"); err != nil {
		t.Fatal(err)
	}
	if err := c.InsertFormat(ctx, "Native", "INSERT INTO t (a, s)", bytes.NewReader(nativeBlock(t, 1000))); err != nil {
		t.Fatal(err)
	}
	var n, sum uint64
	if err := c.QueryRow(ctx, "SELECT count(), sum(a) FROM t WHERE a < ?", 10).Scan(&n, &sum); err != nil {
		t.Fatal(err)
	}
	if n != 10 || sum != 45 {
		t.Fatalf("got %d rows with sum %d", n, sum)
	}
	for _, format := range []string{"JSON", "Parquet", "CSVWithNames", "RowBinaryWithNamesAndTypes", "ArrowStream"} {
		r, err := c.QueryFormat(ctx, format, "SELECT a, s FROM t ORDER BY a LIMIT 5")
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		b, err := io.ReadAll(r)
		if err != nil || len(b) < 30 {
			t.Errorf("%s: %q, %v", format, b, err)
		}
		_ = r.Close()
	}
}

// nativeBlock encodes rows as the writer does: one block of revision 0.
func nativeBlock(t *testing.T, rows int) []byte {
	t.Helper()
	a, s := new(proto.ColUInt64), new(proto.ColStr)
	for i := range rows {
		a.Append(uint64(i))
		s.Append("x")
	}
	var buf proto.Buffer
	input := proto.Input{{Name: "a", Data: a}, {Name: "s", Data: s}}
	if err := (proto.Block{Columns: 2, Rows: rows}).EncodeRawBlock(&buf, 0, input); err != nil {
		t.Fatal(err)
	}
	return buf.Buf
}

// wide is a row of the types that Daybook's tables have, and some more.
type wide struct {
	ID    uint64            `ch:"id"`
	Name  string            `ch:"name"`
	Class string            `ch:"class"`
	At    time.Time         `ch:"at"`
	Day   time.Time         `ch:"day"`
	Score float64           `ch:"score"`
	OK    bool              `ch:"ok"`
	Note  *string           `ch:"note"`
	List  []string          `ch:"list"`
	Map   map[string]uint64 `ch:"map"`
	Kind  string            `ch:"kind"`
	Hash  string            `ch:"hash"`
}

const wideTable = `CREATE TABLE w (id UInt64, name String, class LowCardinality(String), at DateTime64(3, 'UTC'), day Date,
	score Float64, ok Bool, note Nullable(String), list Array(String), map Map(String, UInt64), kind Enum8('a' = 1, 'b' = 2), hash FixedString(4))
	ENGINE = MergeTree ORDER BY id`

func TestDoor_CarriesClickhouseGoBatchesInEveryCompression(t *testing.T) {
	const rows = 20_000
	note := "n"
	want := make([]wide, rows)
	for i := range want {
		want[i] = wide{
			ID: uint64(i), Name: strings.Repeat("ä", i%7), Class: []string{"web", "app"}[i%2], At: time.UnixMilli(int64(1_700_000_000_123 + i)).UTC(),
			Day: time.Date(2026, 1, 1+i%28, 0, 0, 0, 0, time.UTC), Score: float64(i) / 3, OK: i%3 == 0,
			List: []string{"a", strconv.Itoa(i)}, Map: map[string]uint64{"k": uint64(i)}, Kind: []string{"a", "b"}[i%2], Hash: fmt.Sprintf("%04d", i%10000),
		}
		if i%5 == 0 {
			want[i].Note = &note
		}
	}
	for _, method := range []chgo.CompressionMethod{
		chgo.CompressionNone, chgo.CompressionLZ4, chgo.CompressionZSTD, chgo.CompressionGZIP, chgo.CompressionDeflate, chgo.CompressionBrotli,
	} {
		t.Run(method.String(), func(t *testing.T) {
			ctx := context.Background()
			c := open(t, enginetest.StartForTest(t), func(o *chgo.Options) { o.Compression = &chgo.Compression{Method: method, Level: 1} })
			if err := c.Exec(ctx, wideTable); err != nil {
				t.Fatal(err)
			}
			batch, err := c.PrepareBatch(ctx, "INSERT INTO w")
			if err != nil {
				t.Fatal(err)
			}
			defer batch.Close()
			for i := range want {
				if err := batch.AppendStruct(&want[i]); err != nil {
					t.Fatal(err)
				}
			}
			if err := batch.Send(); err != nil {
				t.Fatal(err)
			}
			var got []wide
			if err := c.Select(ctx, &got, "SELECT * FROM w ORDER BY id"); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("rows differ:\n%.2000s", diff)
			}
			// A failure in the middle of a result is the server's, typed.
			rows, err := c.Query(ctx, "SELECT throwIf(number = 3000000) FROM numbers(10000000)")
			if err == nil {
				for rows.Next() {
				}
				err = rows.Err()
				_ = rows.Close()
			}
			var exception *chgo.Exception
			if !errors.As(err, &exception) || exception.Code != 395 {
				t.Errorf("mid-stream error: %v", err)
			}
		})
	}
}

func TestDoor_TakesClickhouseGoParametersAndSettings(t *testing.T) {
	ctx := context.Background()
	c := open(t, enginetest.StartForTest(t))
	bound := chgo.Context(ctx, chgo.WithParameters(chgo.Parameters{"n": "7", "s": "it's", "l": "['a','b']"}))
	var n uint8
	var s string
	var l []string
	if err := c.QueryRow(bound, "SELECT {n:UInt8}, {s:String}, {l:Array(String)}").Scan(&n, &s, &l); err != nil || n != 7 || s != "it's" || len(l) != 2 {
		t.Errorf("%d %q %q: %v", n, s, l, err)
	}
	if err := c.QueryRow(ctx, "SELECT @s, @n", chgo.Named("s", "a'\\\tb"), chgo.Named("n", 5)).Scan(&s, &n); err != nil || s != "a'\\\tb" || n != 5 {
		t.Errorf("%q %d: %v", s, n, err)
	}
	var size uint64
	set := chgo.Context(ctx, chgo.WithSettings(chgo.Settings{"max_block_size": 123}))
	if err := c.QueryRow(set, "SELECT toUInt64(getSetting('max_block_size'))").Scan(&size); err != nil || size != 123 {
		t.Errorf("setting is %d: %v", size, err)
	}
	if err := c.QueryRow(ctx, "SELECT toUInt64(getSetting('max_block_size'))").Scan(&size); err != nil || size == 123 {
		t.Errorf("the setting leaked: %d, %v", size, err)
	}
	table, err := ext.NewTable("e", ext.Column("a", "UInt64"), ext.Column("b", "String"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if err := table.Append(uint64(i), "x"); err != nil {
			t.Fatal(err)
		}
	}
	var sum uint64
	if err := c.QueryRow(chgo.Context(ctx, chgo.WithExternalTable(table)), "SELECT sum(a) FROM e").Scan(&sum); err != nil || sum != 45 {
		t.Errorf("external table: %d, %v", sum, err)
	}
	session := chgo.Context(ctx, chgo.WithSettings(chgo.Settings{"session_id": "go"}))
	for _, sql := range []string{"CREATE TEMPORARY TABLE tmp (a UInt8)", "INSERT INTO tmp VALUES (3)"} {
		if err := c.Exec(session, sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.QueryRow(session, "SELECT a FROM tmp").Scan(&n); err != nil || n != 3 {
		t.Errorf("session: %d, %v", n, err)
	}
}

func TestDoor_GivesClickhouseGoTypedErrors(t *testing.T) {
	ctx := context.Background()
	dsn := enginetest.StartForTest(t)
	c := open(t, dsn)
	for sql, code := range map[string]int32{
		"SELECT * FROM nosuch": 60, "SELECT throwIf(1)": 395, "SELEC 1": 62,
		"SELECT count() FROM system.numbers SETTINGS max_execution_time = 1": 159,
	} {
		var exception *chgo.Exception
		if err := c.Exec(ctx, sql); !errors.As(err, &exception) || exception.Code != code {
			t.Errorf("%s: %v", sql, err)
		}
	}
	bad := open(t, strings.Replace(dsn, "@", "x@", 1))
	var exception *chgo.Exception
	if err := bad.Ping(ctx); !errors.As(err, &exception) || exception.Code != 516 {
		t.Errorf("wrong password: %v", err)
	}
}

func TestDoor_CancelsForClickhouseGo(t *testing.T) {
	c := open(t, enginetest.StartForTest(t))
	running := func() uint64 {
		var n uint64
		if err := c.QueryRow(context.Background(), "SELECT count() FROM system.processes WHERE query LIKE '%gone_go%' AND query NOT LIKE '%processes%'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Exec(ctx, "SELECT count() AS gone_go FROM system.numbers") }()
	for running() == 0 {
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled query: %v", err)
	}
	for running() != 0 {
	}
	// Nothing of it stays in use.
	short, stop := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer stop()
	if err := c.Exec(short, "SELECT count() FROM system.numbers"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a deadline: %v", err)
	}
}

func TestDoor_KeepsParallelRequestsApart(t *testing.T) {
	c := open(t, enginetest.StartForTest(t))
	if err := c.Exec(context.Background(), "CREATE TABLE t (g UInt64, i UInt64) ENGINE = MergeTree ORDER BY (g, i)"); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 25 {
				ctx := chgo.Context(context.Background(), chgo.WithSettings(chgo.Settings{"max_block_size": 1000 + g}))
				var size, sum uint64
				if err := c.QueryRow(ctx, "SELECT toUInt64(getSetting('max_block_size')), sum(number) FROM numbers(?)", g+1).Scan(&size, &sum); err != nil || size != uint64(1000+g) || sum != uint64(g*(g+1)/2) {
					t.Errorf("goroutine %d: %d %d %v", g, size, sum, err)
					return
				}
				if err := c.Exec(ctx, "INSERT INTO t VALUES (?, ?)", g, i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	var n, distinct uint64
	if err := c.QueryRow(context.Background(), "SELECT count(), uniqExact(g, i) FROM t").Scan(&n, &distinct); err != nil || n != 200 || distinct != 200 {
		t.Errorf("%d rows, %d distinct: %v", n, distinct, err)
	}
}
