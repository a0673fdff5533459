package dedupe

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

const hour = int64(3_600_000)

// entry draws an event of few identities, so that they collide: also in the
// slot, because the table is small and ID[0] chooses it.
func entry(t *rapid.T) Entry {
	return Entry{
		ID:      [2]uint64{rapid.Uint64Range(0, 3).Draw(t, "slot") * 64, rapid.Uint64Range(0, 2).Draw(t, "id")},
		TimeMs:  rapid.Int64Range(-3*hour, 9*hour).Draw(t, "time"),
		Content: rapid.Uint64Range(0, 1).Draw(t, "content"),
	}
}

// The set against a list that is searched from end to end, while entries come,
// come again, and are forgotten (ARCHITECTURE.md section 4.6).
func TestSet_AgreesWithAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewSet(hour, 0)
		var list []Entry
		bound := -100 * hour
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			if rapid.IntRange(0, 19).Draw(t, "forget") == 0 {
				bound = max(bound, rapid.Int64Range(-3*hour, 9*hour).Draw(t, "bound"))
				s.Forget(bound)
				continue
			}
			e := entry(t)
			if e.TimeMs < bound+hour {
				continue // the caller asks only where the set is complete
			}
			want := New
			for _, o := range list {
				switch near := o.ID == e.ID && max(o.TimeMs-e.TimeMs, e.TimeMs-o.TimeMs) <= hour; {
				case near && o.Content == e.Content:
					want = Repeat
				case near && want == New: // there may be another one, on the other side
					want = Conflict
				}
			}
			if got := s.Find(&e); got != want {
				t.Fatalf("Find(%+v) gives %d, want %d", e, got, want)
			}
			if want == New {
				s.Add(e)
				s.Add(e) // it may re-enter
				list = append(list, e)
			}
		}
		n := 0
		s.Each(func(*Entry) { n++ })
		if n != s.Len() {
			t.Fatalf("Each gives %d entries, Len says %d", n, s.Len())
		}
	})
}

func TestSet_OneHourIsInclusive(t *testing.T) {
	s := NewSet(hour, 0)
	s.Add(Entry{ID: [2]uint64{1, 2}, TimeMs: 5 * hour, Content: 7})
	for _, tt := range []struct {
		e    Entry
		want Verdict
	}{
		{Entry{ID: [2]uint64{1, 2}, TimeMs: 6 * hour, Content: 7}, Repeat},
		{Entry{ID: [2]uint64{1, 2}, TimeMs: 4 * hour, Content: 7}, Repeat},
		{Entry{ID: [2]uint64{1, 2}, TimeMs: 5 * hour, Content: 8}, Conflict},
		{Entry{ID: [2]uint64{1, 2}, TimeMs: 6*hour + 1, Content: 7}, New},
		{Entry{ID: [2]uint64{1, 2}, TimeMs: 4*hour - 1, Content: 7}, New},
		{Entry{ID: [2]uint64{1, 3}, TimeMs: 5 * hour, Content: 7}, New},
	} {
		if got := s.Find(&tt.e); got != tt.want {
			t.Errorf("Find(%+v) gives %d, want %d", tt.e, got, tt.want)
		}
	}
}

// A view stays what the set was, whatever the set becomes: entries added,
// forgotten, and a table that grew.
func TestView_StaysWhatItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type kept struct {
			view View
			want map[Entry]bool
		}
		s := NewSet(hour, 0)
		var views []kept
		step := rapid.SampledFrom([]int{1, 40, 700}).Draw(t, "step")
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				k := kept{s.View(), map[Entry]bool{}}
				s.Each(func(e *Entry) { k.want[*e] = true })
				views = append(views, k)
			case 1:
				s.ForgetAll(int64(i-rapid.IntRange(0, 9).Draw(t, "back")) * hour)
			default:
				for n := range step {
					s.Add(Entry{ID: [2]uint64{uint64(n) * 0x9e3779b97f4a7c15, uint64(i)}, TimeMs: int64(i) * hour})
				}
			}
		}
		for _, k := range views {
			n := 0
			k.view.Each(func(e *Entry) {
				n++
				if !k.want[*e] {
					t.Fatalf("the view shows %+v, which came later", *e)
				}
			})
			if n != len(k.want) || n != k.view.Len() {
				t.Fatalf("the view shows %d entries and says %d, want %d", n, k.view.Len(), len(k.want))
			}
		}
	})
}

// A set that has forgotten everything gives its memory back.
func TestSet_Shrinks(t *testing.T) {
	s := NewSet(hour, 0)
	for i := range uint64(100_000) {
		s.Add(Entry{ID: [2]uint64{i * 0x9e3779b97f4a7c15, i}, TimeMs: int64(i)})
	}
	if bytes := s.Bytes() / s.Len(); bytes > 80 {
		t.Errorf("%d bytes an entry, want at most 80", bytes)
	}
	s.Forget(99_990)
	if s.Len() != 10 || s.Bytes() > 4096 {
		t.Errorf("%d entries in %d bytes, want 10 in at most 4096", s.Len(), s.Bytes())
	}
}

// A large set against a map, while entries of any age are added and forgotten a
// part at a time; some identities have thousands of entries.
func TestSet_AgreesWithAMap(t *testing.T) {
	type name struct {
		id [2]uint64
		ms int64
	}
	r := rand.New(rand.NewPCG(1, 1))
	s, want, bound := NewSet(hour, 0), map[name]uint64{}, int64(0)
	most := 0
	for i := range int64(300_000) {
		e := Entry{ID: [2]uint64{r.Uint64(), 1}, TimeMs: i*hour/1000 - r.Int64N(5)*hour, Content: r.Uint64()}
		if i%100 == 0 {
			e.ID[0], e.TimeMs = 7<<60, i*2*hour
		}
		s.Add(e)
		want[name{e.ID, e.TimeMs}] = e.Content
		if i%500 == 0 {
			bound = max(0, i-100_000) * hour / 1000
			s.Forget(bound)
		}
		if i%100_000 == 99_999 {
			n := 0
			s.Each(func(*Entry) { n++ })
			if n != s.Len() {
				t.Fatalf("Each gives %d entries, Len says %d", n, s.Len())
			}
			for w, content := range want {
				if got := s.Find(&Entry{w.id, w.ms, content}); w.ms >= bound && got != Repeat {
					t.Fatalf("after %d entries, one from %d on is gone: verdict %d of %+v", i, bound, got, w)
				}
			}
			if got := s.Find(&Entry{[2]uint64{r.Uint64(), 2}, bound, 0}); got != New {
				t.Fatalf("verdict %d of what never was", got)
			}
		}
		most = max(most, s.Len())
	}
	if s.Len() == len(want) || most == len(want) {
		t.Error("nothing was forgotten")
	}
	s.ForgetAll(math.MaxInt64)
	if s.Len() != 0 || s.Bytes() > 4096 {
		t.Errorf("%d entries in %d bytes are left of nothing", s.Len(), s.Bytes())
	}
}

func BenchmarkSet(b *testing.B) {
	s := NewSet(hour, 0)
	for i := range uint64(1 << 20) {
		s.Add(Entry{ID: [2]uint64{i * 0x9e3779b97f4a7c15, i}, TimeMs: int64(i)})
	}
	b.ReportAllocs()
	i := uint64(0)
	for b.Loop() {
		i += 7919
		e := Entry{ID: [2]uint64{i * 0x9e3779b97f4a7c15, i}, TimeMs: int64(i)}
		s.Find(&e)
	}
}
