package broker

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"syscall"
	"time"
)

// Disk is how much room the log takes and has.
type Disk struct {
	UsedBytes   int64     // of the log's folder
	BudgetBytes int64     // 0: no limit
	FreeBytes   int64     // of the file system, for this user
	SizeBytes   int64     // of the file system
	Level       DiskLevel // how near it is to the end
	At          time.Time
}

// DiskLevel says how near the disk is to being full.
type DiskLevel uint8

// The levels. DiskLow is at 80 % of the budget, or below 1 GB and 5 % of free
// space; DiskFull at 95 % of the budget, or below a quarter of that space.
const (
	DiskFine DiskLevel = iota
	DiskLow
	DiskFull
)

// String names the level.
func (l DiskLevel) String() string { return [...]string{"fine", "low", "full"}[l] }

// Thresholds: a person is warned before the disk is full (issue 3, item 7).
const (
	lowPercent     = 80 // of the budget
	fullPercent    = 95
	lowFreeBytes   = 1 << 30
	lowFreePercent = 5 // of the file system
)

func levelOf(d Disk) DiskLevel {
	low := min(int64(lowFreeBytes), d.SizeBytes*lowFreePercent/100)
	switch {
	case d.BudgetBytes > 0 && d.UsedBytes*100 >= d.BudgetBytes*fullPercent, d.FreeBytes < low/4:
		return DiskFull
	case d.BudgetBytes > 0 && d.UsedBytes*100 >= d.BudgetBytes*lowPercent, d.FreeBytes < low:
		return DiskLow
	}
	return DiskFine
}

// Disk looks at the disk now.
func (b *Broker) Disk() (Disk, error) {
	used, err := folderBytes(b.cfg.Dir)
	if err != nil {
		return Disk{}, err
	}
	free, size, err := fileSystem(b.cfg.Dir)
	if err != nil {
		return Disk{}, err
	}
	d := Disk{UsedBytes: used, BudgetBytes: b.cfg.DiskBudget, FreeBytes: free, SizeBytes: size, At: time.Now()}
	d.Level = levelOf(d)
	return d, nil
}

// folderBytes adds up the files below dir as the file system stores them. Files
// that vanish meanwhile count nothing: segments are removed at any time.
func folderBytes(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		total += info.Size()
		return nil
	})
	return total, err
}

func fileSystem(dir string) (free, size int64, err error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0, 0, err
	}
	return int64(stat.Bavail) * int64(stat.Bsize), int64(stat.Blocks) * int64(stat.Bsize), nil //nolint:unconvert // the field types differ by system.
}

// watchDisk looks at the disk from time to time, keeps the log within its
// budget and warns when the level changes.
func (b *Broker) watchDisk(ctx context.Context) {
	ticker := time.NewTicker(b.cfg.CheckEvery)
	defer ticker.Stop()
	for {
		b.lookAtDisk(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// lookAtDisk makes room first, so that what is reported is what is left to do
// for a person.
// lookAtDisk makes room first, so that what is reported is what is left to do
// for a person.
func (b *Broker) lookAtDisk(ctx context.Context) {
	d, err := b.makeRoom(ctx)
	if err != nil && ctx.Err() == nil {
		b.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot keep the disk", slog.String("error", err.Error()))
	}
	if d.At.IsZero() {
		return
	}
	if d.Level != b.last.Level {
		b.report(ctx, d)
	}
	b.last = d
	b.gateFor(ctx, d.Level)
	b.cfg.OnDisk(d)
}

// makeRoom gives the disk as it is afterwards, also when making room failed.
func (b *Broker) makeRoom(ctx context.Context) (Disk, error) {
	compactErr := b.compact()
	d, err := b.Disk()
	if err != nil {
		return Disk{}, errors.Join(compactErr, err)
	}
	trimErr := b.trim(ctx, d.UsedBytes)
	d, err = b.Disk()
	return d, errors.Join(compactErr, trimErr, err)
}

func (b *Broker) report(ctx context.Context, d Disk) {
	level, text := slog.LevelInfo, "broker has room again"
	switch d.Level {
	case DiskFine:
	case DiskLow:
		level, text = slog.LevelWarn, "broker is running out of room"
	case DiskFull:
		level, text = slog.LevelError, "broker has almost no room left"
	}
	b.cfg.Logger.LogAttrs(ctx, level, text, //nolint:sloglint // three constants, chosen above.
		slog.Int64("used_bytes", d.UsedBytes), slog.Int64("budget_bytes", d.BudgetBytes), slog.Int64("free_bytes", d.FreeBytes))
}
