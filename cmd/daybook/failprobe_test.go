package main

import (
	"strings"
	"testing"

	"daybook/pipeline"
)

func TestFailprobe_PanicsWhereItIsTold(t *testing.T) {
	list := "decode=venom:panic, written@2:error,apply=toxin:panic,panic.counted@1:kill"
	armed, err := parseFailpoints(list)
	if err != nil || len(armed) != 2 {
		t.Fatalf("the steps beside the probes are %v, %v, want two", armed, err)
	}
	probes, _, err := parseProbes(list)
	if err != nil {
		t.Fatal(err)
	}
	panics := func(step, value string) (did bool) {
		defer func() { did = recover() != nil }()
		probe(probes)(step, 0, 0, []byte(value))
		return false
	}
	for _, c := range []struct {
		step, value string
		want        bool
	}{
		{pipeline.ProbeDecode, `{"id":"venom"}`, true},
		{pipeline.ProbeApply, `{"id":"venom"}`, false},
		{pipeline.ProbeDecode, `{"id":"toxin"}`, false},
		{pipeline.ProbeApply, `{"id":"toxin"}`, true},
		{pipeline.ProbeApply, "", false},
	} {
		if got := panics(c.step, c.value); got != c.want {
			t.Errorf("%s of %s panics: %t, want %t", c.step, c.value, got, c.want)
		}
	}
	if probe(nil) != nil {
		t.Error("nothing is armed, but a probe is called for every record")
	}
	for _, wrong := range []string{"decode=:panic", "decode=x", "decode=x:kill", "fetch=x:panic"} {
		if _, err := parseFailpoints(wrong); err == nil || !strings.Contains(err.Error(), "decode=TEXT:panic") {
			t.Errorf("%s: %v, want the right form", wrong, err)
		}
	}
}
