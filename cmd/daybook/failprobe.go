package main

import (
	"fmt"
	"strings"

	"daybook/pipeline"
)

// failProbe is what DAYBOOK_FAILPOINT=STEP=TEXT:panic arms: the handling of
// every record that holds the text panics at the step, as a fault of ours would.
type failProbe struct{ step, text string }

// failByPanic is the only thing that a probe does.
const failByPanic = "panic"

// parseProbes takes the probes out of a list of failpoints; rest is the others.
func parseProbes(list string) (probes []failProbe, rest []string, err error) {
	for one := range strings.SplitSeq(list, ",") {
		one = strings.TrimSpace(one)
		step, what, isProbe := strings.Cut(one, "=")
		if !isProbe {
			rest = append(rest, one)
			continue
		}
		text, action, acts := strings.Cut(what, ":")
		if !acts || action != failByPanic || text == "" || step != pipeline.ProbeDecode && step != pipeline.ProbeApply {
			return nil, nil, fmt.Errorf("%q is not %s=TEXT:%s or %s=TEXT:%s", one, pipeline.ProbeDecode, failByPanic, pipeline.ProbeApply, failByPanic)
		}
		probes = append(probes, failProbe{step, text})
	}
	return probes, rest, nil
}

// probe is what the worker calls for every record; nil where nothing is armed.
func probe(probes []failProbe) func(step string, partition int32, offset int64, value []byte) {
	if len(probes) == 0 {
		return nil
	}
	return func(step string, _ int32, _ int64, value []byte) {
		for _, p := range probes {
			if p.step == step && strings.Contains(string(value), p.text) {
				panic("invariant: DAYBOOK_FAILPOINT says so")
			}
		}
	}
}
