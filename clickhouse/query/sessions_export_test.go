package query_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"daybook/clickhouse/query"
)

// exportDB answers an export with bytes, and every other question with nothing.
type exportDB struct {
	body   io.Reader
	err    error // of the export itself
	closed int
	ended  func() error // of the context that it was asked with
}

func (d *exportDB) Query(context.Context, query.Statement) (query.Rows, error) { return &answer{}, nil }

func (d *exportDB) Blocks(ctx context.Context, _ query.Statement) (io.ReadCloser, error) {
	d.ended = ctx.Err
	return d, d.err
}

func (d *exportDB) Read(p []byte) (int, error) { return d.body.Read(p) }
func (d *exportDB) Close() error               { d.closed++; return nil }

// Revisions of the format Native: the embedded engine's, and the one that the driver
// asks a server for.
var revisions = []int{0, 54460}

// exportBlock encodes rows as an answer of ExportSQL has them.
type exportBlock struct {
	id                  proto.ColUUID
	user, device, words proto.ColStr
	date                proto.ColDate
	start, end          proto.ColDateTime
	duration, events    proto.ColUInt32
	robot               proto.ColBool
	epoch               proto.ColUInt16
	partition           proto.ColInt32
	over                proto.ColInt64
	change              func([]proto.InputColumn) []proto.InputColumn // nil: none
}

