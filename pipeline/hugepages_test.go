package pipeline

import (
	"bytes"
	"testing"
	"unsafe"
)

// What is advised has no gap, nothing twice, and never more at once than a batch may wait for.
func TestHugeHeap_CoversTheHeapStepByStep(t *testing.T) {
	const start = 0xc000000000
	var h hugeHeap
	to := uintptr(start)
	for _, at := range []uintptr{start + 200<<20, start + 1<<20, start + 200<<20 + 5, start + 210<<20, start + 300<<20} {
		if to == start {
			to = at &^ (arenaBytes - 1)
		}
		for range 100 { // pages of users, which lie close to each other
			from, n := h.reach(at)
			if n == 0 {
				break
			}
			if from != to || n > stepBytes || n%growthBytes != 0 {
				t.Fatalf("page at %#x: got %d bytes from %#x, want at most %d from %#x", at, n, from, stepBytes, to)
			}
			to += n
		}
		if to <= at {
			t.Fatalf("page at %#x: advised up to %#x only", at, to)
		}
	}
	if want := uintptr(start + 304<<20); to != want {
		t.Errorf("advised up to %#x, want %#x", to, want)
	}
}

// Advice changes nothing that the memory holds.
func TestAdviseHuge_KeepsWhatIsThere(t *testing.T) {
	b := bytes.Repeat([]byte("daybook "), 2<<20)
	adviseHuge(uintptr(unsafe.Pointer(&b[0]))&^(growthBytes-1), 4*growthBytes)
	if !bytes.Equal(b, bytes.Repeat([]byte("daybook "), 2<<20)) {
		t.Error("memory has changed")
	}
}
