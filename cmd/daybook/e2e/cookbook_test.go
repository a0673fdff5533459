package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"daybook/clickhouse/cookbook"
)

var update = flag.Bool("update", false, "rewrite testdata")

// oddities are what the generator does not make: a robot, two devices at once,
// a conflict, and records that cannot be taken.
const oddities = `{"id":"r1","source":"odd","user":"spider","time":"2026-01-06T10:00:00Z","received":"2026-01-06T10:30:00Z","action":"view","content":{"id":"c-1"},"context":{"ua":"Googlebot/2.1 (+http://www.google.com/bot.html)"}}
{"id":"a1","source":"odd","user":"ann","time":"2026-01-06T10:00:00Z","received":"2026-01-06T10:30:00Z","action":"view","device":{"id":"phone","class":"mobile"},"content":{"id":"c-2"}}
{"id":"a2","source":"odd","user":"ann","time":"2026-01-06T10:10:00Z","received":"2026-01-06T10:30:00Z","action":"like","device":{"id":"phone","class":"mobile"},"content":{"id":"c-2"}}
{"id":"a3","source":"odd","user":"ann","time":"2026-01-06T10:05:00Z","received":"2026-01-06T10:30:00Z","action":"view","device":{"id":"desk","class":"web"},"content":{"id":"c-3"}}
{"id":"a4","source":"odd","user":"ann","time":"2026-01-06T10:20:00Z","received":"2026-01-06T10:30:00Z","action":"comment","device":{"id":"desk","class":"web"},"content":{"id":"c-3"}}
{"id":"a4","source":"odd","user":"ann","time":"2026-01-06T10:20:00Z","received":"2026-01-06T10:30:00Z","action":"share","device":{"id":"desk","class":"web"},"content":{"id":"c-3"}}
{"id":"b1","source":"odd","user":"bob","time":"yesterday"}
{"source":"odd","user":"","time":"2026-01-06T10:20:00Z","received":"2026-01-06T10:30:00Z"}
`

// cook asks a recipe.
func (d *instance) cook(r *cookbook.Recipe, params map[string]string) string {
	d.t.Helper()
	values := url.Values{"database": {"daybook"}}
	for _, name := range r.Params {
		value, ok := params[name]
		if !ok {
			d.t.Fatalf("%s: no value for parameter %s", r.Name, name)
		}
		values.Set("param_"+name, value)
	}
	req, err := http.NewRequest(http.MethodPost, d.ClickHouse+"/?"+values.Encode(), strings.NewReader(r.SQL+"\nFORMAT TSVWithNames"))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("X-ClickHouse-User", d.User)
	req.Header.Set("X-ClickHouse-Key", d.Password)
	return d.answer(req)
}

// Every recipe gives its golden answer on a small log, has the columns that it
// says, and reads nothing but views that people are told of.
func TestCookbook_Golden(t *testing.T) {
	d := startDev(t, t.TempDir())
	d.run(0, "generate", "--seed", "3", "--events", "4000", "--networks", "2", "--users", "25", "--days", "20", "--visit", "6", "--late", "0.03", "--name", "shop", "--wait")
	file := filepath.Join(t.TempDir(), "odd.ndjson")
	if err := os.WriteFile(file, []byte(oddities), 0o644); err != nil {
		t.Fatal(err)
	}
	d.run(3, "replay", file, "--network", "shop-1", "--wait")
	views := map[string]bool{}
	for _, row := range d.sql("SELECT name FROM system.tables WHERE database = 'daybook' AND engine = 'View'") {
		views[row[0]] = true
	}
	recipes, err := cookbook.All()
	if err != nil || len(recipes) < 20 {
		t.Fatalf("%d recipes, %v", len(recipes), err)
	}
	var all strings.Builder
	for i := range recipes {
		r := &recipes[i]
		got := strings.Split(strings.TrimSuffix(d.cook(r, map[string]string{"network": "shop-1", "user": "user-0", "from": "2026-01-05", "to": "2026-01-18"}), "\n"), "\n")
		fmt.Fprintf(&all, "# %s: %d rows\n%s\n\n", r.Name, len(got)-1, strings.Join(got[:min(len(got), 13)], "\n"))
		if len(got) < 2 {
			t.Errorf("%s: no rows", r.Name)
		}
		for column := range strings.SplitSeq(got[0], "\t") {
			if !regexp.MustCompile(`\b` + column + `\b`).MatchString(r.Answer) {
				t.Errorf("%s does not say what column %s is", r.Name, column)
			}
		}
		for _, m := range regexp.MustCompile(`(?:FROM|JOIN) (\w+)`).FindAllStringSubmatch(r.SQL, -1) {
			if !views[m[1]] {
				t.Errorf("%s reads %s, which is no view", r.Name, m[1])
			}
		}
	}
	golden := filepath.Join("testdata", "cookbook.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(all.String(), "\n")); diff != "" {
		t.Errorf("differs from %s; run with -update and read what changed (-want +got):\n%s", golden, diff)
	}
	checkIndex(t, recipes)
}

// checkIndex compares the cookbook's list of contents with its files.
func checkIndex(t *testing.T, recipes []cookbook.Recipe) {
	t.Helper()
	var rows []string
	for i := range recipes {
		rows = append(rows, fmt.Sprintf("| [%s](%s.sql) | %s |", recipes[i].Name, recipes[i].Name, recipes[i].Question))
	}
	path := filepath.Join(top, "clickhouse", "cookbook", "README.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(text), "| [")
	want := head + strings.Join(rows, "\n") + "\n"
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(text) || !slices.IsSorted(rows) {
		t.Errorf("%s does not list the files; run with -update", path)
	}
}
