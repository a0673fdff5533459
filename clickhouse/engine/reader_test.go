package engine_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"daybook/clickhouse/engine/enginetest"
)

// TRUST.md section 3: the reader's role reads tables and nothing else.
func TestReader_ReadsTablesAndNothingElse(t *testing.T) {
	app, reader := enginetest.StartWithReader(t)
	good(t, app, "CREATE TABLE t (a UInt64, file String) ENGINE = MergeTree ORDER BY a")
	good(t, app, "INSERT INTO t VALUES (1, 'x')")
	for _, sql := range []string{
		"SELECT a FROM t",
		"SELECT file, count(file), max(t.file) FROM t WHERE file = 'x' AND file IN ('x') GROUP BY file ORDER BY file LIMIT 1",
		"WITH 1 AS one SELECT one, a FROM t WHERE a IN (SELECT a FROM t)",
		"SELECT arrayMap(v -> v + 1, [a]) FROM t",
		"SELECT 'Müller', `a` FROM t",
		"SHOW TABLES", "SHOW TABLES LIKE 't%'", "SHOW CREATE TABLE t", "DESCRIBE TABLE t", "EXPLAIN SELECT a FROM t", "EXISTS TABLE t",
		"SELECT count() FROM system.tables",
	} {
		if a := ask(t, reader, "", sql); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", sql, a.status, a.body)
		}
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hidden"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	for _, sql := range []string{
		// The file system.
		"SELECT file('PATH')", "SELECT `file`('PATH')", "SELECT \"file\"('PATH')", "SELECT `f\\x69le`('PATH')", "SELECT FILE('PATH')",
		"SELECT file/**/('PATH')", "SELECT * APPLY file FROM (SELECT 'PATH')", "SELECT * APPLY(file) FROM (SELECT 'PATH')",
		"SELECT * APPLY `f\\x69le` FROM (SELECT 'PATH')", "SELECT COLUMNS('x') APPLY(x -> file(x)) FROM (SELECT 'PATH' AS x)",
		"SELECT arrayMap(file, ['PATH'])", "SELECT arrayMap((file), ['PATH'])", "SELECT arrayMap(“file”, ['PATH'])",
		"SELECT arrayMap({x:Identifier}, ['PATH'])", "SELECT 1 AS a$x$, arrayMap(file, ['PATH']), 2 AS b$x$",
		"SHOW TABLES WHERE arrayMap(file, ['PATH'])[1] != ''", "EXPLAIN QUERY TREE SELECT arrayMap(file, ['PATH'])",
		"WITH (SELECT file('PATH')) AS x SELECT x", "DESCRIBE (SELECT file('PATH') AS x)", "SELECT * REPLACE (file('PATH') AS file) FROM t",
		"SELECT count() FROM t WHERE file = file('PATH')", "SELECT * FROM view(SELECT file('PATH'))",
		"SELECT * FROM file('PATH', 'LineAsString')", "SELECT * FROM default.`PATH`", "SELECT 1 INTO OUTFILE 'OUT'",
		"SELECT * FROM loop(file('PATH', 'LineAsString'))", "SELECT * FROM sqlite('PATH', 't')",
		// The network.
		"SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')", "SELECT * FROM remote('127.0.0.1:1', system.one)",
		"SELECT * FROM s3('http://127.0.0.1:1/x')", "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
		// Changes and everything else.
		"INSERT INTO t VALUES (2, 'y')", "INSERT INTO t SELECT 2, 'y'", "INSERT INTO FUNCTION file('OUT') SELECT 1", "CREATE TABLE x (a UInt8) ENGINE = Memory",
		"CREATE TEMPORARY TABLE x (a UInt8)", "DROP TABLE t", "TRUNCATE TABLE t", "ALTER TABLE t DELETE WHERE 1", "OPTIMIZE TABLE t",
		"SET ROLE app", "SET max_threads = 1", "USE default", "SYSTEM FLUSH LOGS", "SYSTEM SHUTDOWN", "KILL QUERY WHERE 1", "BACKUP TABLE t TO Disk('a', 'b')",
		"SELECT 1; SELECT 2", "SELECT 1 SETTINGS dialect = 'prql'",
	} {
		sql = strings.NewReplacer("PATH", secret, "OUT", out).Replace(sql)
		a := ask(t, reader, "param_x=file", sql)
		if a.status == http.StatusOK || strings.Contains(a.body, "hidden") {
			t.Errorf("%s: %d %s", sql, a.status, a.body)
		}
	}
	if a := ask(t, reader, "dialect=kusto", "print 1"); a.status == http.StatusOK {
		t.Errorf("another dialect: %s", a.body)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a file was written")
	}
	if got := good(t, app, "SELECT count() FROM t"); got != "1\n" {
		t.Errorf("the table has %s rows", got)
	}
}

// The app's role is closed to what no part of the product needs.
func TestApp_ReachesNoFilesByTable(t *testing.T) {
	dsn := enginetest.StartForTest(t)
	for _, sql := range []string{
		"SELECT * FROM file('/etc/hostname', 'LineAsString')", "SELECT * FROM default.`/etc/hostname`", "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
		"CREATE TABLE f (a String) ENGINE = File(CSV)", "INSERT INTO FUNCTION file('/tmp/x.csv') SELECT 1", "CREATE DATABASE other", "CREATE USER x",
	} {
		if a := ask(t, dsn, "", sql); a.status != http.StatusForbidden {
			t.Errorf("%s: %d %s", sql, a.status, a.body)
		}
	}
}
