package source

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func wide() limits {
	return limits{chunkBytes: 1 << 20, chunkRecords: 10_000, batchBytes: 1 << 20, end: -1}
}

// parsed parses from an offset and checks what holds for every chunk.
func parsed(tb testing.TB, raw []byte, from int64, aborted []abortedTxn, lim limits) (*Chunk, error) {
	tb.Helper()
	c := new(Chunk)
	c.reset(from)
	_, err := c.parse(raw, aborted, lim, new(codecs))
	covers(tb, c)
	return c, err
}

// covers checks that records and skips are [From, Next), each offset once.
func covers(tb testing.TB, c *Chunk) {
	tb.Helper()
	at, skips := c.From, c.Skips
	pass := func() {
		for len(skips) > 0 && skips[0].From == at {
			if skips[0].To <= skips[0].From {
				tb.Fatalf("skip is empty: %+v", skips[0])
			}
			at, skips = skips[0].To, skips[1:]
		}
	}
	for _, r := range c.Records {
		pass()
		if r.Offset != at {
			tb.Fatalf("record at %d, want %d; skips %+v", r.Offset, at, c.Skips)
		}
		at++
	}
	pass()
	if at != c.Next || len(skips) > 0 {
		tb.Fatalf("[%d, %d) is covered up to %d", c.From, c.Next, at)
	}
}

func offsets(c *Chunk) []int64 {
	var all []int64
	for _, r := range c.Records {
		all = append(all, r.Offset)
	}
	return all
}

func TestParse_Table(t *testing.T) {
	const transactional = attrTransactional
	for name, c := range map[string]struct {
		batches []testBatch
		aborted []abortedTxn
		from    int64
		end     int64
		offsets []int64
		skips   []Skip
		next    int64
	}{
		"from the middle of a batch": {
			batches: []testBatch{{base: 10, deltas: upTo(5)}}, from: 13,
			offsets: []int64{13, 14}, next: 15,
		},
		"batches that end before the offset": {
			batches: []testBatch{{base: 0, deltas: upTo(3)}, {base: 3, deltas: upTo(2)}}, from: 3,
			offsets: []int64{3, 4}, next: 5,
		},
		"control batch alone": { // KAFKA.md fact 3: kafka-go stops here for good
			batches: []testBatch{{base: 13, deltas: upTo(1), attributes: attrControl | transactional}}, from: 13,
			skips: []Skip{{13, 14, SkipControl}}, next: 14,
		},
		"cut tail, head and middle": {
			batches: []testBatch{{base: 10, deltas: []int64{2, 5}, last: 7}, {base: 20, deltas: []int64{0}}}, from: 10,
			offsets: []int64{12, 15, 20}, next: 21,
			skips: []Skip{{10, 12, SkipCompacted}, {13, 15, SkipCompacted}, {16, 20, SkipCompacted}},
		},
		"empty batch": { // KAFKA.md fact 1: kafka-go panics here
			batches: []testBatch{{base: 4, last: 3}, {base: 8, deltas: upTo(1)}}, from: 4,
			offsets: []int64{8}, skips: []Skip{{4, 8, SkipCompacted}}, next: 9,
		},
		"aborted transaction": {
			batches: []testBatch{
				{base: 0, deltas: upTo(2), attributes: transactional, producer: 7},
				{base: 2, deltas: upTo(2), attributes: transactional, producer: 8},
				{base: 4, deltas: upTo(1), attributes: transactional | attrControl, producer: 7, abort: true},
				{base: 5, deltas: upTo(1), attributes: transactional | attrControl, producer: 8},
				{base: 6, deltas: upTo(1), attributes: transactional, producer: 7},
				{base: 7, deltas: upTo(1), attributes: transactional | attrControl, producer: 7},
			},
			aborted: []abortedTxn{{7, 0}},
			offsets: []int64{2, 3, 6}, next: 8,
			skips: []Skip{{0, 2, SkipAborted}, {4, 6, SkipControl}, {7, 8, SkipControl}},
		},
		"the same producer aborts twice": {
			batches: []testBatch{
				{base: 0, deltas: upTo(1), attributes: transactional, producer: 7},
				{base: 1, deltas: upTo(1), attributes: transactional | attrControl, producer: 7, abort: true},
				{base: 2, deltas: upTo(1), attributes: transactional, producer: 7},
				{base: 3, deltas: upTo(1), attributes: transactional | attrControl, producer: 7, abort: true},
				{base: 4, deltas: upTo(1), producer: 7},
			},
			aborted: []abortedTxn{{7, 0}, {7, 2}},
			offsets: []int64{4}, next: 5,
			skips: []Skip{{0, 1, SkipAborted}, {1, 2, SkipControl}, {2, 3, SkipAborted}, {3, 4, SkipControl}},
		},
		"abort whose batch ends before the offset": {
			batches: []testBatch{
				{base: 0, deltas: upTo(2), attributes: transactional, producer: 7},
				{base: 2, deltas: upTo(2), attributes: transactional, producer: 7},
			},
			aborted: []abortedTxn{{7, 0}}, from: 2,
			skips: []Skip{{2, 4, SkipAborted}}, next: 4,
		},
		"a plain batch of an aborted producer": {
			batches: []testBatch{{base: 0, deltas: upTo(1), producer: 7}}, aborted: []abortedTxn{{7, 0}},
			offsets: []int64{0}, next: 1,
		},
		"nothing behind the last stable offset": {
			batches: []testBatch{{base: 0, deltas: upTo(2)}, {base: 2, deltas: upTo(2)}}, end: 2,
			offsets: []int64{0, 1}, next: 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			lim := wide()
			if c.end > 0 {
				lim.end = c.end
			}
			got, err := parsed(t, join(t, c.batches...), c.from, c.aborted, lim)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.offsets, offsets(got)); diff != "" {
				t.Errorf("offsets: %s", diff)
			}
			if diff := cmp.Diff(c.skips, append([]Skip(nil), got.Skips...)); diff != "" {
				t.Errorf("skips: %s", diff)
			}
			if got.Next != c.next {
				t.Errorf("next is %d, want %d", got.Next, c.next)
			}
		})
	}
}

