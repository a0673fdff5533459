package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindLibrary_WalksUpFromTheWorkingDirectory(t *testing.T) {
	pack := libraryPackage("linux", "amd64")
	root := t.TempDir()
	want := filepath.Join(root, "clickhouse", "engine", "node_modules", "@chdb", pack, "libchdb.so")
	deep := filepath.Join(root, "a", "b")
	for _, dir := range []string{filepath.Dir(want), deep} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(deep)
	if got, err := FindLibrary(""); !errors.Is(err, ErrNoLibrary) || !strings.Contains(err.Error(), "make engine") {
		t.Skipf("a library is installed beside the test binary: %s %v", got, err)
	}
	if err := os.WriteFile(want, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := FindLibrary("")
	if err != nil {
		t.Fatal(err)
	}
	if target, _ := filepath.EvalSymlinks(got); target != want && got != want { // temporary folders may be links
		t.Errorf("found %s, want %s", got, want)
	}
	if got, err := FindLibrary(want); err != nil || got != want {
		t.Errorf("chosen: %s, %v", got, err)
	}
}

func TestLibraryPackage_CoversWhatIsPublished(t *testing.T) {
	for platform, want := range map[string]string{
		"linux/amd64": "lib-linux-x64-gnu", "linux/arm64": "lib-linux-arm64-gnu", "darwin/arm64": "lib-darwin-arm64", "darwin/amd64": "lib-darwin-x64",
		"windows/amd64": "", "linux/386": "",
	} {
		goos, goarch, _ := strings.Cut(platform, "/")
		if got := libraryPackage(goos, goarch); got != want {
			t.Errorf("%s: %q", platform, got)
		}
	}
}
