package pipeline

import (
	"slices"
	"testing"

	"daybook/pipeline/sessionize"
)

// remembered is a state that has late events behind a far horizon, and the
// store that it writes to.
func remembered(t *testing.T, late ...int64) (*state, *tables) {
	t.Helper()
	h := new(history).gap(2).signals(10, 11, 150, 400)
	for _, ms := range late {
		h.signals(ms)
	}
	s, store := newState(modelRules(100, 1), 1, 0, 1, 0), newTables()
	for i := range h.log {
		if err := s.apply(slabOf(s.pos, s.pos+1, h.log[i]), store.read(s.pos)); err != nil {
			t.Fatal(err)
		}
		f := s.takeFlush("t", 0, true)
		store.writeEvents(f)
		store.writeRows(f, func(string) bool { return true })
		s.settle()
	}
	return s, store
}

// early gives the first instants of what a state holds of its one key before
// the horizon.
func (s *state) early() (first []int64) {
	n := s.networks["n0"]
	segs := s.user(n, []byte("u0")).own.Segs()
	for i := range segs {
		if x := &segs[i]; x.Last() < n.horizon-int64(n.control.GapMs) {
			first = append(first, x.First)
		}
	}
	return first
}

// Who must be read back again is forgotten first: what the state holds of him
// before the horizon lies in the spans that it knows, so that nothing stored is
// missing between two of his chains.
func TestPast_KnowsNoSpanWithAHole(t *testing.T) {
	s, _ := remembered(t, 12)
	if got := s.early(); !slices.Equal(got, []int64{10}) {
		t.Fatalf("after a late event it holds chains from %v, want the one from 10", got)
	}
	s, _ = remembered(t, 12, 151)
	known := s.user(s.networks["n0"], []byte("u0")).known()
	for _, first := range s.early() {
		if !sessionize.Within(known, first) {
			t.Errorf("it holds the chain from %d, and knows %v", first, known)
		}
	}
	if got := s.early(); !slices.Equal(got, []int64{150}) {
		t.Errorf("it holds chains from %v, want the one from 150", got)
	}
}

// A snapshot holds nothing of what is remembered beyond need: who resumes with it
// does not know the spans, and would take it for all there is.
func TestPast_IsNoPartOfASnapshot(t *testing.T) {
	s, store := remembered(t, 12)
	c := s.begin()
	c.step(1 << 20)
	image := c.take()
	c.rest(func(part []byte) { image = append(image, part...) })
	r, err := readSnapshot(s.rules, image)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.early(); len(got) > 0 {
		t.Errorf("the snapshot holds chains from %v before the horizon", got)
	}
	if got := s.early(); len(got) == 0 {
		t.Error("the state holds none either: the test tests nothing")
	}
	late := new(history).gap(2).signals(0, 0, 0, 0, 13).log[5:]
	late[0].offset, late[0].event.ID = s.pos, []byte("new")
	for _, x := range []*state{s, r} { // both decide alike
		if err := x.apply(slabOf(x.pos, x.pos+1, late...), store.read(x.pos)); err != nil {
			t.Fatal(err)
		}
		f := x.takeFlush("t", 0, true)
		if len(f.Sessions) != 1 || f.Sessions[0].StartMs != 10 || f.Sessions[0].EndMs != 13 || f.Sessions[0].Events != 4 {
			t.Errorf("sessions %+v, want one of four events from 10 to 13", f.Sessions)
		}
	}
}