func TestParse_EveryCodecGivesTheSame(t *testing.T) {
	dec := new(codecs)
	for _, c := range []testBatch{{codec: 0}, {codec: codecGzip}, {codec: codecSnappy}, {codec: codecSnappy, xerial: true}, {codec: codecLZ4}, {codec: codecZstd}} {
		c.base, c.deltas = 100, upTo(50)
		chunk := new(Chunk)
		for range 2 { // readers are reused
			chunk.reset(100)
			if _, err := chunk.parse(join(t, c, testBatch{base: 150, deltas: upTo(3), codec: c.codec}), nil, wide(), dec); err != nil {
				t.Fatalf("codec %d: %v", c.codec, err)
			}
			covers(t, chunk)
			if len(chunk.Records) != 53 {
				t.Fatalf("codec %d: %d records", c.codec, len(chunk.Records))
			}
			for i, r := range chunk.Records {
				want := testRecord(100 + int64(i))
				if !bytes.Equal(r.Key, want.Key) || !bytes.Equal(r.Value, want.Value) {
					t.Fatalf("codec %d record %d: %q %q", c.codec, i, r.Key, r.Value)
				}
			}
		}
	}
}

func TestParse_TimeIsTheBatchesWhereTheLogAppends(t *testing.T) { // LIBRARIES.md section 4
	c, err := parsed(t, join(t, testBatch{deltas: upTo(2)}, testBatch{base: 2, deltas: upTo(2), attributes: attrLogAppendTime}), 0, nil, wide())
	if err != nil {
		t.Fatal(err)
	}
	var times []int64
	for _, r := range c.Records {
		times = append(times, r.TimestampMs)
	}
	if !slices.Equal(times, []int64{1_000, 1_001, 9_000, 9_000}) {
		t.Fatalf("times %v", times)
	}
}

func TestParse_NullAndEmptyDiffer(t *testing.T) {
	e := &encoder{}
	e.reset()
	e.add(&Outgoing{Key: nil, Value: []byte{}}, 1)
	e.add(&Outgoing{Key: []byte{}, Value: nil, Headers: []Header{{Key: []byte("a"), Value: nil}, {Key: []byte{}, Value: []byte{}}}}, 2)
	raw, err := e.finish(CompressionNone)
	if err != nil {
		t.Fatal(err)
	}
	c, err := parsed(t, raw, 0, nil, wide())
	if err != nil {
		t.Fatal(err)
	}
	want := []Record{
		{Offset: 0, TimestampMs: 1, Value: []byte{}},
		{Offset: 1, TimestampMs: 2, Key: []byte{}, Headers: []Header{{Key: []byte("a")}, {Key: []byte{}, Value: []byte{}}}},
	}
	if diff := cmp.Diff(want, c.Records); diff != "" {
		t.Fatal(diff)
	}
}

func TestParse_StopsAtItsLimits(t *testing.T) {
	raw := join(t, testBatch{deltas: upTo(10), codec: codecLZ4}, testBatch{base: 10, deltas: upTo(10), codec: codecLZ4})
	few := wide()
	few.chunkRecords = 4
	c, err := parsed(t, raw, 0, nil, few)
	if err != nil || c.Next != 4 || len(c.Records) != 4 {
		t.Fatalf("records: next %d, %v", c.Next, err)
	}
	c, err = parsed(t, raw, 8, nil, few)
	if err != nil || c.Next != 12 || len(c.Records) != 4 {
		t.Fatalf("records over two batches: next %d, %v", c.Next, err)
	}
	small := wide()
	small.chunkBytes = 1
	if c, err = parsed(t, raw, 0, nil, small); err != nil || c.Next != 10 {
		t.Fatalf("bytes: next %d, %v", c.Next, err)
	}
	for _, codec := range []uint16{codecGzip, codecSnappy, codecLZ4, codecZstd} {
		bomb := wide()
		bomb.batchBytes = 100
		if c, err = parsed(t, testBatch{deltas: upTo(10), codec: codec}.bytes(t), 0, nil, bomb); !errors.Is(err, errTooLarge) || c.Next != 0 {
			t.Fatalf("codec %d: next %d, %v", codec, c.Next, err)
		}
	}
}

