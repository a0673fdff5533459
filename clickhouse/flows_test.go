package clickhouse

import (
	"testing"
	"testing/synctest"
	"time"
)

// A large block waits for every partition that flushes all the time, a small one
// for the flushes under way alone.
func TestFlows_LargeBlocksWaitForThePartitionsOfLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flows
		want := func(small, large int) {
			t.Helper()
			if got := f.company(backlogBytes - 1); got != small {
				t.Errorf("a small block waits for %d flushes, want %d", got, small)
			}
			if got := f.company(backlogBytes); got != large {
				t.Errorf("a large block waits for %d flushes, want %d", got, large)
			}
		}
		want(0, 0)
		f.begin(1)
		f.begin(2)
		want(2, 2)
		f.end()
		want(1, 2)
		time.Sleep(lately)
		f.begin(2)
		want(2, 2)
		time.Sleep(time.Millisecond) // partition 1 has rested; one of its flushes is still being written
		want(2, 2)
		f.end()
		want(1, 1)
	})
}
