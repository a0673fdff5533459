package pipeline

import (
	"testing"

	"daybook/schemas"
)

// However keys wait for their rows, a flush leaves none behind that is due: rows
// were written long enough ago, the chain is to leave, or a checkpoint waits.
func TestWaiting_NothingDueIsLeftBehind(t *testing.T) {
	o := openSessions(t, 300)
	s, n := o.s, o.s.networks["bench"]
	held, left := 0, 0
	for i := range 2000 {
		o.now += o.r.Int64N(1500)
		if i%30 == 0 {
			o.timeMs += o.r.Int64N(12 * 3_600_000) // a chain leaves 6 hours after its last event
		}
		sessions := s.sessions
		o.batch(1+o.r.IntN(12), func() uint64 { return o.r.Uint64N(300) })
		left += max(0, sessions-s.sessions)
		if i%40 == 20 {
			c := s.begin()
			c.step(1 << 30)
		}
		if i%40 == 21 && s.owed > 0 {
			t.Fatalf("step %d: %d keys are owed after a flush that could write all of them", i, s.owed)
		}
		touched := map[*key]bool{}
		for k := range s.allTouched {
			touched[k] = true
			if f := new(schemas.Flush); !s.flushKey(f, k, s.now, false) || len(f.Sessions) > 0 {
				t.Fatalf("step %d: user %s is left behind with %d rows", i, k.user.name(), len(f.Sessions))
			}
		}
		dirty := 0
		for _, p := range s.users.pages {
			for j := range p.users {
				for _, x := range p.users[j].own.sessions() {
					if x.dirty() && touched[&p.users[j].own] {
						dirty++
					}
				}
			}
		}
		if len(touched) != s.touched || dirty < s.touched {
			t.Fatalf("step %d: %d keys wait, %d of them with a change; the state counts %d", i, len(touched), dirty, s.touched)
		}
		held = max(held, s.touched)
	}
	if held < 20 || left < 1000 {
		t.Errorf("at most %d keys waited and %d left: it was not put to the test", held, left)
	}
	if s.takeFlush("events", s.now, true); s.touched != 0 || len(n.waiting.buckets) != 0 {
		t.Errorf("%d keys wait in %d buckets after everything was written", s.touched, len(n.waiting.buckets))
	}
}
