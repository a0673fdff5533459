package dedupe

import "testing"

// Forgetting costs a pass over the table only when the entries have grown by
// half, and holds no more than that.
func TestSet_ForgetsInStrides(t *testing.T) {
	s := NewSet(hour, 0)
	rebuilt, most := 0, 0
	for i := range int64(100_000) {
		s.Add(Entry{ID: [2]uint64{uint64(i), 0}, TimeMs: i})
		if i%10 == 0 {
			before := s.Len()
			s.Forget(i - 1000)
			if s.Len() < before {
				rebuilt++
			}
			most = max(most, s.Len())
		}
	}
	if most > 1600 {
		t.Errorf("held %d entries where 1,000 are wanted", most)
	}
	if rebuilt > 250 {
		t.Errorf("rebuilt %d times for 100,000 entries", rebuilt)
	}
	s.ForgetAll(200_000)
	if s.Len() != 0 {
		t.Errorf("%d entries are left after all were to go", s.Len())
	}
}

// An identity may have several accepted events; a record between two of them
// is judged by both, wherever in the table they lie: the ledger counts conflicts.
func TestSet_ConflictDoesNotDependOnOrder(t *testing.T) {
	first, second := Entry{TimeMs: 0, Content: 7}, Entry{TimeMs: hour + 1, Content: 8}
	for _, order := range [][]Entry{{first, second}, {second, first}} {
		s := NewSet(hour, 0)
		for _, e := range order {
			s.Add(e)
		}
		for content, want := range map[uint64]Verdict{7: Repeat, 8: Repeat, 9: Conflict} {
			if got := s.Find(&Entry{TimeMs: hour/2 + 1, Content: content}); got != want {
				t.Errorf("content %d after %v: got %d, want %d", content, order, got, want)
			}
		}
	}
}
