package apache_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"daybook/pipeline/broker/apache"
)

// envOrphan makes this test binary start a node in the folder that it names,
// and die.
const envOrphan = "DAYBOOK_TEST_ORPHAN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envOrphan); dir != "" {
		if _, err := apache.Start(context.Background(), apache.Options{Dir: dir}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	os.Exit(m.Run())
}

// nodesIn counts the processes that run on a folder.
func nodesIn(t *testing.T, dir string) (count int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(all) == 0 {
		t.Fatalf("list processes: %d, %v", len(all), err)
	}
	for _, path := range all {
		if text, err := os.ReadFile(path); err == nil && bytes.Contains(text, []byte(dir+"/node")) {
			count++
		}
	}
	return count
}

// No node outlives who started it, even if that had no time to end anything.
func TestCluster_DiesWithItsParent(t *testing.T) {
	if os.Getenv("DAYBOOK_TEST_KAFKA") == "" {
		t.Skip("DAYBOOK_TEST_KAFKA is not set: make test-kafka")
	}
	dir := filepath.Join(t.TempDir(), "orphan")
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), envOrphan+"="+dir)
	out, err := parent.CombinedOutput()
	if err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the parent was to be killed: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "node1", "kafka.log")); err != nil {
		t.Fatalf("the node never ran: %v", err)
	}
	// The kernel's signal is on its way; nobody but the kernel waits for the node.
	limit, again := time.After(10*time.Second), time.NewTicker(10*time.Millisecond)
	defer again.Stop()
	for nodesIn(t, dir) > 0 {
		select {
		case <-again.C:
		case <-limit:
			t.Fatal("the node outlived its parent by 10 s")
		}
	}
}
