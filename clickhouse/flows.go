package clickhouse

import (
	"sync"
	"time"
)

// flows says how many flushes may come together: those that are being written,
// and the partitions that flush all the time.
type flows struct {
	mu      sync.Mutex
	writing int
	last    map[int32]time.Time // when a partition's flush began
}

func (f *flows) begin(partition int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writing++
	if f.last == nil {
		f.last = map[int32]time.Time{}
	}
	f.last[partition] = time.Now()
}

func (f *flows) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writing--
}

// company is how many flushes a block waits for, its own among them.
func (f *flows) company(bytes int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if bytes < backlogBytes {
		return f.writing
	}
	for partition, begun := range f.last {
		if time.Since(begun) > lately {
			delete(f.last, partition)
		}
	}
	return max(f.writing, len(f.last))
}
