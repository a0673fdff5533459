package simtest

import (
	"slices"
	"testing"
	"time"
)

// shrink makes a failing pair smaller, as long as it fails: fewer records,
// fewer faults, plainer numbers. It gives the trace of the smallest one.
func shrink(t *testing.T, tr *Traffic, p *Plan, m mutant) (*Traffic, *Plan, *outcome) {
	t.Helper()
	fails := func(tr *Traffic, p *Plan) bool { return simulate(t, tr, p, m, false).failure != "" }
	for again := true; again; {
		again = false
		for n := len(tr.Items) / 2; n > 0; n /= 2 {
			for i := 0; i+n <= len(tr.Items); {
				x := *tr
				x.Items = slices.Delete(slices.Clone(tr.Items), i, i+n)
				if fails(&x, p) {
					tr, again = &x, true
				} else {
					i += n
				}
			}
		}
		for i := 0; i < len(p.Faults); {
			x := *p
			x.Faults = slices.Delete(slices.Clone(p.Faults), i, i+1)
			if fails(tr, &x) {
				p, again = &x, true
			} else {
				i++
			}
		}
		for _, change := range plainer() {
			x := *p
			x.Faults, x.Lateness = slices.Clone(p.Faults), slices.Clone(p.Lateness)
			if change(&x) && fails(tr, &x) {
				p, again = &x, true
			}
		}
	}
	return tr, p, simulate(t, tr, p, m, true)
}

// plainer gives changes that make a plan easier to read; one that changes
// nothing says so.
func plainer() []func(*Plan) bool {
	number := func(of func(*Plan) *int, to int) func(*Plan) bool {
		return func(p *Plan) bool {
			old := *of(p)
			*of(p) = to
			return old != to
		}
	}
	span := func(of func(*Plan) *time.Duration, to time.Duration) func(*Plan) bool {
		return func(p *Plan) bool {
			old := *of(p)
			*of(p) = to
			return old != to
		}
	}
	all := []func(*Plan) bool{
		number(func(p *Plan) *int { return &p.Workers }, 1),
		number(func(p *Plan) *int { return &p.FetchRecords }, 100),
		number(func(p *Plan) *int { return &p.Users }, 4000),
		number(func(p *Plan) *int { return &p.MaxIDs }, 1_000_000),
		number(func(p *Plan) *int { return &p.LeastIDs }, 0),
		number(func(p *Plan) *int { return &p.ForceKeys }, 20_000),
		span(func(p *Plan) *time.Duration { return &p.Spread }, 0),
		span(func(p *Plan) *time.Duration { return &p.FlushAge }, time.Second),
		span(func(p *Plan) *time.Duration { return &p.Every }, 30*time.Second),
		span(func(p *Plan) *time.Duration { return &p.Drain }, 3*time.Second),
		span(func(p *Plan) *time.Duration { return &p.Rewrite }, 10*time.Second),
		span(func(p *Plan) *time.Duration { return &p.Bucket }, time.Minute),
		span(func(p *Plan) *time.Duration { return &p.Ahead }, 0),
		span(func(p *Plan) *time.Duration { return &p.PastFor }, 0),
		number(func(p *Plan) *int { return &p.PastIDs }, 500_000),
		func(p *Plan) bool { old := p.Block; p.Block = 8192; return old != 8192 },
		func(p *Plan) bool { old := p.Idle; p.Idle = 10_000; return old != 10_000 },
		func(p *Plan) bool {
			n := len(p.Lateness)
			p.Lateness = []time.Duration{2 * time.Hour}
			return n > 1
		},
		func(p *Plan) bool { n := len(p.Lateness); p.Lateness = p.Lateness[:1]; return n > 1 },
		func(p *Plan) bool { n := len(p.Batches); p.Batches = p.Batches[:1]; return n > 1 },
	}
	for i := range 8 {
		all = append(all, func(p *Plan) bool {
			if i >= len(p.Faults) || p.Faults[i].N == 1 {
				return false
			}
			p.Faults[i].N /= 2
			return true
		}, func(p *Plan) bool {
			if i >= len(p.Faults) || p.Faults[i].For < 20*time.Millisecond {
				return false
			}
			p.Faults[i].For /= 2
			return true
		})
	}
	return all
}
