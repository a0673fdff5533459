package sessionize

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"daybook/schemas"
)

// small rules: a day and the cap are 8, grace is 1.
var small = Rules{DayMs: 8, CapMs: 8, GraceMs: 1}

// draw makes the i-th event of a key.
func draw(t *rapid.T, i int) StoredEvent {
	return StoredEvent{
		ID: fmt.Sprintf("id%d", rapid.IntRange(0, 9).Draw(t, "id")),
		Event: Event{
			TimeMs: rapid.Int64Range(-20, 20).Draw(t, "time"), Offset: int64(i), Gap: rapid.Int32Range(1, 3).Draw(t, "gap"),
			Period: uint16(rapid.IntRange(0, 9).Draw(t, "period") / 9), Zone: uint16(rapid.IntRange(0, 1).Draw(t, "zone")),
			Class: schemas.ClassMobile + schemas.DeviceClass(rapid.IntRange(0, 1).Draw(t, "class")),
			Kind:  []schemas.Kind{schemas.KindSignal, schemas.KindSignal, schemas.KindSignal, schemas.KindLoggedOut, schemas.KindBackgrounded}[rapid.IntRange(0, 4).Draw(t, "kind")],
		},
	}
}

// singles gives every event as a segment of its own: what Build is defined on.
func singles(events []StoredEvent) []Segment {
	sorted := slices.Clone(events)
	slices.SortFunc(sorted, func(a, b StoredEvent) int {
		return cmp.Or(cmp.Compare(a.TimeMs, b.TimeMs), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Offset, b.Offset))
	})
	segs := make([]Segment, len(sorted))
	for i := range sorted {
		segs[i] = sorted[i].segment()
	}
	return segs
}

// The state of a key, whatever it was reduced to, gives the sessions of the
// events that it was fed, in any order (P3; golden vector 15). Where it cannot
// decide it says so and changes nothing; expanded, it decides.
func TestKey_GivesTheSessionsOfItsEvents(t *testing.T) {
	undecided, longest := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		var k Key
		var events []StoredEvent
		for i := range rapid.IntRange(1, 25).Draw(t, "events") {
			e := draw(t, i)
			before := slices.Clone(k.Segs())
			start, extended := k.Extend(small, &e.Event)
			if !extended && !k.Insert(small, &e.Event, []byte(e.ID)) {
				if !slices.Equal(before, k.Segs()) {
					t.Fatalf("an undecided event changed the key: %+v, was %+v", k.Segs(), before)
				}
				undecided++
				w := Cover([]Window{{e.TimeMs - 1, e.TimeMs + 1}}, []*Key{&k}, 3)
				var around []StoredEvent
				for _, o := range events {
					if Within(w, o.TimeMs) {
						around = append(around, o)
					}
				}
				k.Expand(w, around)
				if !k.Insert(small, &e.Event, []byte(e.ID)) {
					t.Fatalf("event %+v is undecided although its surroundings are expanded", e)
				}
			}
			events = append(events, e)
			if k.Expanded() && rapid.Bool().Draw(t, "collapse") {
				k.Collapse(small)
			}
			want, got := small.Build(nil, singles(events)), small.Build(nil, k.Segs())
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Fatalf("after %d events (-want +got):\n%s", len(events), diff)
			}
			if extended && !slices.ContainsFunc(got, func(s Session) bool { return s.StartMs == start }) {
				t.Fatalf("Extend says that the session from %d changed; there is none", start)
			}
			longest = max(longest, len(events)-len(k.Segs()))
		}
	})
	if undecided == 0 || longest == 0 {
		t.Errorf("%d undecided events and at most %d joined: the property was not put to the test", undecided, longest)
	}
}

// A chain leaves as a whole, the oldest first, and what stays is untouched.
func TestKey_ChainsLeaveAsAWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var k Key
		for i := range rapid.IntRange(1, 15).Draw(t, "events") {
			e := draw(t, i)
			if !k.Insert(small, &e.Event, []byte(e.ID)) {
				continue
			}
		}
		bound := rapid.Int64Range(-21, 22).Draw(t, "bound")
		all := small.Build(nil, k.Segs())
		var want []Session
		for _, s := range all {
			if s.ChainEnd >= bound {
				want = append(want, s)
			}
		}
		if holds := k.Leave(small, bound); holds != (len(want) > 0) {
			t.Fatalf("Leave says %v, want %v", holds, len(want) > 0)
		}
		if diff := gocmp.Diff(want, small.Build(nil, k.Segs())); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

// What lies outside of Around is the same after an event came in as before.
func TestKey_AroundHoldsEveryChange(t *testing.T) {
	outside := func(all, part []Session) []Session {
		return slices.DeleteFunc(append([]Session{}, all...), func(s Session) bool { return slices.Contains(part, s) })
	}
	least := 0
	rapid.Check(t, func(t *rapid.T) {
		var k Key
		for i := range rapid.IntRange(1, 25).Draw(t, "events") {
			e := draw(t, i)
			from, until := k.Around(small, e.TimeMs)
			before, touched := small.Build(nil, k.Segs()), small.BuildPart(nil, k.Segs(), from, until)
			least = max(least, len(before)-len(touched))
			if !k.Insert(small, &e.Event, []byte(e.ID)) {
				continue
			}
			after, is := small.Build(nil, k.Segs()), small.BuildPart(nil, k.Segs(), from, until)
			if diff := gocmp.Diff(outside(before, touched), outside(after, is)); diff != "" {
				t.Fatalf("outside of what %+v touches (-before +after):\n%s", e, diff)
			}
		}
	})
	if least == 0 {
		t.Error("an event was said to touch all sessions, always: the property was not put to the test")
	}
}
