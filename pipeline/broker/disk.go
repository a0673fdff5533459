package broker

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
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

// The levels. DiskLow is at 80 % of the budget or below twice the reserve of
// free space; DiskFull at 95 % or below the reserve (1 GB or 5 %).
const (
	DiskFine DiskLevel = iota
	DiskLow
	DiskFull
)

// String names the level.
func (l DiskLevel) String() string { return [...]string{"fine", "low", "full"}[l] }

// Thresholds, from the requirement of issue 3 (warn before the disk is full).
const (
	lowPercent      = 80
	fullPercent     = 95
	reserveBytes    = 1 << 30
	reservePercent  = 5
	reserveFraction = 100
)

func levelOf(d Disk) DiskLevel {
	reserve := min(int64(reserveBytes), d.SizeBytes*reservePercent/reserveFraction)
	switch {
	case d.BudgetBytes > 0 && d.UsedBytes*100 >= d.BudgetBytes*fullPercent, d.FreeBytes < reserve:
		return DiskFull
	case d.BudgetBytes > 0 && d.UsedBytes*100 >= d.BudgetBytes*lowPercent, d.FreeBytes < 2*reserve:
		return DiskLow
	}
	return DiskFine
}

// diskState is the newest look at the disk.
type diskState struct {
	mu   sync.Mutex
	last Disk
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
	return int64(stat.Bavail) * stat.Bsize, int64(stat.Blocks) * stat.Bsize, nil //nolint:unconvert // the field types differ by system.
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

func (b *Broker) lookAtDisk(ctx context.Context) {
	d, err := b.Disk()
	if err != nil {
		b.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot look at the disk", slog.String("error", err.Error()))
		return
	}
	b.disk.mu.Lock()
	before := b.disk.last.Level
	b.disk.last = d
	b.disk.mu.Unlock()
	if d.Level != before {
		b.report(ctx, d)
	}
	b.cfg.OnDisk(d)
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
