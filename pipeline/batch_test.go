package pipeline

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/pipeline/enrich"
	"daybook/pipeline/source"
	"daybook/schemas"
)

func testDecoder() *decoder {
	rules := Standard(2*time.Hour, time.Minute)
	return &decoder{rules: &rules, controlKey: rigKey, partitions: 1, classes: enrich.New(16)}
}

// A control record ends its batch: what follows it may have become late
// (ARCHITECTURE.md section 4.10). The chunk goes on in the next slab, and
// every offset is in one of them, once.
func TestDecoder_ControlRecordEndsTheBatch(t *testing.T) {
	l := newFakeLog()
	l.event("u", "a")
	l.control(t, acme)
	l.event("u", "b")
	l.event("u", "c")
	c := &source.Chunk{
		From: 0, Next: 14, Records: l.records,
		Skips: []source.Skip{{From: 0, To: 2, Why: source.SkipAborted}, {From: 4, To: 8, Why: source.SkipCompacted}, {From: 12, To: 14, Why: source.SkipControl}},
	}
	for i, offset := range []int64{2, 3, 8, 11} { // 9 and 10 are in nothing: the chunk's own fault
		c.Records[i].Offset = offset
	}
	d := testDecoder()
	var s slab
	var got []string
	for done := false; !done; {
		done = d.fill(&s, c, 2)
		var offsets []int64
		for _, r := range s.records {
			offsets = append(offsets, r.offset)
		}
		got = append(got, fmt.Sprintf("[%d, %d): %v %v %t", s.from, s.next, offsets, s.skips, s.ends))
		s.reset(s.next)
	}
	want := []string{
		"[0, 8): [2 3] [{0 2 aborted} {4 8 compacted}] true",
		"[8, 14): [8 11] [{12 14 control}] false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// The limit in bytes holds for all that a record brings, not its value alone.
func TestDecoder_CountsKeysAndHeaders(t *testing.T) {
	big := make([]byte, 1000)
	c := &source.Chunk{Next: 2, Records: []source.Record{
		{Offset: 0, Key: big, Value: []byte("x")},
		{Offset: 1, Headers: []source.Header{{Key: []byte(schemas.HeaderError), Value: big}}},
	}}
	var s slab
	testDecoder().fill(&s, c, 10)
	if want := 2001 + len(schemas.HeaderError); s.bytes != want {
		t.Errorf("counted %d bytes, want %d", s.bytes, want)
	}
}

// What is kept of a rejected record has a bound in every field.
func TestRejectRow_IsBounded(t *testing.T) {
	big := []byte(strings.Repeat("x", 1<<20))
	d, r := testDecoder(), record{}
	d.decode(&source.Record{Key: big, Value: big, Headers: []source.Header{
		{Key: []byte(schemas.HeaderFile), Value: big}, {Key: []byte(schemas.HeaderLine), Value: big}, {Key: []byte(schemas.HeaderError), Value: big},
	}}, &r)
	row := r.rejectRow()
	if len(row.Key) != maxRaw || len(row.Raw) != maxRaw || row.RawBytes != 1<<20 || len(row.File) != maxHeader || len(row.Detail) != maxHeader || row.Line != 0 {
		t.Errorf("kept %d of the key, %d of %d of the value, %d of the file, %d of the detail, line %d",
			len(row.Key), len(row.Raw), row.RawBytes, len(row.File), len(row.Detail), row.Line)
	}
}

// Event times outside of what can be true, or be stored, are rejected; none
// moves a watermark (SEMANTICS.md section 9, TRUST.md section 2).
func TestDecoder_Times(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	year := 365 * 24 * time.Hour
	for _, c := range []struct {
		name           string
		time, received string
		record         time.Time
		want           schemas.Reason
		ms             time.Time
	}{
		{"as sent", "2026-03-02T11:00:00Z", "", now, schemas.Accepted, now.Add(-time.Hour)},
		{"5 min late", "2026-03-02T12:05:00Z", "", now, schemas.Accepted, now.Add(5 * time.Minute)},
		{"later", "2026-03-02T12:05:00.001Z", "", now, schemas.Accepted, now},
		{"a year later", now.Add(year).Format(time.RFC3339), "", now, schemas.Accepted, now},
		{"more", now.Add(year + time.Second).Format(time.RFC3339), "", now, schemas.TimeOutOfRange, time.Time{}},
		{"1990", "1990-01-01T00:00:00Z", "", now, schemas.Accepted, time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"before", "1989-12-31T23:59:59.999Z", "", now, schemas.TimeOutOfRange, time.Time{}},
		{"before 1970", "1969-12-31T23:59:59.999Z", "", now, schemas.TimeOutOfRange, time.Time{}},
		{"received before it was sent", "2026-03-02T11:00:00Z", "2026-03-02T10:00:00Z", now, schemas.Accepted, now.Add(-2 * time.Hour)},
		{"received after the record", "2026-03-02T14:00:00Z", "2026-03-02T13:00:00Z", now, schemas.Accepted, now},
		{"received before 1990", "1990-06-01T00:00:00Z", "1989-07-01T00:00:00Z", now, schemas.TimeOutOfRange, time.Time{}},
		{"received before 1970", "2026-03-02T11:00:00Z", "1960-01-01T00:00:00Z", now, schemas.TimeOutOfRange, time.Time{}},
		{"a record of 2400", "2400-01-01T00:00:00Z", "", time.Date(2400, 1, 1, 0, 0, 0, 0, time.UTC), schemas.TimeOutOfRange, time.Time{}},
		{"a record at the end of time", "2026-03-02T11:00:00Z", "", time.UnixMilli(math.MaxInt64), schemas.TimeOutOfRange, time.Time{}},
		{"a record before time", "2026-03-02T11:00:00Z", "", time.UnixMilli(math.MinInt64), schemas.TimeOutOfRange, time.Time{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			value := fmt.Sprintf(`{"id":"a","network":"acme","user":"u","time":%q`, c.time)
			if c.received != "" {
				value += fmt.Sprintf(`,"received":%q`, c.received)
			}
			var r record
			testDecoder().decode(&source.Record{TimestampMs: c.record.UnixMilli(), Key: []byte("acme/u"), Value: []byte(value + "}")}, &r)
			if r.reject.Reason != c.want {
				t.Fatalf("got %s (%s), want %s", r.reject.Reason, r.reject.Field, c.want)
			}
			if c.want == schemas.Accepted && r.timeMs != c.ms.UnixMilli() {
				t.Errorf("got %v, want %v", time.UnixMilli(r.timeMs).UTC(), c.ms)
			}
		})
	}
}
