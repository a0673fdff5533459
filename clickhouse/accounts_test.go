package clickhouse_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"daybook/clickhouse"
	"daybook/schemas"
)

// I7: each offset is exactly one of the classes, whatever was written twice.
func TestAccounts_SumOverBlocksAndReasons(t *testing.T) {
	s := open(t)
	a, b := flush(60), flush(130)
	a.Ledger = []schemas.LedgerRow{{Block: 0, Size: 100, Next: 60, Accepted: 50, Duplicate: 5, Rejected: map[string]uint32{"no_id": 5}}}
	b.Ledger = []schemas.LedgerRow{
		{Block: 0, Size: 100, Next: 100, Accepted: 80, Duplicate: 10, Conflicts: 2, Rejected: map[string]uint32{"no_id": 6, "empty": 4}},
		{Block: 100, Size: 100, Next: 130, Accepted: 20, NotRecorded: map[string]uint32{"recording_disabled": 3}, Skipped: map[string]uint32{"control": 7}},
	}
	write(t, s, b, a, b)
	got, err := s.Accounts(t.Context(), schemas.TopicEvents, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := map[int32]clickhouse.Account{0: {
		From: 0, To: 130, Accepted: 100, Duplicate: 10, Conflicts: 2, NotRecorded: map[string]uint64{"recording_disabled": 3},
		Rejected: map[string]uint64{"no_id": 6, "empty": 4}, Skipped: map[string]uint64{"control": 7},
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestRejectsOf_RangeOfAPartition(t *testing.T) {
	s := open(t)
	f := flush(60)
	for i := range 5 {
		f.Rejects = append(f.Rejects, schemas.RejectRow{Offset: int64(i), Reason: schemas.NoUser, Raw: []byte("{}"), RawBytes: 2})
	}
	write(t, s, f, f)
	got, err := s.RejectsOf(t.Context(), 1, 0, 1, 4, 2)
	if err != nil || len(got) != 2 || got[0].Offset != 1 || got[1].Offset != 2 || got[0].Reason != "no_user" || got[0].Raw != "{}" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestWriteGap_TwiceIsOne(t *testing.T) {
	s := open(t)
	g := clickhouse.Gap{Topic: schemas.TopicEvents, Epoch: 1, Partition: 2, From: 10, To: 20, Reason: "retention", Actor: "me"}
	for range 2 {
		if err := s.WriteGap(t.Context(), g); err != nil {
			t.Fatal(err)
		}
	}
	if got := text(t, s, "SELECT toString((topic, epoch, partition, from_offset, to_offset, reason, actor)) FROM gaps"); len(got) != 1 || got[0] != "('daybook.events',1,2,10,20,'retention','me')" {
		t.Error(got)
	}
	for at, want := range map[int64]int64{g.From: g.To, g.To - 1: g.To, g.From - 1: 0, g.To: 0} {
		if to, err := s.GapEnd(t.Context(), g.Epoch, g.Partition, at); err != nil || to != want {
			t.Errorf("GapEnd at %d gives %d, %v, want %d", at, to, err, want)
		}
	}
	if to, err := s.GapEnd(t.Context(), g.Epoch, g.Partition+1, g.From); err != nil || to != 0 {
		t.Errorf("GapEnd of another partition gives %d, %v", to, err)
	}
}

func TestPartitions_NewestReportOfTheNewestEpoch(t *testing.T) {
	s := open(t)
	full := schemas.PartitionStatus{
		Topic: "t", Epoch: 2, Partition: 1, Worker: "w", Next: 1, Published: 2, Committed: 3, LogEnd: 4, CaughtUpMs: 5, CheckpointMs: 6, OpenSessions: 7,
		HorizonMs: map[string]int64{"a": -1 << 63, "b": 8}, UpdatedMs: 9, OutOfOrderMs: 10, Released: true,
	}
	older, otherEpoch := full, full
	older.UpdatedMs, older.Worker = 8, "older"
	otherEpoch.Epoch, otherEpoch.UpdatedMs = 1, 99
	for _, r := range [][]schemas.PartitionStatus{{full}, {older, otherEpoch}} {
		if err := s.Report(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Partitions(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]clickhouse.PartitionReport{{PartitionStatus: full}}, got); d != "" {
		t.Error(d)
	}
}

func TestTraceEvent_FateSessionAndRows(t *testing.T) {
	s := open(t)
	f := flush(60)
	ms := at(t, "2026-05-12T23:59:00Z")
	f.Events = []schemas.EventRow{event("n", "u", "the-id", 11, ms), event("n", "u", "another", 12, ms+120_000)}
	session(f, "n", "u", "web", schemas.ClassWeb, ms, ms+120_000, false)
	f.Rejects = []schemas.RejectRow{{Offset: 13, Reason: schemas.NoUser, Raw: []byte(`{"id":"the-id"}`)}}
	write(t, s, f, f)
	got, err := s.TraceEvent(t.Context(), "the-id")
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Events) != 1 || len(got.Rejects) != 1 || got.Events[0].Session == nil {
		t.Fatalf("%+v", got)
	}
	e := got.Events[0]
	if e.Offset != 11 || e.Network != "n" || e.Session.Events != 2 || len(e.Session.Dates) != 2 || e.Session.Dates[0] != "2026-05-12" || got.Rejects[0].Offset != 13 {
		t.Errorf("%+v %+v", e, e.Session)
	}
	if none, err := s.TraceEvent(t.Context(), "nobody"); err != nil || len(none.Events)+len(none.Rejects) != 0 {
		t.Errorf("%+v, %v", none, err)
	}
}
