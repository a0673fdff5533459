package main

import "testing"

// What the operator says of the collector counts.
func TestGCPercent_IsTheOperatorsIfHeSaysSo(t *testing.T) {
	for _, c := range []struct {
		environ []string
		sets    bool
	}{
		{nil, true},
		{[]string{"PATH=/bin", "GOGC="}, true}, // as Go reads it
		{[]string{"GOMEMLIMIT=1GiB"}, true},    // a limit and a percentage are independent
		{[]string{"GOGC=100"}, false},
		{[]string{"GOGC=off", "GOMEMLIMIT=1GiB"}, false},
	} {
		if percent, sets := gcPercent(c.environ); sets != c.sets || percent != workerGCPercent {
			t.Errorf("%v: %d, %t, want %t", c.environ, percent, sets, c.sets)
		}
	}
}
