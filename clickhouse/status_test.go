package clickhouse_test

import (
	"testing"
	"time"

	"daybook/schemas"
)

// ARCHITECTURE.md section 5: status is told at read. One session that ends at
// 10:00 with a gap of 30 minutes.
func TestSessions_StatusFollowsWatermarkWallClockAndHorizon(t *testing.T) {
	s := open(t)
	f := flush(50)
	session(f, "n", "u", "web", schemas.ClassWeb, at(t, "2026-05-13T09:00:00Z"), at(t, "2026-05-13T10:00:00Z"), false)
	write(t, s, f)
	expect := func(when, want string) {
		t.Helper()
		if got := text(t, s, "SELECT status FROM sessions"); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v, want %s", when, got, want)
		}
	}
	next := int64(50)
	watermark := func(network string, partition int32, rfc3339 string) {
		t.Helper()
		next++
		p := flush(next)
		p.Partition = partition
		p.Progress = []schemas.ProgressRow{{Network: network, WatermarkMs: at(t, rfc3339)}}
		write(t, s, p)
	}
	expect("no progress at all", "open")
	watermark("n", 0, "2026-05-13T10:30:00Z")
	expect("watermark at end plus gap: an event of that instant still continues", "open")
	watermark("other", 0, "2026-05-14T00:00:00Z")
	watermark("n", 1, "2026-05-14T00:00:00Z")
	expect("another network's watermark, another partition's", "open")
	watermark("n", 0, "2026-05-13T10:30:00.001Z")
	expect("watermark has passed end plus gap", "closed")

	report := func(status schemas.PartitionStatus) {
		t.Helper()
		status.Topic, status.Epoch = schemas.TopicEvents, 1
		if err := s.Report(t.Context(), []schemas.PartitionStatus{status}); err != nil {
			t.Fatal(err)
		}
	}
	report(schemas.PartitionStatus{UpdatedMs: 1, HorizonMs: map[string]int64{"n": at(t, "2026-05-13T10:30:00Z"), "other": at(t, "2026-05-15T00:00:00Z")}})
	expect("horizon at end plus gap", "closed")
	report(schemas.PartitionStatus{UpdatedMs: 2, HorizonMs: map[string]int64{"n": at(t, "2026-05-13T10:30:00.001Z")}})
	expect("horizon has passed end plus gap", "final")
}

func TestSessions_ClosedByTheWallClockWhenReadToTheEnd(t *testing.T) {
	s := open(t)
	f := flush(50)
	session(f, "n", "u", "web", schemas.ClassWeb, at(t, "2026-05-13T09:00:00Z"), at(t, "2026-05-13T10:00:00Z"), false)
	f.Progress = []schemas.ProgressRow{{Network: "n", WatermarkMs: at(t, "2026-05-13T09:59:00Z")}}
	write(t, s, f)
	for i, step := range []struct {
		caughtUp int64
		want     string
	}{
		{0, "open"}, // behind
		{at(t, "2026-05-13T10:30:00Z"), "open"},
		{at(t, "2026-05-13T10:30:01Z"), "closed"},
	} {
		status := schemas.PartitionStatus{
			Topic: schemas.TopicEvents, Epoch: 1, CaughtUpMs: step.caughtUp, HorizonMs: map[string]int64{"n": -1 << 63}, UpdatedMs: time.Now().UnixMilli() + int64(i),
		}
		if err := s.Report(t.Context(), []schemas.PartitionStatus{status}); err != nil {
			t.Fatal(err)
		}
		if got := text(t, s, "SELECT status FROM sessions"); len(got) != 1 || got[0] != step.want {
			t.Errorf("read to the end at %d: %v, want %s", step.caughtUp, got, step.want)
		}
	}
}
