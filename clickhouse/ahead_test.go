package clickhouse_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"daybook/schemas"
)

func TestAhead_WhatIsStoredAboveAnOffset(t *testing.T) {
	s := open(t)
	row := func(block, next int64, accepted uint32) schemas.LedgerRow {
		return schemas.LedgerRow{
			Block: block, Size: 50, Next: next, Accepted: accepted,
			NotRecorded: map[string]uint32{}, Rejected: map[string]uint32{"bad_time": 1}, Skipped: map[string]uint32{"control": 2},
		}
	}
	early, late := flush(90), flush(120)
	early.Events = []schemas.EventRow{event("a", "u", "1", 10, 5_000_000), event("a", "u", "2", 60, 9_000_000), event("b", "u", "3", 89, 7_000_000)}
	early.Ledger = []schemas.LedgerRow{row(0, 50, 40), row(50, 90, 30)}
	late.Events = []schemas.EventRow{event("a", "u", "4", 95, 8_000_000), event("a", "u", "5", 119, 6_000_000), event("a", "u", "5", 119, 6_000_000)}
	other := flush(100)
	other.Partition, other.Events, other.Ledger = 1, []schemas.EventRow{event("c", "u", "9", 99, 1_000)}, []schemas.LedgerRow{row(50, 100, 1)}
	write(t, s, early, late, other)
	got, err := s.Ahead(t.Context(), 1, 0, 60)
	if err != nil {
		t.Fatal(err)
	}
	want := &schemas.Ahead{
		Ledger: []schemas.LedgerRow{row(50, 90, 30)},
		Spans: []schemas.EventsWindow{
			{Network: "a", User: "u", FromMs: 6_000_000, ToMs: 9_000_000}, {Network: "b", User: "u", FromMs: 7_000_000, ToMs: 7_000_000},
		},
		Offsets: []int64{95, 119},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
