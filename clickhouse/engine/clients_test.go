package engine_test

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"daybook/clickhouse/engine/enginetest"
)

// The official JavaScript client, as npm ships it.
func TestDoor_ServesNode(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node contract not run: node is not installed")
	}
	if _, err := os.Stat(filepath.Join("testdata", "node", "node_modules", "@clickhouse", "client")); err != nil {
		t.Skip("node contract not run: @clickhouse/client is not installed; run `npm ci --ignore-scripts` in clickhouse/engine/testdata/node")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "contract.mjs")
	cmd.Dir = filepath.Join("testdata", "node")
	cmd.Env = append(os.Environ(), "DSN="+enginetest.StartForTest(t))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := strings.Count(string(out), "ok "); n < 31 {
		t.Errorf("only %d checks ran:\n%s", n, out)
	}
}

// curl as people use it from the documentation.
func TestDoor_ServesCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl contract not run: curl is not installed")
	}
	dsn := enginetest.StartForTest(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	credentials, database := u.User.String(), strings.Trim(u.Path, "/")
	u.User, u.Path = nil, "/"
	run := func(stdin string, args ...string) string {
		t.Helper()
		for i, a := range args {
			args[i] = strings.NewReplacer("URL", u.String(), "DB", database).Replace(a)
		}
		if !strings.Contains(strings.Join(args, " "), "X-ClickHouse-User") {
			args = append([]string{"-u", credentials}, args...)
		}
		cmd := exec.CommandContext(t.Context(), curl, append([]string{"-sS"}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("curl %s: %v\n%s", args, err, out)
		}
		return string(out)
	}
	file := filepath.Join(t.TempDir(), "rows.tsv")
	if err := os.WriteFile(file, []byte("1\ta\n2\tb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	user, password, _ := strings.Cut(credentials, ":")
	for _, test := range []struct {
		stdin string
		args  []string
		want  string
	}{
		{"", []string{"URL?database=DB", "-d", "CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a"}, ""},
		{"", []string{"URL?database=DB&query=INSERT%20INTO%20t%20FORMAT%20TSV", "--data-binary", "@" + file}, ""},
		{"INSERT INTO DB.t VALUES (3,'c')", []string{"URL", "--data-binary", "@-"}, ""},
		{"", []string{"-g", "URL?query=SELECT%20count(),sum(a)%20FROM%20DB.t;"}, "3\t6\n"},
		{"", []string{"-G", "URL", "--data-urlencode", "query=SELECT a FROM DB.t WHERE s = {s:String} FORMAT JSONEachRow", "--data-urlencode", "param_s=b"}, "{\"a\":2}\n"},
		{"", []string{"--compressed", "URL", "-d", "SELECT s FROM DB.t ORDER BY a FORMAT CSV"}, "\"a\"\n\"b\"\n\"c\"\n"},
		{"", []string{"-H", "Accept-Encoding: gzip", "--compressed", "-H", "X-ClickHouse-Format: CSV", "-H", "X-ClickHouse-Database: DB", "URL", "-d", "SELECT count() FROM t"}, "3\n"},
		{"", []string{"-F", "e=@" + file, "URL?e_structure=a+UInt64,s+String", "-F", "query=SELECT sum(a), max(s) FROM e"}, "3\tb\n"},
		{"", []string{"-H", "X-ClickHouse-User: " + user, "-H", "X-ClickHouse-Key: " + password, "URL?query=SELECT+1"}, "1\n"},
		{"", []string{"-I", "-o", os.DevNull, "-w", "%{http_code}", "URL?query=SELECT+1"}, "200"},
		{"", []string{"-o", os.DevNull, "-w", "%{http_code}", "URL?query=DROP+TABLE+DB.t"}, "500"},
		{"", []string{"-u", "daybook:wrong", "-o", os.DevNull, "-w", "%{http_code}", "URL?query=SELECT+1"}, "403"},
	} {
		if got := run(strings.ReplaceAll(test.stdin, "DB", database), test.args...); got != test.want {
			t.Errorf("curl %s: %q, want %q", test.args, got, test.want)
		}
	}
}
