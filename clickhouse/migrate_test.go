package clickhouse_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"daybook/clickhouse"
	"daybook/clickhouse/ddl"
	"daybook/clickhouse/query"
)

func TestMigrate_EveryTableAndColumnHasAComment(t *testing.T) {
	s := open(t)
	got := text(t, s, `SELECT concat(table, '.', name) FROM system.columns WHERE database = currentDatabase() AND comment = ''
		UNION ALL SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = '' ORDER BY 1`)
	if len(got) > 0 {
		t.Errorf("without comment: %s", strings.Join(got, ", "))
	}
	tables := text(t, s, "SELECT name FROM system.tables WHERE database = currentDatabase() AND NOT endsWith(name, '_versions') ORDER BY name")
	want := "api_keys daily_networks daily_networks_refresh daily_networks_stored daily_users events gaps history late_events late_occurrences ledger ledger_reasons migrations networks partitions progress rejects " +
		"session_day_fingerprints session_days session_marks sessions settings_history topic_epochs user_facts users"
	if got := strings.Join(tables, " "); got != want {
		t.Errorf("tables\n got %s\nwant %s", got, want)
	}
}

func TestMigrate_AgainAppliesNothing(t *testing.T) {
	s := openEmpty(t)
	var told []string
	n, err := s.Migrate(t.Context(), func(m ddl.Migration, done bool) {
		if done {
			told = append(told, m.Name)
		}
	})
	if err != nil || n == 0 || n != len(told) {
		t.Fatalf("first run: applied %d, told of %d, %v", n, len(told), err)
	}
	if n, err = s.Migrate(t.Context(), nil); err != nil || n != 0 {
		t.Errorf("second run: applied %d, %v", n, err)
	}
}

func TestMigrate_TwoAtOnceEndInTheSameTables(t *testing.T) {
	s := openEmpty(t)
	var wg sync.WaitGroup
	errs := make([]error, 3)
	for i := range errs {
		wg.Go(func() { _, errs[i] = s.Migrate(t.Context(), nil) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Migrate(t.Context(), nil); err != nil || n != 0 {
		t.Errorf("afterwards: applied %d, %v", n, err)
	}
}

func TestMigrate_RefusesAChangedFile(t *testing.T) {
	s := open(t)
	exec(t, s, "INSERT INTO migrations SELECT 3, 'x', 'changed', now64(3) + 1")
	_, err := s.Migrate(t.Context(), nil)
	if !errors.Is(err, clickhouse.ErrMigration) || !strings.Contains(err.Error(), "0003_sessions.sql") {
		t.Errorf("got %v, want ErrMigration naming the file", err)
	}
}

func TestMigrate_RefusesTablesOfANewerVersion(t *testing.T) {
	s := open(t)
	exec(t, s, "INSERT INTO migrations SELECT 999, 'x', 'y', now64(3)")
	if _, err := s.Migrate(t.Context(), nil); !errors.Is(err, clickhouse.ErrMigration) {
		t.Errorf("got %v, want ErrMigration", err)
	}
}

// text gives the answer's single column of strings.
func text(tb testing.TB, s *clickhouse.Store, sql string, args ...query.Arg) []string {
	tb.Helper()
	rows, err := s.Query(tb.Context(), query.Statement{Text: sql, Args: args})
	if err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			tb.Fatalf("%s: %v", sql, err)
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
	return out
}

func exec(tb testing.TB, s *clickhouse.Store, sql string) {
	tb.Helper()
	if err := s.Exec(tb.Context(), sql); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}

// Only the syntax: the embedded engine has no Keeper.
func TestMigrate_StatementsOfAClusterParse(t *testing.T) {
	s := openEmpty(t)
	all, err := ddl.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		statements, err := m.Statements(ddl.Vars{Database: "d", Cluster: "c"})
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range statements {
			text(t, s, "EXPLAIN AST "+statement[max(0, strings.Index(statement, "CREATE")):])
		}
	}
}
