package clickhouse_test

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"daybook/clickhouse"
	"daybook/schemas"
)

func stored(t *testing.T, s *clickhouse.Store, q schemas.EventsQuery) []schemas.StoredEvent {
	t.Helper()
	var out []schemas.StoredEvent
	if err := s.StoredEvents(t.Context(), q, func(e *schemas.StoredEvent) error { out = append(out, *e); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func offsets(events []schemas.StoredEvent) []int64 {
	out := make([]int64, len(events))
	for i, e := range events {
		out[i] = e.Offset
	}
	return out
}

func TestStoredEvents_GivesEveryFieldBack(t *testing.T) {
	s := open(t)
	f := flush(10)
	odd := "ü 'q\" \\ \t\n{x:String}\u2028"
	row := event("n", odd, odd+"id", 4, 1_700_000_000_123)
	row.Event.Source, row.Event.Kind, row.Event.Props = []byte(odd+"src"), schemas.KindBackgrounded, []byte(`{"a":1}`)
	row.DeviceID, row.Class, row.Zone, row.GapMs, row.Period, row.Content = []byte(odd), schemas.ClassMobile, "Europe/Prague", 60_000, 7, 42
	row.Flags = schemas.FlagRobot | schemas.FlagTimeClamped
	f.Events = []schemas.EventRow{row}
	write(t, s, f)
	q := schemas.EventsQuery{Epoch: 1, BelowOffset: 5, Windows: []schemas.EventsWindow{{Network: "n", User: odd, FromMs: 1_700_000_000_123, ToMs: 1_700_000_000_123}}}
	want := []schemas.StoredEvent{{
		Offset: 4, Network: "n", User: odd, Device: odd, Source: odd + "src", ID: odd + "id", TimeMs: 1_700_000_000_123,
		Kind: schemas.KindBackgrounded, Class: schemas.ClassMobile, Flags: schemas.FlagRobot | schemas.FlagTimeClamped,
		GapMs: 60_000, Period: 7, Zone: "Europe/Prague", Content: 42,
	}}
	if d := cmp.Diff(want, stored(t, s, q)); d != "" {
		t.Error(d)
	}
}

// ARCHITECTURE.md section 4.5: below the offset, of this partition, each once.
func TestStoredEvents_OnlyWhatTheLogHoldsBelowTheOffset(t *testing.T) {
	s := open(t)
	f := flush(100)
	for i := range 10 {
		f.Events = append(f.Events, event("n", "u", strconv.Itoa(i), int64(10*i), 1_700_000_000_000+int64(i)*1000))
	}
	elsewhere := flush(100)
	elsewhere.Partition = 1
	elsewhere.Events = []schemas.EventRow{event("n", "u", "p1", 3, 1_700_000_000_500)}
	write(t, s, f, f, elsewhere, f)
	window := func(from, to int64) schemas.EventsWindow {
		return schemas.EventsWindow{Network: "n", User: "u", FromMs: 1_700_000_000_000 + from, ToMs: 1_700_000_000_000 + to}
	}
	for name, tc := range map[string]struct {
		below   int64
		windows []schemas.EventsWindow
		want    []int64
	}{
		"all":                       {100, []schemas.EventsWindow{window(0, 9000)}, []int64{0, 10, 20, 30, 40, 50, 60, 70, 80, 90}},
		"ends are inclusive":        {100, []schemas.EventsWindow{window(1000, 3000)}, []int64{10, 20, 30}},
		"below is exclusive":        {30, []schemas.EventsWindow{window(0, 9000)}, []int64{0, 10, 20}},
		"overlapping windows, once": {100, []schemas.EventsWindow{window(2000, 4000), window(1000, 3000), window(8000, 9000)}, []int64{10, 20, 30, 40, 80, 90}},
		"an empty window":           {100, []schemas.EventsWindow{window(3000, 1000)}, nil},
		"beyond every time":         {100, []schemas.EventsWindow{{Network: "n", User: "u", FromMs: math.MinInt64, ToMs: math.MaxInt64}}, []int64{0, 10, 20, 30, 40, 50, 60, 70, 80, 90}},
		"another user":              {100, []schemas.EventsWindow{{Network: "n", User: "v", FromMs: 0, ToMs: math.MaxInt64}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := offsets(stored(t, s, schemas.EventsQuery{Epoch: 1, Partition: 0, BelowOffset: tc.below, Windows: tc.windows}))
			if d := cmp.Diff(append([]int64{}, tc.want...), got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestStoredEvents_OfEarlierEpochsLieBelowEveryOffset(t *testing.T) {
	s := open(t)
	old, now := flush(100), flush(10)
	old.Partition, old.Events = 3, []schemas.EventRow{event("n", "u", "old", 77, 1_700_000_000_000)}
	now.Epoch, now.Events = 2, []schemas.EventRow{event("n", "u", "now", 5, 1_700_000_001_000)}
	write(t, s, old, now)
	q := schemas.EventsQuery{Epoch: 2, Partition: 0, BelowOffset: 6, Windows: []schemas.EventsWindow{{Network: "n", User: "u", ToMs: math.MaxInt64}}}
	if got := offsets(stored(t, s, q)); len(got) != 2 || got[0] != 77-1<<48 || got[1] != 5 {
		t.Errorf("offsets %v", got)
	}
}

func TestStoredEvents_ManyUsersInBulksAndAnErrorOfYield(t *testing.T) {
	s := open(t)
	f := flush(5000)
	q := schemas.EventsQuery{Epoch: 1, BelowOffset: 5000}
	for i := range 2500 {
		user := fmt.Sprintf("user-%04d", i)
		f.Events = append(f.Events, event("n", user, "a", int64(i), 1_700_000_000_000))
		q.Windows = append(q.Windows, schemas.EventsWindow{Network: "n", User: user, ToMs: math.MaxInt64})
	}
	write(t, s, f)
	if got := stored(t, s, q); len(got) != 2500 {
		t.Errorf("%d events, want 2500", len(got))
	}
	stop := errors.New("enough")
	n := 0
	if err := s.StoredEvents(t.Context(), q, func(*schemas.StoredEvent) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("got %v after %d events, want the error of yield after one", err, n)
	}
}

func TestColdState_WhatTheTablesKnowBelowAnOffset(t *testing.T) {
	s := open(t)
	f := flush(100)
	f.Events = []schemas.EventRow{
		event("a", "u", "1", 10, 5_000_000), event("a", "u", "2", 60, 9_000_000), event("b", "u", "3", 70, 7_000_000),
	}
	f.Settings = []schemas.SettingRow{
		{Offset: 1, Control: schemas.Control{Network: "a", Position: 3, GapMs: 60_000, Zone: "UTC", Title: "A"}},
		{Offset: 20, Control: schemas.Control{Network: "a", Position: 4, GapMs: 120_000, Zone: "Europe/Prague", Dark: []schemas.Dark{{FromMs: 5, ToMs: 6}, {FromMs: 7, ToMs: math.MaxInt64}}}},
		{Offset: 80, Control: schemas.Control{Network: "a", Position: 5, GapMs: 180_000}},
	}
	f.UserFacts = []schemas.UserFactRow{
		{Offset: 2, Network: "a", User: "u", Zone: "UTC", Name: "old"},
		{Offset: 30, Network: "a", User: "u", Zone: "Asia/Tokyo", Name: "new"},
		{Offset: 90, Network: "a", User: "u", Zone: "x", Name: "later"},
	}
	other := flush(100)
	other.Partition, other.Events = 1, []schemas.EventRow{event("c", "u", "9", 1, 1_000)}
	write(t, s, f, f, other)
	got, err := s.ColdState(t.Context(), 1, 0, 50)
	if err != nil {
		t.Fatal(err)
	}
	want := &schemas.ColdState{
		Networks: []schemas.ColdNetwork{
			{Network: "a", GreatestMs: 9_000_000, WatermarkMs: 5_000_000}, {Network: "b", GreatestMs: 7_000_000, WatermarkMs: math.MinInt64},
		},
		Settings: []schemas.SettingRow{{Offset: 20, Control: schemas.Control{
			Network: "a", Position: 4, GapMs: 120_000, Zone: "Europe/Prague", Dark: []schemas.Dark{{FromMs: 5, ToMs: 6}, {FromMs: 7, ToMs: math.MaxInt64}},
		}}},
		Facts: []schemas.UserFactRow{{Offset: 30, Network: "a", User: "u", Zone: "Asia/Tokyo", Name: "new"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if empty, err := s.ColdState(t.Context(), 1, 7, 50); err != nil || len(empty.Networks)+len(empty.Settings)+len(empty.Facts) != 0 {
		t.Errorf("partition without rows: %+v, %v", empty, err)
	}
}

func TestTopicEpoch_FirstIDThenNoOther(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	for _, want := range []struct {
		id    string
		epoch uint16
	}{{"first", 1}, {"first", 1}, {"made anew while empty", 2}, {"first", 1}} {
		if got, err := s.TopicEpoch(ctx, "daybook.events", want.id); err != nil || got != want.epoch {
			t.Errorf("%s: epoch %d, %v, want %d", want.id, got, err, want.epoch)
		}
	}
	f := flush(10)
	f.Events = []schemas.EventRow{event("n", "u", "1", 1, 1_700_000_000_000)}
	write(t, s, f)
	if _, err := s.TopicEpoch(ctx, "daybook.events", "stranger"); !errors.Is(err, clickhouse.ErrUnknownTopic) {
		t.Errorf("stranger over rows: %v, want ErrUnknownTopic", err)
	}
	if got, err := s.NewEpoch(ctx, "daybook.events", "stranger"); err != nil || got != 3 {
		t.Errorf("new epoch %d, %v", got, err)
	}
	if got, err := s.TopicEpoch(ctx, "daybook.events", "stranger"); err != nil || got != 3 {
		t.Errorf("afterwards %d, %v", got, err)
	}
}
