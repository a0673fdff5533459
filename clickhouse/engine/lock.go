package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrPathInUse says that another process has the engine's folder.
var ErrPathInUse = errors.New("engine folder is in use by another process")

// lockPoll is how often a taken folder is tried again.
const lockPoll = 20 * time.Millisecond

// lockPath takes the folder for this process, waiting up to timeout for one that
// is just ending. The engine has a lock of its own, but its refusal is only a
// line on standard error. The kernel drops the lock with the process.
func lockPath(ctx context.Context, path string, timeout time.Duration) (unlock func(), err error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make engine folder %s: %w", path, err)
	}
	f, err := os.OpenFile(filepath.Join(path, "engine.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock engine folder %s: %w", path, err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ticker := time.NewTicker(lockPoll)
	defer ticker.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // closing unlocks
		}
		select {
		case <-ctx.Done():
			_ = f.Close() // nothing was written
			return nil, fmt.Errorf("%w: %s; stop the other one, or choose another data folder", ErrPathInUse, path)
		case <-ticker.C:
		}
	}
}
