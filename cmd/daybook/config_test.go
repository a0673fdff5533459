package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// envFile reads a corpus file: variables, and what an error must say.
func envFile(t *testing.T, path string) (environ []string, want string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# want "); ok {
			want = rest
		} else if line != "" {
			environ = append(environ, line)
		}
	}
	return environ, want
}

func corpus(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "env", dir, "*.env"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	return files
}

func TestReadConfig_TakesGood(t *testing.T) {
	for _, path := range corpus(t, "good") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			environ, _ := envFile(t, path)
			if _, _, err := readConfig(environ); err != nil {
				t.Error(err)
			}
		})
	}
}

// Each file holds one mistake, and the answer names it, with the remedy and
// without any secret.
func TestReadConfig_NamesMistake(t *testing.T) {
	for _, path := range corpus(t, "bad") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			environ, want := envFile(t, path)
			_, _, err := readConfig(environ)
			if err == nil {
				t.Fatal("it was taken")
			}
			if !strings.Contains(err.Error(), want) {
				t.Errorf("got %q, want it to say %q", err, want)
			}
			if strings.Contains(err.Error(), "geheim") {
				t.Errorf("the answer tells a secret: %q", err)
			}
			if strings.Count(err.Error(), "\n") != 0 {
				t.Errorf("one mistake, several complaints: %q", err)
			}
		})
	}
}

func TestReadConfig_ReportsAllAtOnce(t *testing.T) {
	_, _, err := readConfig([]string{"DAYBOOK_KAFKA_PARTITIONS=0", "DAYBOOK_LOG_LEVEL=x", "DAYBOOK_NOPE=1", "DAYBOOK_LATENESS=-1h", "DAYBOOK_FLUSH_INTERVAL=soon"})
	for _, name := range []string{"KAFKA_PARTITIONS", "LOG_LEVEL", "NOPE", "LATENESS", "FLUSH_INTERVAL"} {
		if err == nil || !strings.Contains(err.Error(), "DAYBOOK_"+name+":") {
			t.Errorf("%s is not reported: %v", name, err)
		}
	}
	if err != nil && strings.Count(err.Error(), "DAYBOOK_FLUSH_INTERVAL:") != 1 {
		t.Errorf("what cannot be read is not reported once: %v", err)
	}
}

func TestReadConfig_SecretFromFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, origin, err := readConfig([]string{"DAYBOOK_ADMIN_KEY_FILE=" + path})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.AdminKey.Reveal() != "0123456789abcdef" || origin["ADMIN_KEY"] != fromFile {
		t.Errorf("got %q from %s", cfg.AdminKey.Reveal(), origin["ADMIN_KEY"])
	}
}

// A secret shows nowhere, whatever prints it.
func TestSecret_Masks(t *testing.T) {
	cfg := &config{KafkaPassword: "geheim", ClickHouseDSN: "http://u:geheim@h/d"}
	encoded, err := json.Marshal(map[string]any{"dsn": cfg.ClickHouseDSN, "password": cfg.KafkaPassword})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(*cfg), fmt.Sprintf("%+v %#v %s %q", *cfg, *cfg, cfg.KafkaPassword, cfg.KafkaPassword), string(encoded)} {
		if strings.Contains(text, "geheim") {
			t.Errorf("the secret shows: %s", text)
		}
		if !strings.Contains(text, masked) {
			t.Errorf("nothing is masked: %s", text)
		}
	}
}

// golden compares with a file of testdata, or rewrites it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs; run make golden and review it (-want +got):\n%s", path, diff)
	}
}

// The README holds the same table, between its two marks.
func TestConfig_TableInREADME(t *testing.T) {
	golden(t, "testdata/config.md", configTable())
	const path = "../../README.md"
	readme, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	marks := regexp.MustCompile(`(?s)(<!-- config:begin[^\n]*-->\n).*(<!-- config:end -->)`)
	if !marks.Match(readme) {
		t.Fatalf("%s has no marks config:begin and config:end", path)
	}
	want := marks.ReplaceAllFunc(readme, func(found []byte) []byte {
		parts := marks.FindSubmatch(found)
		return bytes.Join([][]byte{parts[1], []byte(configTable()), parts[2]}, nil)
	})
	golden(t, path, string(want))
}

func TestHelp_Golden(t *testing.T) {
	t.Setenv("COLUMNS", "100")
	var all strings.Builder
	for _, command := range [][]string{
		{},
		{"dev"},
		{"network", "set"},
		{"network", "list"},
		{"replay"},
		{"generate"},
		{"sql"},
		{"trace"},
		{"status"},
		{"verify"},
		{"worker"},
		{"serve"},
		{"broker"},
		{"migrate"},
		{"config"},
		{"version"},
	} {
		var out, errs bytes.Buffer
		args := append(slices.Clip(command), "--help")
		if code := run(args, stdio{out: &out, err: &errs}, nil); code != 0 || errs.Len() > 0 {
			t.Fatalf("daybook %s: exit %d, %s", strings.Join(args, " "), code, errs.String())
		}
		fmt.Fprintf(&all, "$ daybook %s\n%s\n", strings.Join(args, " "), out.String())
		if len(command) > 0 && !strings.Contains(out.String(), "Example") {
			t.Errorf("daybook %s shows no example", strings.Join(args, " "))
		}
	}
	golden(t, "testdata/help.golden", all.String())
}
