package clickhouse

import (
	"sync"
	"time"
)

// flows says how many flushes may come together: those that are being written,
// and the partitions that flush all the time.
type flows struct {
	mu     sync.Mutex
	newest time.Time      // when a flush began last
	of     map[int32]flow // by partition: those that flush, and those of late
}

// flow is what is known of a partition's flushes.
type flow struct {
	begun   time.Time
	writing int // flushes under way
}

func (f *flows) begin(partition int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = map[int32]flow{}
	}
	f.newest = time.Now()
	f.of[partition] = flow{begun: f.newest, writing: f.of[partition].writing + 1}
}

func (f *flows) end(partition int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.of[partition]
	p.writing--
	f.of[partition] = p
}

// company is how many flushes a block waits for, its own among them. The partitions
// of a worker flush at the same instants: where one has just begun, those of late
// that have not are about to. A large block, which is of a backlog, waits for all
// of them, in step or not.
func (f *flows) company(bytes int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	writing, due, known := 0, 0, 0
	for partition, p := range f.of {
		since := time.Since(p.begun)
		if p.writing == 0 && since >= lately {
			delete(f.of, partition)
			continue
		}
		known++
		writing += p.writing
		if p.writing == 0 && since >= gather {
			due++
		}
	}
	switch {
	case bytes >= backlogBytes:
		return max(writing, known)
	case time.Since(f.newest) < gather:
		return writing + due
	}
	return writing
}
