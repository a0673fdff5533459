package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// ErrNoLibrary says that the engine's shared library is not installed, or that
// there is none for this platform. Its text names the remedy.
var ErrNoLibrary = errors.New("engine library not found")

// libraryPackage is the npm package that carries the library for a platform,
// or "" if none is published.
func libraryPackage(goos, goarch string) string {
	switch goos + "/" + goarch {
	case "linux/amd64":
		return "lib-linux-x64-gnu"
	case "linux/arm64":
		return "lib-linux-arm64-gnu"
	case "darwin/arm64":
		return "lib-darwin-arm64"
	case "darwin/amd64":
		return "lib-darwin-x64"
	default:
		return ""
	}
}

// FindLibrary gives the absolute path of libchdb: the caller's own choice if
// there is one, else the installed npm package beside the executable
// (../clickhouse/engine/node_modules), else the one found by walking up from
// the working directory. The error wraps ErrNoLibrary and names the remedy.
func FindLibrary(choice string) (string, error) {
	if choice != "" {
		path, err := filepath.Abs(choice)
		if err != nil {
			return "", fmt.Errorf("find engine library %s: %w", choice, err)
		}
		if !isFile(path) {
			return "", fmt.Errorf("%w: %s is not a file; correct the setting, or leave it empty to use the installed one", ErrNoLibrary, path)
		}
		return path, nil
	}
	pack := libraryPackage(runtime.GOOS, runtime.GOARCH)
	if pack == "" {
		return "", fmt.Errorf("%w: no embedded ClickHouse exists for %s/%s; use a ClickHouse server and set DAYBOOK_CLICKHOUSE_DSN",
			ErrNoLibrary, runtime.GOOS, runtime.GOARCH)
	}
	below := filepath.Join("clickhouse", "engine", "node_modules", "@chdb", pack, "libchdb.so")
	for _, dir := range libraryRoots() {
		if path := filepath.Join(dir, below); isFile(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: @chdb/%s is not installed; run `make engine` (or `npm ci --ignore-scripts` in clickhouse/engine)", ErrNoLibrary, pack)
}

// libraryRoots lists the folders that may hold the project tree, nearest first.
func libraryRoots() []string {
	var roots []string
	if exe, err := os.Executable(); err == nil {
		if target, err := filepath.EvalSymlinks(exe); err == nil {
			exe = target
		}
		roots = append(roots, filepath.Dir(filepath.Dir(exe)))
	}
	dir, err := os.Getwd()
	if err != nil {
		return roots
	}
	for {
		roots = append(roots, dir)
		up := filepath.Dir(dir)
		if up == dir {
			return roots
		}
		dir = up
	}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
