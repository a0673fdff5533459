package peers

import (
	"testing"

	"daybook/schemas"
)

// The log holds what the comparison rests on: both sides of the gap, events out
// of order by less than a minute, nothing that only some systems treat.
func TestActivity_IsWhatEverySystemAgreesOn(t *testing.T) {
	const events = 20_000
	a := newActivity(events)
	var d schemas.Decoder
	ids := make(map[string]bool)
	var greatest int64
	behind, bytes := 0, 0
	for r, ok := a.next(); ok; r, ok = a.next() {
		var e schemas.Event
		if reject := d.Decode(r.value, &e); reject.Reason != schemas.Accepted {
			t.Fatalf("%v: %s", reject, r.value)
		}
		if !schemas.KeyIs(r.key, e.Network, e.User) {
			t.Fatalf("key %s of %s", r.key, r.value)
		}
		if e.TimeMs <= greatest-outOfOrderMs {
			t.Fatalf("%s is a minute behind or more", r.value)
		}
		if e.TimeMs < greatest {
			behind++
		}
		greatest = max(greatest, e.TimeMs)
		ids[string(e.ID)] = true
		bytes += len(r.value)
		d.Reset()
	}
	if len(ids) != events {
		t.Errorf("%d ids, want %d", len(ids), events)
	}
	if behind < events/40 || behind > events/15 {
		t.Errorf("%d events are out of order, want about one in twenty", behind)
	}
	if size := bytes / events; size < 340 || size > 370 {
		t.Errorf("an event has %d bytes, want 340 to 370", size)
	}
	want := a.reference()
	if want.events != events || want.count < events/13 || want.count > events/9 {
		t.Errorf("got %s, want one session in about 11 events", &want)
	}
	gaps, cuts := 0, 0
	for _, times := range a.times {
		begin := 0
		for i := 1; i < len(times); i++ {
			step := times[i] - times[i-1]
			switch step {
			case gapMs:
				gaps++
			case gapMs + 1:
				cuts++
			}
			if step > gapMs {
				begin = i
			}
			if times[i]-times[begin] >= 24*3_600_000 {
				t.Fatal("a session lasts a day: Daybook would cut it at midnight")
			}
		}
	}
	if gaps == 0 || cuts == 0 {
		t.Errorf("%d pauses of exactly the gap, %d of one millisecond more, want some of both", gaps, cuts)
	}
}
