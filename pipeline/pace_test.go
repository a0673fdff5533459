package pipeline

import (
	"testing"
	"time"
)

func TestPace_FitsTheBatchToTheTurn(t *testing.T) {
	c := newPace(32_768)
	for _, step := range []struct {
		n    int
		took time.Duration
		want int
	}{
		{32_768, 900 * time.Millisecond, 32_768}, // near enough
		{32_768, 4 * turnTarget, 8192},           // cut to what a turn can do
		{100, 10 * time.Millisecond, 8192},       // not full: says nothing
		{8192, 500 * time.Millisecond, 10_241},   // room: a quarter more
		{2000, time.Minute, leastBatch},          // storage was down
		{5000, 10 * time.Millisecond, 6251},
	} {
		if c.after(step.n, step.took); c.limit != step.want {
			t.Errorf("after %d records in %s: %d, want %d", step.n, step.took, c.limit, step.want)
		}
	}
	small := newPace(10)
	if small.after(10, time.Minute); small.limit != 10 {
		t.Errorf("a batch of 10 is cut to %d", small.limit)
	}
}
