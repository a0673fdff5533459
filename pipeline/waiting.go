package pipeline

import (
	"math"
	"slices"

	"daybook/schemas"
)

// waiting are the keys of a network with rows to be written: those that the
// records since the last flush touched, and those whose rows are held back
// (rule Rewrite), by when the next one is due. Where there are millions of the
// latter, a flush must not look at each.
//
// A key is in the list or bucket that key.list names. It may be in others, too,
// which it was in before: it is passed over there.
type waiting struct {
	fresh   []*key
	buckets []*bucket
	spare   []*key // memory for fresh
	number  uint16 // of the newest bucket
}

// bucket is a list of keys whose rows are held back. None is due before the wall
// clock passes due or a chain that ends before leave is to leave.
type bucket struct {
	number   uint16
	captures uint32 // begun when it was made: keys that were touched before are not in a later bucket unless it was their rows
	due      int64  // wall clock, ms
	leave    int64  // event time, ms
	keys     []*key
}

// Lists of keys that are no buckets.
const (
	listNone = iota
	listFresh
	listBuckets // numbers of buckets are greater
)

// wheel is how many buckets share the time for which rows are held back.
const wheel = 16

// touch has the next flush look at a key.
func (s *state) touch(k *key) {
	if !k.touched {
		k.touched, k.touchAt = true, s.captures
		s.touched++
	}
	if k.list != listFresh {
		k.list = listFresh
		w := &k.net().waiting
		w.fresh = append(w.fresh, k)
	}
}

// allTouched yields the touched keys.
func (s *state) allTouched(yield func(*key) bool) {
	for _, n := range s.order {
		lists := [][]*key{n.waiting.fresh}
		numbers := []uint16{listFresh}
		for _, b := range n.waiting.buckets {
			lists, numbers = append(lists, b.keys), append(numbers, b.number)
		}
		for i, keys := range lists {
			for _, k := range keys {
				if k.touched && k.list == numbers[i] && !yield(k) {
					return
				}
			}
		}
	}
}

// publish writes what is due of the keys of a network. With force, and of keys
// that a checkpoint waits for, it writes what is held back too, as far as the
// budget of keys goes.
func (s *state) publish(f *schemas.Flush, n *network, force bool, budget *int) {
	w := &n.waiting
	fresh := w.fresh
	w.fresh = w.spare[:0]
	for i, k := range fresh {
		if i%prefetchRun == 0 {
			s.prefetchKeys(fresh[i:min(i+prefetchRun, len(fresh))])
		}
		if k.list == listFresh {
			s.publishKey(f, k, force, budget)
		}
	}
	clear(fresh)
	if w.spare = fresh[:0]; cap(fresh) > maxReuse {
		w.spare = nil
	}
	stays := n.wanted - int64(n.control.GapMs)
	buckets := w.buckets
	w.buckets = nil
	for _, b := range buckets {
		due := b.due <= s.now || b.leave < stays
		for len(b.keys) > 0 && (due || *budget > 0 && (force || s.owed > 0 && b.captures != s.captures)) {
			if len(b.keys)%prefetchRun == 0 {
				s.prefetchKeys(b.keys[len(b.keys)-prefetchRun:])
			}
			k := b.keys[len(b.keys)-1]
			b.keys = b.keys[:len(b.keys)-1]
			if k.list == b.number {
				s.publishKey(f, k, force, budget)
			}
		}
		if len(b.keys) > 0 {
			w.buckets = append(w.buckets, b)
		}
	}
}

// publishKey writes what is due of a touched key.
func (s *state) publishKey(f *schemas.Flush, k *key, force bool, budget *int) {
	all := (force || s.owes(k)) && *budget > 0
	if !all && k.held(s.now-s.rules.Rewrite) || s.flushKey(f, k, s.now, all) {
		s.wait(k)
		return
	}
	if all {
		*budget--
	}
	s.clear(k)
}

// wait puts a key whose rows are held back into the bucket in which it is looked at
// again.
func (s *state) wait(k *key) {
	due, leave := int64(math.MaxInt64), int64(math.MaxInt64)
	segs := k.Segs()
	ps := k.sessions()
	for i := range ps {
		p := &ps[i]
		if !p.dirty() {
			continue
		}
		due = min(due, p.written()+s.rules.Rewrite)
		if len(segs) > 1 {
			leave = min(leave, p.start)
		} else {
			leave = min(leave, max(p.start, segs[0].Last()))
		}
	}
	b := k.net().waiting.bucket(due-due%max(1, s.rules.Rewrite/wheel), s.captures)
	b.leave = min(b.leave, leave)
	b.keys = append(b.keys, k)
	k.list = b.number
}

// bucket gives the bucket of what is due from an instant on.
func (w *waiting) bucket(due int64, captures uint32) *bucket {
	for _, b := range slices.Backward(w.buckets) {
		if b.due == due && b.captures == captures {
			return b
		}
	}
	if w.number = max(w.number+1, listBuckets); w.number == math.MaxUint16 {
		w.number = listBuckets // those of that number have gone long since
	}
	b := &bucket{number: w.number, captures: captures, due: due, leave: math.MaxInt64}
	w.buckets = append(w.buckets, b)
	return b
}
