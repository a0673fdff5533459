package pipeline

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"daybook/pipeline/source"
)

// fetches counts what is asked of a log.
type fetches struct {
	*fakeLog

	n atomic.Int64
}

func (l *fetches) Fetch(ctx context.Context, partition int32, offset int64) (*source.Chunk, error) {
	l.n.Add(1)
	return l.fakeLog.Fetch(ctx, partition, offset)
}

// Records that come one by one are fetched together, but the first one after a rest
// at once, and a log that goes on without a pause.
func TestReader_PausesAtTheEndOfTheLog(t *testing.T) {
	run := func(t *testing.T, log Log, taken func(c chunkRead)) (stop func()) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		cfg := Config{}.withDefaults()
		r := newReader(&cfg, log, 0, nil)
		var running sync.WaitGroup
		running.Go(func() { r.run(ctx, 0) })
		running.Go(func() {
			for {
				select {
				case c := <-r.out:
					taken(c)
				case <-ctx.Done():
					return
				}
			}
		})
		return func() { cancel(); running.Wait() }
	}
	t.Run("a trickle", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := &fetches{fakeLog: newFakeLog()}
			got, oldest := int64(0), time.Duration(0)
			stop := run(t, l, func(c chunkRead) {
				got = c.chunk.Next
				for _, r := range c.chunk.Records {
					oldest = max(oldest, time.Since(time.UnixMilli(r.TimestampMs)))
				}
			})
			time.Sleep(time.Second)
			before := l.n.Load()
			for range 1000 {
				l.event("u", time.Now().String())
				time.Sleep(time.Millisecond)
			}
			time.Sleep(2 * fetchPause)
			stop()
			asked, most := l.n.Load()-before, int64(time.Second/fetchPause)+3
			if got != 1000 || asked > most || oldest > fetchPause {
				t.Errorf("%d of 1000 records in %d fetches, %v old at most; want all in %d, at most %v old", got, asked, oldest, most, fetchPause)
			}
		})
	})
	t.Run("after a rest", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, came := newFakeLog(), time.Time{}
			stop := run(t, l, func(c chunkRead) {
				if len(c.chunk.Records) > 0 {
					came = time.Now()
				}
			})
			time.Sleep(time.Second)
			begin := time.Now()
			l.event("u", "e")
			time.Sleep(time.Second)
			stop()
			if late := came.Sub(begin); came.IsZero() || late > 0 {
				t.Errorf("a record came after %v, want at once", late)
			}
		})
	})
	t.Run("behind", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, begin, ended := newFakeLog(), time.Now(), time.Time{}
			for range 1000 {
				l.event("u", time.Now().String())
			}
			stop := run(t, &cutLog{l, 10}, func(c chunkRead) {
				if c.chunk.Next == 1000 && ended.IsZero() {
					ended = time.Now()
				}
			})
			time.Sleep(time.Second)
			stop()
			if took := ended.Sub(begin); ended.IsZero() || took > 0 {
				t.Errorf("100 chunks took %v, want no wait", took)
			}
		})
	})
}
