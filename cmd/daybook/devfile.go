package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// devFile is DIR/dev.json: where the parts of a running `daybook dev` listen
// and how to get in (INTERFACES.md section 7). It exists only while all parts
// are ready, and only its owner can read it.
type devFile struct {
	API        string   `json:"api"`
	ClickHouse string   `json:"clickhouse"`
	Metrics    string   `json:"metrics"`
	Kafka      []string `json:"kafka"`
	User       string   `json:"user"`
	Password   string   `json:"password"`
	AdminKey   string   `json:"admin_key"`
	Page       string   `json:"page"`
	Database   string   `json:"database"`
	PID        int      `json:"pid"`
}

const devFileName = "dev.json"

func devFilePath(data string) string { return filepath.Join(data, devFileName) }

// readDevFile gives nil if there is none, or if the process that wrote it is
// gone: its ports may be anybody's now.
func readDevFile(data string) (*devFile, error) {
	text, err := os.ReadFile(devFilePath(data))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no file is an answer: no dev runs here.
	}
	if err != nil {
		return nil, fmt.Errorf("read dev.json: %w", err)
	}
	var d devFile
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("read dev.json %s: %w", devFilePath(data), err)
	}
	if d.PID > 0 && errors.Is(syscall.Kill(d.PID, 0), syscall.ESRCH) {
		return nil, nil //nolint:nilnil // left behind by a process that was killed.
	}
	return &d, nil
}

// write makes the file appear whole: a reader never sees half of it.
func (d *devFile) write(data string) error {
	text, err := json.Marshal(d, jsontext.WithIndent("  "))
	if err != nil {
		return fmt.Errorf("write dev.json: %w", err)
	}
	return writeOwn(devFilePath(data), append(text, '\n'))
}

func removeDevFile(data string) error {
	if err := os.Remove(devFilePath(data)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove dev.json: %w", err)
	}
	return nil
}

// writeOwn writes a file that only its owner can read, whole or not at all.
func writeOwn(path string, text []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // made with mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = tmp.Write(text)
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name()) // the first error is the one to tell
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
