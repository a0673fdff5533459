package ddl_test

import (
	"slices"
	"strings"
	"testing"

	"daybook/clickhouse/ddl"
)

func TestAll_FilesAreNumberedAndStartWithWhy(t *testing.T) {
	all, err := ddl.All()
	if err != nil || len(all) == 0 {
		t.Fatalf("%d files, %v", len(all), err)
	}
	for i, m := range all {
		statements, err := m.Statements(ddl.Vars{Database: "d"})
		if err != nil || len(statements) == 0 {
			t.Fatalf("%s: %v", m.Name, err)
		}
		if m.Version != i || len(m.Checksum) != 64 {
			t.Errorf("%s: version %d, checksum %q", m.Name, m.Version, m.Checksum)
		}
		if !strings.HasPrefix(statements[0], "-- ") {
			t.Errorf("%s does not start with why it exists", m.Name)
		}
		for _, s := range statements {
			if strings.Contains(s, "CLUSTER") || strings.Contains(s, "Replicated") || strings.Contains(s, "<no value>") {
				t.Errorf("%s on a single node: %s", m.Name, s)
			}
			if !again(s) {
				t.Errorf("%s: not idempotent, or outside the database: %.80s", m.Name, s)
			}
		}
	}
}

// again says whether a statement of database d may be run twice.
func again(s string) bool {
	_, alter, ok := strings.Cut(s, "ALTER TABLE `d`.")
	if !ok {
		return strings.Contains(s, "IF NOT EXISTS `d`.")
	}
	return slices.ContainsFunc([]string{" ADD COLUMN IF NOT EXISTS ", " ADD PROJECTION IF NOT EXISTS ", " MATERIALIZE PROJECTION IF EXISTS ", " MODIFY SETTING "},
		func(do string) bool { return strings.Contains(alter, do) })
}

func TestStatements_OfAClusterAreReplicated(t *testing.T) {
	all, err := ddl.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		statements, err := m.Statements(ddl.Vars{Database: "d", Cluster: "c`x"})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range statements {
			if !strings.Contains(s, " ON CLUSTER `c\\`x` (") && !strings.Contains(s, " ON CLUSTER `c\\`x`\n") {
				t.Errorf("%s: %.120s", m.Name, s)
			}
			if strings.Contains(s, "ENGINE = ") && !strings.Contains(s, "ENGINE = ReplicatedReplacingMergeTree(") {
				t.Errorf("%s: %.120s", m.Name, s)
			}
		}
	}
}
