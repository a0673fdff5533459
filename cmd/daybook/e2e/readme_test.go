package e2e

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// readmeBlocks gives the fenced blocks of a language in a section of README.
func readmeBlocks(t *testing.T, section, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n## "+section+"\n")
	body, _, _ := strings.Cut(rest, "\n## ")
	var blocks []string
	for _, match := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(body, -1) {
		blocks = append(blocks, match[1])
	}
	if !found || len(blocks) == 0 {
		t.Fatalf("README has no %s block in section %q", language, section)
	}
	return blocks
}

// A newcomer types what the README says, so each of its commands is run as it
// stands, on the files that it speaks of.
func TestREADME_CommandsWork(t *testing.T) {
	dir := t.TempDir()
	d := startDev(t, filepath.Join(dir, ".daybook"))
	d.run(3, "replay", sampleLog, "--network", "sample", "--wait") // as make run does
	path, _ := binary()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, filepath.Join(dir, "bin", "daybook")); err != nil {
		t.Fatal(err)
	}
	project, err := filepath.Abs(top)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(project, "clickhouse"), filepath.Join(dir, "clickhouse")); err != nil { // the cookbook
		t.Fatal(err)
	}
	event := strings.ReplaceAll(readmeBlocks(t, "Replay your own log", "json")[0], "\n", " ") + "\n"
	for name, text := range map[string][]byte{
		"access.log.gz": firstLines(t, sampleLog, 100),
		"clicks.csv":    []byte("ts,customer_id,event,page\n1778580000,ann,view,home\n1778580060,ann,buy,cart\n"),
		"events.ndjson": []byte(event),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	shell := func(block string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", block)
		cmd.Dir, cmd.Env = dir, environment()
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			t.Fatalf("README: %v\n%s\n%s\n%s", err, block, &stdout, &stderr)
		}
		return stdout.String()
	}
	for _, block := range readmeBlocks(t, "Replay your own log", "sh") {
		if out := shell(block); strings.Count(out, "rejected 0") != 3 {
			t.Errorf("README's three replays answered:\n%s", out)
		}
	}
	if n := d.number("SELECT count() FROM daybook.events WHERE network_id = 'shop'"); n != 103 {
		t.Errorf("README's replays stored %d events, want 100 + 2 + 1", n)
	}
	blocks := readmeBlocks(t, "Ask it something", "sh")
	if out := shell(blocks[0]); !strings.Contains(out, "2015-05-17") || !strings.Contains(out, "unmappable") {
		t.Errorf("README's SQL answered:\n%s", out)
	}
	if out := shell(blocks[1]); !strings.Contains(out, "mobile") || !strings.Contains(out, "median_s") {
		t.Errorf("README's recipe answered:\n%s", out)
	}
	if out := shell(blocks[2]); !strings.Contains(out, `"complete_through"`) || !strings.Contains(out, "2015-05-20") || strings.Contains(out, "problem") {
		t.Errorf("README's API calls answered:\n%s", out)
	}
	d.stop()
}

// firstLines gives the first n lines of a gzip file, as gzip.
func firstLines(t *testing.T, path string, n int) []byte {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reader, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	head, _ := cutLines(text, n)
	var out bytes.Buffer
	writer := gzip.NewWriter(&out)
	if _, err := writer.Write(head); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
