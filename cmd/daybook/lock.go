package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// folderLock keeps a second dev or broker out of a data folder. The kernel lets go of it
// when the process ends, however it ends: a file that a crash leaves behind
// locks nobody out.
type folderLock struct{ f *os.File }

// lockFolder takes the folder, or tells who has it.
func lockFolder(data string) (*folderLock, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	path := filepath.Join(data, "dev.lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		owner, _ := os.ReadFile(path) // only for the message
		_ = f.Close()
		return nil, fmt.Errorf("lock data folder %s: a daybook dev or broker with process id %s already runs on it; stop that one, or choose another folder with --data",
			data, strings.TrimSpace(string(owner)))
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock data folder %s: %w", data, err)
	}
	return &folderLock{f}, nil
}

// Close lets the folder go. The file stays: removing it would let two others
// each lock a file of their own.
func (l *folderLock) Close() error { return l.f.Close() }
