package broker

// Bounds of a segment. Retention removes whole segments, so they must be small
// against the budget; each costs two files.
const (
	maxSegmentBytes = 64 << 20
	minSegmentBytes = 1 << 20
)

// segmentBytes makes a partition's share of the budget about eight segments.
func (b *Broker) segmentBytes() int64 {
	if b.cfg.DiskBudget <= 0 {
		return maxSegmentBytes
	}
	return min(max(b.cfg.DiskBudget/int64(b.cfg.Partitions)/8, minSegmentBytes), maxSegmentBytes)
}
