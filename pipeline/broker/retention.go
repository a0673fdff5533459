package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kfake enforces retention.bytes and retention.ms, but by partition and not by
// a budget for all, down to the last batch (after a crash the partition's
// offsets would then begin at 0 again), whether anyone has read the records or
// not. So retention is done here, by whole segments, which is what comes back on
// the disk: the oldest first, never the one that is being written, never what
// the group has not committed. If that does not suffice, the events are closed
// for writing until it does; producers see a storage error, which they retry.

// Bounds of a segment. Retention removes whole segments, so they must be small
// against the budget; each costs two files.
const (
	maxSegmentBytes      = 64 << 20
	minSegmentBytes      = 256 << 10
	segmentsPerPartition = 16 // of a partition's share of the budget
)

func (b *Broker) segmentBytes() int64 {
	if b.cfg.DiskBudget <= 0 {
		return maxSegmentBytes
	}
	return min(max(b.cfg.DiskBudget/int64(b.cfg.Partitions)/segmentsPerPartition, minSegmentBytes), maxSegmentBytes)
}

// trimPercent is the share of the budget above which read records go. It lies
// below lowPercent, so that a log which is only full of history warns nobody.
const trimPercent = 70

// segment is one file of the log of a topic's partition.
type segment struct {
	partition int32
	base      int64 // offset of its first record
	next      int64 // base of the next segment; -1 for the one that is being written
	bytes     int64
	written   time.Time
}

// segments lists the files of a topic, the oldest first.
func segments(dir, topic string) ([]segment, error) {
	root := filepath.Join(dir, "partitions")
	folders, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []segment
	for _, folder := range folders {
		number, ok := strings.CutPrefix(folder.Name(), url.PathEscape(topic)+"-")
		partition, err := strconv.ParseInt(number, 10, 32)
		if !ok || err != nil {
			continue
		}
		files, err := os.ReadDir(filepath.Join(root, folder.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, segmentsOf(int32(partition), files)...)
	}
	slices.SortFunc(all, func(a, b segment) int {
		return cmp.Or(a.written.Compare(b.written), cmp.Compare(a.partition, b.partition), cmp.Compare(a.base, b.base))
	})
	return all, nil
}

func segmentsOf(partition int32, files []os.DirEntry) []segment {
	var own []segment
	for _, file := range files {
		name, ok := strings.CutSuffix(file.Name(), ".dat")
		base, err := strconv.ParseInt(name, 10, 64)
		if !ok || err != nil {
			continue
		}
		info, err := file.Info()
		if err != nil {
			continue // removed meanwhile
		}
		own = append(own, segment{partition: partition, base: base, next: -1, bytes: info.Size(), written: info.ModTime()})
	}
	slices.SortFunc(own, func(a, b segment) int { return cmp.Compare(a.base, b.base) })
	for i := range len(own) - 1 {
		own[i].next = own[i+1].base
	}
	return own
}

// planTrim says up to which offset each partition may go, so that used comes
// down to target, and what is older than before goes too. No partition passes
// its committed offset; one that has none is left alone.
func planTrim(all []segment, committed map[int32]int64, used, target int64, before time.Time) (to map[int32]int64, freed int64) {
	to = make(map[int32]int64)
	blocked := make(map[int32]bool) // by a segment that must stay: later ones must too
	for _, s := range all {
		if used-freed <= target && !s.written.Before(before) {
			continue
		}
		floor, known := committed[s.partition]
		if blocked[s.partition] || !known || s.next < 0 || s.next > floor {
			blocked[s.partition] = true
			continue
		}
		to[s.partition] = s.next
		freed += s.bytes
	}
	return to, freed
}

// trim removes read records above trimPercent of the budget, or older than
// Config.Retention.
func (b *Broker) trim(ctx context.Context, used int64) error {
	target := int64(-1)
	if b.cfg.DiskBudget > 0 {
		target = b.cfg.DiskBudget * trimPercent / 100
	}
	var before time.Time
	if b.cfg.Retention > 0 {
		before = time.Now().Add(-b.cfg.Retention)
	}
	if (target < 0 || used <= target) && before.IsZero() {
		return nil
	}
	if target < 0 {
		target = used
	}
	all, err := segments(b.cfg.Dir, b.cfg.Topic)
	if err != nil {
		return fmt.Errorf("list segments: %w", err)
	}
	a, err := b.admin(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	committed, err := a.committed(b.cfg.Group, b.cfg.Topic, len(b.cluster.PartitionInfos(b.cfg.Topic)))
	if err != nil {
		return err
	}
	to, freed := planTrim(all, committed, used, target, before)
	for partition, offset := range to {
		if err := a.deleteRecords(b.cfg.Topic, partition, offset); err != nil {
			return err
		}
	}
	if len(to) > 0 {
		b.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "broker removed old records", slog.Int("partitions", len(to)), slog.Int64("freed_bytes", freed))
	}
	return nil
}

// compactGrowth is how much the settings may grow before the compacted topics are
// compacted again, besides doubling. kfake does it every hour, whatever they are.
const compactGrowth = 32 << 20

// compact compacts when the settings have grown. The broker serves nobody meanwhile
// (1.7 s for 108 MB), and kfake reads and writes all compacted topics, checkpoints
// too. Those are not waited for: they are cut from the left (source.DropCheckpoints),
// which leaves nothing behind that compaction would take, and a live log doubles them
// within minutes.
func (b *Broker) compact() error {
	bytes, err := b.settingsBytes()
	if err != nil {
		return err
	}
	if b.compacted < 0 { // the first look: nobody waits for a compaction at the start
		b.compacted = bytes
	}
	if bytes < 2*b.compacted+compactGrowth {
		return nil
	}
	b.cluster.Compact()
	b.compacted, err = b.settingsBytes()
	return err
}

// settingsBytes is the size of all topics that nobody cuts.
func (b *Broker) settingsBytes() (total int64, err error) {
	root := filepath.Join(b.cfg.Dir, "partitions")
	folders, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	for _, folder := range folders {
		topic := folder.Name()[:max(0, strings.LastIndexByte(folder.Name(), '-'))]
		if topic == url.PathEscape(b.cfg.Topic) || topic == url.PathEscape(b.cfg.Checkpoints) {
			continue
		}
		bytes, folderErr := folderBytes(filepath.Join(root, folder.Name()))
		total, err = total+bytes, errors.Join(err, folderErr)
	}
	return total, err
}
