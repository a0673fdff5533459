package sessionize

import "sort"

// Window is a span of event time, both ends inclusive, in milliseconds.
type Window struct{ From, To int64 }

// Within says whether an instant lies in one of the windows, which must be as
// Cover gives them: apart, in the order of time.
func Within(ws []Window, ms int64) bool {
	i := sort.Search(len(ws), func(i int) bool { return ws[i].To >= ms })
	return i < len(ws) && ws[i].From <= ms
}

// Covered says whether one of the windows holds another.
func Covered(ws []Window, w Window) bool {
	i := sort.Search(len(ws), func(i int) bool { return ws[i].To >= w.To })
	return i < len(ws) && ws[i].From <= w.From
}

// Cover makes the windows of one user fit for re-entry (ARCHITECTURE.md
// section 4.5): windows within the largest gap of each other become one; every
// segment that touches a window lies in it; and the hole between a window and
// the first segment of a key is read too if it is at most the largest gap.
// The result is in the order of time; ws is reused.
func Cover(ws []Window, keys []*Key, maxGapMs int64) []Window {
	for changed := true; changed; {
		sort.Slice(ws, func(i, j int) bool { return ws[i].From < ws[j].From })
		merged := ws[:0]
		for _, w := range ws {
			if n := len(merged); n > 0 && w.From-merged[n-1].To <= maxGapMs {
				merged[n-1].To = max(merged[n-1].To, w.To)
				continue
			}
			merged = append(merged, w)
		}
		ws, changed = merged, false
		for i := range ws {
			for _, k := range keys {
				changed = cover(&ws[i], k, maxGapMs) || changed
			}
		}
	}
	return ws
}

// cover extends one window by what one key holds; it reports a change.
func cover(w *Window, k *Key, maxGapMs int64) bool {
	before := *w
	segs := k.Segs()
	i := sort.Search(len(segs), func(i int) bool { return segs[i].Last() >= w.From })
	for ; i < len(segs); i++ {
		s := &segs[i]
		if i == 0 && s.First > w.To && s.First-w.To <= maxGapMs {
			w.To = s.First
		}
		if s.First > w.To {
			break
		}
		w.From, w.To = min(w.From, s.First), max(w.To, s.Last())
	}
	return *w != before
}