func TestParse_RefusesDamage(t *testing.T) {
	good := testBatch{deltas: upTo(3)}
	damage := func(change func([]byte)) []byte {
		raw := good.bytes(t)
		change(raw)
		return raw
	}
	for name, c := range map[string]struct {
		raw  []byte
		want error
	}{
		"bit":      {damage(func(b []byte) { b[len(b)-3] ^= 1 }), errCRC},
		"magic":    {damage(func(b []byte) { b[atMagic] = 1 }), errMagic},
		"count":    {damage(func(b []byte) { binary.BigEndian.PutUint32(b[atCount:], 4); sign(b) }), errRecords},
		"negative": {damage(func(b []byte) { binary.BigEndian.PutUint32(b[atCount:], 1<<31); sign(b) }), errRecords},
		"huge":     {damage(func(b []byte) { binary.BigEndian.PutUint32(b[atCount:], 1<<30); sign(b) }), errRecords},
		"delta":    {damage(func(b []byte) { binary.BigEndian.PutUint32(b[atLastOffsetDelta:], 1); sign(b) }), errRecords},
		"length":   {damage(func(b []byte) { b[batchHeaderBytes] = 0x7e; sign(b) }), errRecords},
		"codec":    {damage(func(b []byte) { b[atAttributes+1] = 6; sign(b) }), nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parsed(t, c.raw, 0, nil, wide())
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Fatalf("got %v", err)
			}
			// What lies before is delivered.
			chunk, err := parsed(t, append(good.bytes(t), shifted(c.raw, 3)...), 0, nil, wide())
			if err == nil || chunk.Next < 3 {
				t.Fatalf("behind a good batch: next %d, %v", chunk.Next, err)
			}
		})
	}
}

// shifted moves a batch to another base offset, which the checksum leaves out.
func shifted(batch []byte, base uint64) []byte {
	batch = bytes.Clone(batch)
	binary.BigEndian.PutUint64(batch[atBaseOffset:], base)
	return batch
}

func TestParse_LeavesACutBatch(t *testing.T) {
	whole := join(t, testBatch{deltas: upTo(3)}, testBatch{base: 3, deltas: upTo(3)})
	for cut := range whole {
		c, err := parsed(t, whole[:cut], 0, nil, wide())
		if err != nil || c.Next != 0 && c.Next != 3 {
			t.Fatalf("cut at %d: next %d, %v", cut, c.Next, err)
		}
	}
}

// FuzzParse: no panic, bounded memory, exact cover, whatever a broker sends.
func FuzzParse(f *testing.F) {
	for codec := range uint16(5) {
		f.Add(join(f, testBatch{deltas: upTo(4), codec: codec}, testBatch{base: 4, deltas: []int64{1, 3}, last: 5, codec: codec}), int64(0), int64(7))
	}
	f.Add(testBatch{deltas: upTo(4), codec: codecSnappy, xerial: true}.bytes(f), int64(2), int64(7))
	f.Add(join(f, testBatch{attributes: attrTransactional, producer: 7, deltas: upTo(2)}, testBatch{base: 2, attributes: attrTransactional | attrControl, producer: 7, deltas: upTo(1), abort: true}), int64(0), int64(7))
	f.Add(join(f, testBatch{base: 1, last: 9}, testBatch{base: 10, deltas: upTo(1), attributes: attrLogAppendTime}), int64(0), int64(0))
	dec := new(codecs)
	f.Fuzz(func(t *testing.T, raw []byte, from, producer int64) {
		// The checksum would keep the fuzzer out: make those of whole batches right.
		raw = bytes.Clone(raw)
		for rest := raw; len(rest) >= batchHeaderBytes; {
			size := int64(int32(binary.BigEndian.Uint32(rest[atLength:]))) + 12
			if size < batchHeaderBytes || size > int64(len(rest)) {
				break
			}
			sign(rest[:size])
			rest = rest[size:]
		}
		from = max(from, 0)
		lim := limits{chunkBytes: 1 << 16, chunkRecords: 1_000, batchBytes: 1 << 16, end: -1}
		c := new(Chunk)
		c.reset(from)
		_, err := c.parse(raw, []abortedTxn{{producer: producer, first: from}}, lim, dec)
		if len(c.Records) > lim.chunkRecords || cap(c.arena) > 8*(lim.chunkBytes+lim.batchBytes) {
			t.Fatalf("%d records, arena of %d", len(c.Records), cap(c.arena))
		}
		if c.Next < from {
			t.Fatalf("next %d is before %d", c.Next, from)
		}
		if err == nil && c.Next == from && len(c.Records) > 0 {
			t.Fatal("records without progress")
		}
		covers(t, c)
	})
}
