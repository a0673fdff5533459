package clickhouse_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const columnsHead = `# Columns

What to read by SQL, in the database ` + "`daybook`" + `: each view holds every identity once, as of now, and needs no FINAL. This file is made of the
comments in the database (` + "`DESCRIBE TABLE daybook.sessions`" + `) by ` + "`make golden`" + `; a test keeps it current. Tables that end in _versions hold what
the views are made of, and are not listed. [cookbook](cookbook/README.md) has questions to start from.
`

// COLUMNS.md is what the migrations say of views and their columns.
func TestColumns_ReferenceIsCurrent(t *testing.T) {
	s := open(t)
	var b strings.Builder
	b.WriteString(columnsHead)
	view := ""
	for _, line := range text(t, s, `SELECT concat(t.name, '\t', t.comment, '\t', c.name, '\t', c.type, '\t', c.comment)
		FROM system.tables AS t INNER JOIN system.columns AS c ON c.database = t.database AND c.table = t.name
		WHERE t.database = currentDatabase() AND t.engine = 'View' ORDER BY t.name, c.position`) {
		cells := strings.Split(line, "\t")
		if cells[0] != view {
			view = cells[0]
			fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| column | type | meaning |\n|---|---|---|\n", view, cells[1])
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", cells[2], strings.ReplaceAll(cells[3], "|", "\\|"), strings.ReplaceAll(cells[4], "|", "\\|"))
	}
	if *update {
		if err := os.WriteFile("COLUMNS.md", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("COLUMNS.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != b.String() {
		t.Error("COLUMNS.md is not what the migrations say; run make golden and read what changed")
	}
}
