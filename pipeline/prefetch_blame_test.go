package pipeline

import (
	"bytes"
	"math"
	"testing"
	"time"

	"daybook/pipeline/enrich"
	"daybook/schemas"
)

// A panic while records are brought into the cache is one of theirs, not of the
// record that was applied before.
func TestPrefetchPanicBlamesItsRecords(t *testing.T) {
	const records = prefetchRun + 36
	rules := Standard(2*time.Hour, time.Minute)
	c := benchChunks(records, records, 10)[0]
	for i := prefetchRun; i < records; i++ {
		r := &c.Records[i]
		r.Key, r.Value = bytes.ReplaceAll(r.Key, []byte("bench"), []byte("other")), bytes.ReplaceAll(r.Value, []byte("bench"), []byte("other"))
	}
	s := newState(&rules, 1, 0, 1, 0)
	for _, id := range []string{"bench", "other"} {
		s.network(id).set(&schemas.Control{Network: id, GapMs: schemas.DefaultGapMs})
	}
	s.network("other").ids = nil // whoever looks into it panics
	d := &decoder{rules: &rules, partitions: 1, classes: enrich.New(classCache)}
	var sl slab
	sl.reset(0)
	d.fill(&sl, c, records)
	defer func() {
		v := recover()
		if v == nil || !s.hand.blames() {
			t.Fatalf("panic %v is blamed on no record", v)
		}
		want := span{from: prefetchRun, next: records, limit: (records - prefetchRun) / 2}
		if e := s.hand.blame(v); e.offset != -1 || e.span != want {
			t.Fatalf("blamed: offset %d, span %+v; want none, %+v", e.offset, e.span, want)
		}
	}()
	_, _ = s.advance(&sl, math.MaxInt)
}