func (b *exportBlock) add(i int) {
	b.id.Append(uuid.UUID{byte(i), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	b.user.Append(strings.Repeat("u", i%300))
	b.device.Append(fmt.Sprint("d", i))
	b.words.Append([]string{"web\x00cap\x00UTC\x00t", "mobile\x00inactivity\x00Europe/Prague\x00t"}[i%2])
	b.date = append(b.date, proto.Date(i%0xffff))
	b.start.Data = append(b.start.Data, proto.DateTime(i))
	b.end.Data = append(b.end.Data, proto.DateTime(0xffffffff-uint32(i)))
	b.duration = append(b.duration, uint32(3*i))
	b.events = append(b.events, uint32(i))
	b.robot = append(b.robot, i%3 == 0)
	b.epoch = append(b.epoch, 1)
	b.partition = append(b.partition, 2)
	b.over = append(b.over, int64(i))
}

func (b *exportBlock) encode(tb testing.TB, revision int) []byte {
	tb.Helper()
	b.start.Location, b.end.Location = nil, nil
	columns := []proto.InputColumn{
		{Name: "session_id", Data: &b.id},
		{Name: "user_id", Data: &b.user},
		{Name: "device_id", Data: &b.device},
		{Name: "words", Data: &b.words},
		{Name: "date", Data: &b.date},
		{Name: "started_at", Data: &b.start},
		{Name: "ended_at", Data: &b.end},
		{Name: "duration_s", Data: &b.duration},
		{Name: "events", Data: &b.events},
		{Name: "robot", Data: &b.robot},
		{Name: "epoch", Data: &b.epoch},
		{Name: "partition", Data: &b.partition},
		{Name: "over", Data: &b.over},
	}
	if b.change != nil {
		columns = b.change(columns)
	}
	var out proto.Buffer
	head := proto.Block{Columns: len(columns), Rows: b.user.Rows(), Info: proto.BlockInfo{BucketNum: -1}}
	var err error
	if revision == 0 {
		err = head.EncodeRawBlock(&out, revision, columns)
	} else {
		err = head.EncodeBlock(&out, revision, columns)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return out.Buf
}

// exportOf encodes rows [0, n) as blocks of some rows, and says where each ends.
func exportOf(tb testing.TB, revision, n, perBlock int) (body []byte, ends []int) {
	tb.Helper()
	ends = []int{0}
	for i := 0; i < n; {
		var b exportBlock
		for ; b.user.Rows() < perBlock && i < n; i++ {
			b.add(i)
		}
		body = append(body, b.encode(tb, revision)...)
		ends = append(ends, len(body))
	}
	return body, ends
}

var everySession = query.Sessions{Network: "n", To: query.LastDate, Limit: query.All}

// drain reads an export and says what its rows are.
func drain(tb testing.TB, db *exportDB) (rows []string, err error) {
	tb.Helper()
	for s, e := range everySession.Export(tb.Context(), db) {
		if err != nil {
			tb.Fatal("something came after the error")
		}
		if err = e; err == nil {
			rows = append(rows, fmt.Sprintf("%x %s %s %s %s %s %s %d %d %d %d %t %s",
				s.SessionID, s.UserID, s.DeviceID, s.DeviceClass, s.EndReason, s.Zone, s.Date, s.StartedAt, s.EndedAt, s.DurationS, s.Events, s.Robot, s.Status))
		}
	}
	return rows, err
}

func TestExport_ReadsBlocksHoweverTheyCome(t *testing.T) {
	t.Parallel()
	const n = 1000
	var want []string
	for i := range n {
		words := []string{"web cap UTC", "mobile inactivity Europe/Prague"}[i%2]
		want = append(want, fmt.Sprintf("%02x0102030405060708090a0b0c0d0e0f %s d%d %s %s %d %d %d %d %t open",
			byte(i), strings.Repeat("u", i%300), i, words, query.Date(i), i, 0xffffffff-i, 3*i, i, i%3 == 0))
	}
	for _, revision := range revisions {
		body, _ := exportOf(t, revision, n, 300)
		for name, how := range map[string]func(io.Reader) io.Reader{
			"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader,
			"by halves": iotest.HalfReader, "the end with the last bytes": iotest.DataErrReader,
		} {
			db := &exportDB{body: how(bytes.NewReader(body))}
			got, err := drain(t, db)
			if err != nil || db.closed != 1 {
				t.Errorf("revision %d, %s: %v, closed %d times", revision, name, err, db.closed)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("revision %d, %s (-want +got):\n%.2000s", revision, name, diff)
			}
		}
	}
}

// Wherever an answer is cut, but between two blocks, the export says so.
func TestExport_CutAnswerIsAnError(t *testing.T) {
	t.Parallel()
	for _, revision := range revisions {
		body, ends := exportOf(t, revision, 6, 3)
		for cut := range len(body) + 1 {
			db := &exportDB{body: bytes.NewReader(body[:cut])}
			rows, err := drain(t, db)
			blocks := 0
			for blocks+1 < len(ends) && ends[blocks+1] <= cut {
				blocks++
			}
			if whole := slices.Contains(ends, cut); whole != (err == nil) || !whole && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("revision %d, cut at %d of %d: %v", revision, cut, len(body), err)
			}
			if len(rows) != 3*blocks || db.closed != 1 {
				t.Errorf("revision %d, cut at %d: %d rows, closed %d times", revision, cut, len(rows), db.closed)
			}
		}
	}
}

func TestExport_ErrorsComeLastAndTheAnswerIsClosed(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	body, _ := exportOf(t, 0, 5, 5)
	db := &exportDB{body: io.MultiReader(bytes.NewReader(body), iotest.ErrReader(boom))}
	if rows, err := drain(t, db); len(rows) != 5 || !errors.Is(err, boom) || db.closed != 1 || db.ended() == nil {
		t.Errorf("broken off: %d rows, %v, closed %d times", len(rows), err, db.closed)
	}
	// A connection that is lost between two blocks is no end.
	for _, lost := range []error{io.ErrUnexpectedEOF, fmt.Errorf("read answer: %w", io.ErrUnexpectedEOF), boom} {
		for cut := range 2 { // before the first block, too
			db = &exportDB{body: io.MultiReader(bytes.NewReader(body[:cut*len(body)]), iotest.ErrReader(lost))}
			if rows, err := drain(t, db); len(rows) != 5*cut || !errors.Is(err, lost) {
				t.Errorf("lost by %v: %d rows, %v", lost, len(rows), err)
			}
		}
	}
	if rows, err := drain(t, &exportDB{err: boom}); len(rows) != 0 || !errors.Is(err, boom) {
		t.Errorf("refused: %d rows, %v", len(rows), err)
	}
	for _, err := range (query.Sessions{Limit: 1}).Export(t.Context(), &exportDB{err: boom}) {
		if !errors.Is(err, query.ErrNoNetwork) {
			t.Errorf("no network: %v", err)
		}
	}
	db = &exportDB{body: bytes.NewReader(body)}
	for _, err := range everySession.Export(t.Context(), db) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if db.closed != 1 || db.ended() == nil {
		t.Errorf("left early: closed %d times, the query's context %v", db.closed, db.ended())
	}
}

// What is not the answer that was asked for is refused, and named.
func TestExport_RefusesAnotherShape(t *testing.T) {
	t.Parallel()
	column := func(i int, c proto.InputColumn) func([]proto.InputColumn) []proto.InputColumn {
		return func(all []proto.InputColumn) []proto.InputColumn { all[i] = c; return all }
	}
	for want, change := range map[string]func([]proto.InputColumn) []proto.InputColumn{
		"12 columns, want 13":                                     func(all []proto.InputColumn) []proto.InputColumn { return all[:12] },
		`column "gap_ms", want over`:                              column(12, proto.InputColumn{Name: "gap_ms", Data: &proto.ColInt64{7}}),
		`column duration_s is of type "UInt64", want UInt32`:      column(7, proto.InputColumn{Name: "duration_s", Data: &proto.ColUInt64{7}}),
		`column date is of type "DateTime64", want Date`:          column(4, proto.InputColumn{Name: "date", Data: new(proto.ColDateTime64).WithPrecision(3)}),
		`words "web\x00UTC\x00t": 3 of them, want 4`:              column(3, proto.InputColumn{Name: "words", Data: texts("web\x00UTC\x00t")}),
		`column user_id is of type "LowCardinality", want String`: column(1, proto.InputColumn{Name: "user_id", Data: new(proto.ColStr).LowCardinality()}),
	} {
		b := exportBlock{change: change}
		if !strings.Contains(want, "DateTime64") && !strings.Contains(want, "LowCardinality") {
			b.add(1)
		} else {
			b.change = func(all []proto.InputColumn) []proto.InputColumn { return change(all) }
		}
		for _, revision := range revisions {
			_, err := drain(t, &exportDB{body: bytes.NewReader(b.encode(t, revision))})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("revision %d: %v, want %q", revision, err, want)
			}
		}
	}
	custom := bytes.Replace(first(exportOf(t, revisions[1], 1, 1)), []byte("\x08DateTime\x00"), []byte("\x08DateTime\x01"), 1)
	if _, err := drain(t, &exportDB{body: bytes.NewReader(custom)}); err == nil || !strings.Contains(err.Error(), "started_at is serialized in a way of its own") {
		t.Errorf("a sparse column: %v", err)
	}
}

func first(body []byte, _ []int) []byte { return body }

func texts(all ...string) *proto.ColStr {
	c := new(proto.ColStr)
	c.AppendArr(all)
	return c
}

// FuzzExport: whatever a server sends, it is rows or an error.
func FuzzExport(f *testing.F) {
	for _, revision := range revisions {
		body, _ := exportOf(f, revision, 4, 3)
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		rows, err := drain(t, &exportDB{body: bytes.NewReader(body)})
		if err == nil && len(rows) > len(body) {
			t.Errorf("%d rows of %d bytes", len(rows), len(body))
		}
	})
}
