package pipeline

// A state of millions of users lies all over gigabytes, and an event looks at
// places that none before it has looked at: with pages of 4 KB each of them is
// missed by the processor's own tables of pages, too. So the heap that a large
// state has grown through is to lie in pages of 2 MB.
const (
	hugeFrom    = 1 << 20 >> pageUserBits // pages of a state: a million users, 140 MB; a smaller one would take whole huge pages for little
	arenaBytes  = 64 << 20                // Go's heap is laid out by these (runtime, heapArenaBytes on 64 bits) …
	growthBytes = 4 << 20                 // … and grows by these: what is said of memory before it was mapped is lost
	stepBytes   = 2 * growthBytes         // at once: a millisecond
)

// hugeHeap is how far the heap is advised.
type hugeHeap struct{ to uintptr }

// reach gives what is to be advised next, on the way to where a new page of users
// lies; nothing if the way is done. What else the state grows by lies between its
// pages.
func (h *hugeHeap) reach(at uintptr) (from, bytes uintptr) {
	if h.to == 0 {
		h.to = at &^ (arenaBytes - 1)
	}
	from = h.to
	if end := (at | (growthBytes - 1)) + 1; end > from {
		bytes = min(end-from, stepBytes)
		h.to += bytes
	}
	return from, bytes
}
