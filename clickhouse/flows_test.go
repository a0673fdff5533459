package clickhouse

import (
	"testing"
	"testing/synctest"
	"time"
)

// A small block waits for the flushes under way, and for a moment for the partitions
// that flush all the time and are about to; a large one for all of these.
func TestFlows_WhoeverFlushesAtOneInstantIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flows
		want := func(when string, small, large int) {
			t.Helper()
			if got := f.company(backlogBytes - 1); got != small {
				t.Errorf("%s: a small block waits for %d flushes, want %d", when, got, small)
			}
			if got := f.company(backlogBytes); got != large {
				t.Errorf("%s: a large block waits for %d flushes, want %d", when, got, large)
			}
		}
		want("no flush yet", 0, 0)
		f.begin(1)
		f.begin(2)
		want("the first two", 2, 2)
		f.end(1)
		want("1 was written at once", 1, 2)
		time.Sleep(time.Second)
		want("2 takes long", 1, 2)
		f.end(2)
		want("nobody writes", 0, 2)
		f.begin(2)
		want("1 is due", 2, 2)
		time.Sleep(gather)
		want("1 has not come", 1, 2)
		f.begin(1)
		want("1 came late", 2, 2)
		f.end(1)
		time.Sleep(lately)
		f.end(2)
		f.begin(3)
		want("1 and 2 have rested", 1, 1)
	})
}
