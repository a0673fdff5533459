package main

import (
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"

	"daybook/clickhouse"
	"daybook/pipeline"
	"daybook/pipeline/source"
)

// The step acts at its own occurrence, others neither act nor count for it.
func TestFailpoints_ActAtTheirOccurrence(t *testing.T) {
	armed, err := parseFailpoints("written@2:error, committed@1:kill,written@3:pause," + source.PointCheckpointHalf + "@1:error," + clickhouse.PointStoreEvents + "@1:error")
	if err != nil {
		t.Fatal(err)
	}
	var sent []syscall.Signal
	for _, one := range armed {
		one.send = func(s syscall.Signal) { sent = append(sent, s) }
	}
	reach := armed.hook(slog.New(slog.DiscardHandler))
	for i, step := range []struct {
		point string
		fails bool
		sent  int
	}{
		{pipeline.PointWritten, false, 0},
		{pipeline.PointApplied, false, 0},
		{pipeline.PointCommitted, false, 1},
		{pipeline.PointWritten, true, 1},
		{pipeline.PointWritten, false, 2},
		{pipeline.PointWritten, false, 2},
		{pipeline.PointCommitted, false, 2},
		{source.PointCheckpointHalf, true, 2},
		{clickhouse.PointStoreEvents, true, 2},
	} {
		if err := reach(step.point); errors.Is(err, errFailpoint) != step.fails || len(sent) != step.sent {
			t.Fatalf("step %d, %s: error %v, signals %v; want failure %t and %d signals", i, step.point, err, sent, step.fails, step.sent)
		}
	}
	if sent[0] != syscall.SIGKILL || sent[1] != syscall.SIGSTOP {
		t.Errorf("signals %v, want SIGKILL and SIGSTOP", sent)
	}
}

func TestFailpoints_CostNothingUnset(t *testing.T) {
	armed, err := parseFailpoints("")
	if err != nil || armed.hook(slog.New(slog.DiscardHandler)) != nil {
		t.Fatalf("an empty setting gives a hook: %v", err)
	}
}

func TestFailpoints_NameTheMistake(t *testing.T) {
	for text, want := range map[string]string{
		"written":           "write for example written@2:kill",
		"written@0:kill":    "n from 1",
		"written@x:kill":    "n from 1",
		"written@1":         "is not name@n",
		"wrote@1:kill":      `no step "wrote"; it is one of assigned, restored`,
		"written@1:explode": "write kill, pause or error",
		"written@1:kill,":   "is not name@n",
	} {
		if _, err := parseFailpoints(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want it to say %q", text, err, want)
		}
	}
}
