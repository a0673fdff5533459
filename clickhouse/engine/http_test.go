package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"daybook/clickhouse/engine/enginetest"
)

// answer is what came back over HTTP.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends one request to a DSN; query is the raw query string behind the
// database, method POST if there is a body.
func ask(t *testing.T, dsn, query, body string, header ...string) answer {
	t.Helper()
	a, err := tryAsk(dsn, query, strings.NewReader(body), header...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func tryAsk(dsn, query string, body io.Reader, header ...string) (answer, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return answer{}, err
	}
	user := u.User
	u.User, u.RawQuery, u.Path = nil, "database="+strings.Trim(u.Path, "/")+"&"+query, "/"
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, u.String(), body)
	if err != nil {
		return answer{}, err
	}
	password, _ := user.Password()
	request.SetBasicAuth(user.Username(), password)
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(b)}, err
}

// good asks for SQL that must succeed and gives the body.
func good(t *testing.T, dsn, sql string) string {
	t.Helper()
	a := ask(t, dsn, "", sql)
	if a.status != http.StatusOK {
		t.Fatalf("%s: %d %s", sql, a.status, a.body)
	}
	return a.body
}

func TestDoor_AnswersTabSeparatedWithoutFormat(t *testing.T) {
	dsn := enginetest.StartForTest(t)
	for _, test := range []struct{ query, sql, header, want string }{
		{"", "SELECT 1, 'a'", "", "1\ta\n"},
		{"query=SELECT+1;", "", "", "1\n"},
		{"query=SELECT", "1 + 1", "", "2\n"},
		{"default_format=CSV", "SELECT 1, 'a'", "", "1,\"a\"\n"},
		{"default_format=CSV", "SELECT 1 FORMAT TSV", "", "1\n"},
		{"", "SELECT 1 -- ;\n;", "", "1\n"},
		{"", "(SELECT 1) UNION ALL (SELECT 1)", "", "1\n1\n"},
		{"", "WITH 1 AS x SELECT x FORMAT JSONCompactEachRow", "", "[1]\n"},
		{"", "SHOW TABLES", "", ""},
		{"", "SELECT 1 AS a WHERE 0 FORMAT CSVWithNames", "", "\"a\"\n"},
		{"param_x=a%5Ctb&param_n=7", "SELECT {x:String}, {n:UInt8} + 1 FORMAT TSV", "", "a\\tb\t8\n"},
		{"param_i=t%60x", "SELECT 1 AS {i:Identifier} FORMAT CSVWithNames", "", "\"t`x\"\n1\n"},
	} {
		a := ask(t, dsn, test.query, test.sql)
		if a.status != http.StatusOK || a.body != test.want {
			t.Errorf("%s %q: %d %q, want %q", test.query, test.sql, a.status, a.body, test.want)
		}
	}
}

func TestDoor_AnswersErrorsWithCodeAndStatus(t *testing.T) {
	dsn := enginetest.StartForTest(t)
	wrong := strings.Replace(dsn, "@", "x@", 1)
	for _, test := range []struct {
		dsn, query, sql string
		status, code    int
	}{
		{wrong, "", "SELECT 1", 403, 516},
		{dsn, "", "SELEC 1", 400, 62},
		{dsn, "", "", 400, 62},
		{dsn, "", "SELECT 1; SELECT 2", 400, 62},
		{dsn, "", "SELECT * FROM nosuch", 404, 60},
		{dsn, "", "SELECT * FROM nosuch.t", 404, 81},
		{dsn, "database=nosuch", "SELECT 1", 404, 81},
		{dsn, "nosuch=1", "SELECT 1", 404, 115},
		{dsn, "a'b=1", "SELECT 1", 404, 115},
		{dsn, "", "SELECT nosuch()", 404, 46},
		{dsn, "", "SELECT 1 FORMAT Nosuch", 404, 73},
		{dsn, "readonly=1", "CREATE TABLE x (a UInt8) ENGINE = Memory", 500, 164},
		{dsn, "max_execution_time=1", "SELECT count() FROM system.numbers", 408, 159},
		{dsn, "max_result_rows=10", "SELECT * FROM numbers(100)", 500, 396},
		{dsn, "", "SELECT throwIf(1)", 500, 395},
		{dsn, "", "INSERT INTO x SELECT * FROM input('a UInt8') FORMAT CSV\n1", 501, 48},
		{dsn, "", "INSERT INTO x FROM INFILE '/etc/passwd' FORMAT CSV", 501, 48},
		{dsn, "", "SELECT {x:UInt8}", 400, 456},
		{dsn, "session_id=nosuch&session_check=1", "SELECT 1", 500, 372},
		{dsn, "session_timeout=99999", "SELECT 1", 400, 36},
		{dsn, "role=reader", "SELECT 1", 403, 512},
		{dsn, "query=%ZZ", "", 400, 36},
	} {
		a := ask(t, test.dsn, test.query, test.sql)
		code := a.header.Get("X-ClickHouse-Exception-Code")
		if test.code == 456 && a.status == 500 { // the server's table has no entry for it
			a.status = 400
		}
		if a.status != test.status || code != strconv.Itoa(test.code) || !strings.HasPrefix(a.body, "Code: "+code+". DB::Exception: ") {
			t.Errorf("%s %q: %d code %s %s, want %d code %d", test.query, test.sql, a.status, code, a.body, test.status, test.code)
		}
	}
}

func TestDoor_TellsWhatItDidInHeaders(t *testing.T) {
	dsn := enginetest.StartForTest(t)
	a := ask(t, dsn, "query_id=q1", "SELECT number FROM numbers(10) FORMAT CSV")
	for name, want := range map[string]string{
		"X-ClickHouse-Query-Id": "q1", "X-ClickHouse-Format": "CSV", "X-ClickHouse-Timezone": "UTC",
		"Content-Type": "text/csv; charset=UTF-8; header=absent", "Content-Length": "20",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if s := a.header.Get("X-ClickHouse-Summary"); !strings.Contains(s, `"result_rows":"10"`) || !strings.Contains(s, `"read_rows":"10"`) {
		t.Errorf("summary is %s", s)
	}
	// A format on DDL makes clickhouse-connect's command() lose its summary.
	a = ask(t, dsn, "", "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	if f := a.header.Get("X-ClickHouse-Format"); f != "" || a.status != http.StatusOK {
		t.Errorf("DDL answered %d with format %q", a.status, f)
	}
	a = ask(t, dsn, "query=INSERT+INTO+t+FORMAT+CSV", "1\n2\n3\n")
	if s := a.header.Get("X-ClickHouse-Summary"); !strings.Contains(s, `"written_rows":"3"`) {
		t.Errorf("summary of an insert is %s (%s)", s, a.body)
	}
}

func TestDoor_TakesRowsInEveryPlace(t *testing.T) {
	dsn := enginetest.StartForTest(t)
	good(t, dsn, "CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
	for i, test := range []struct{ query, body string }{
		{"", "INSERT INTO t VALUES (1,'a'),(2,'b;');"},
		{"", "INSERT INTO t (a, s) FORMAT CSV\n3,\"x\"\n4,y\n"},
		{"", "INSERT INTO t (s, a) FORMAT TSV SETTINGS max_insert_threads = 1, input_format_tsv_crlf_end_of_line = 0\nx\t5\n"},
		{"", "INSERT INTO t SETTINGS max_insert_threads = 1 FORMAT JSONEachRow {\"a\":6} {\"a\":7}"},
		{"query=INSERT+INTO+t+FORMAT+TSV", "8\tx\n9\ty\n"},
		{"query=INSERT+INTO+t+VALUES", "(10,'a')"},
		{"query=INSERT+INTO+t+VALUES+(11,'a'),", "(12,'b')"},
		{"query=INSERT+INTO+t", "SELECT 13, 'select'"},
		{"param_n=14", "INSERT INTO t VALUES ({n:UInt64}, 'p')"},
		{"", "INSERT INTO t (SELECT 15, 'bracket')"},
	} {
		if a := ask(t, dsn, test.query, test.body); a.status != http.StatusOK || a.body != "" {
			t.Errorf("%d: %d %s", i, a.status, a.body)
		}
	}
	if got := good(t, dsn, "SELECT count(), sum(a) FROM t"); got != "15\t120\n" {
		t.Errorf("stored %q", got)
	}
}

func TestDoor_KeepsSessionsApart(t *testing.T) {
	dsn := enginetest.StartForTest(t)
	in := func(id, sql string) string {
		a := ask(t, dsn, "session_id="+id, sql)
		return a.header.Get("X-ClickHouse-Exception-Code") + a.body
	}
	for _, step := range []struct{ id, sql, want string }{
		{"a", "CREATE TEMPORARY TABLE x (n UInt8)", ""},
		{"a", "INSERT INTO x VALUES (7)", ""},
		{"a", "SET max_threads = 3", ""},
		{"a", "SELECT n, getSetting('max_threads') FROM x", "7\t3\n"},
		{"b", "SELECT getSetting('max_threads') = 3", "0\n"},
	} {
		if got := in(step.id, step.sql); got != step.want {
			t.Errorf("session %s: %s: %q, want %q", step.id, step.sql, got, step.want)
		}
	}
	if got := in("b", "SELECT n FROM x"); !strings.HasPrefix(got, "60Code: 60.") {
		t.Errorf("session b sees a's table: %s", got)
	}
	// Without a session nothing stays behind on the pooled connection.
	good(t, dsn, "SET max_threads = 5")
	good(t, dsn, "CREATE TEMPORARY TABLE y (n UInt8)")
	for range 20 {
		if got := good(t, dsn, "SELECT getSetting('max_threads') = 5"); got != "0\n" {
			t.Fatal("a setting leaked into another request")
		}
	}
	if a := ask(t, dsn, "session_id=a&close_session=1", "SELECT 1"); a.status != http.StatusOK {
		t.Error(a.body)
	}
	if a := ask(t, dsn, "session_id=a&session_check=1", "SELECT 1"); a.status != http.StatusInternalServerError {
		t.Errorf("a closed session answered %d", a.status)
	}
}

func TestDoor_RefusesASecondStatementInASession(t *testing.T) {
	dsn := enginetest.StartForTest(t)
	body, feed := io.Pipe()
	good(t, dsn, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	first := make(chan answer, 1)
	go func() {
		a, err := tryAsk(dsn, "session_id=s&query=INSERT+INTO+t+FORMAT+CSV", body)
		if err != nil {
			a.body = err.Error()
		}
		first <- a
	}()
	// The first statement holds its session from its first row on.
	if _, err := feed.Write([]byte("1\n")); err != nil {
		t.Fatal(err)
	}
	for good(t, dsn, "SELECT count() FROM system.processes WHERE query_kind = 'Insert' AND current_database = currentDatabase()") == "0\n" {
	}
	second := ask(t, dsn, "session_id=s", "SELECT 1")
	if code := second.header.Get("X-ClickHouse-Exception-Code"); code != "373" {
		t.Errorf("the second statement answered %d %s", second.status, second.body)
	}
	_ = feed.Close()
	if a := <-first; a.status != http.StatusOK {
		t.Errorf("the first statement answered %d %s", a.status, a.body)
	}
}

func TestDoor_DropsSettingsAfterTheRequest(t *testing.T) {
	dsn := enginetest.StartForTest(t)
	for range 10 {
		if a := ask(t, dsn, "max_threads=3&max_block_size=77", "SELECT getSetting('max_threads'), getSetting('max_block_size')"); a.body != "3\t77\n" {
			t.Fatalf("settings not applied: %s", a.body)
		}
		if got := good(t, dsn, "SELECT getSetting('max_threads') = 3, getSetting('max_block_size') = 77"); got != "0\t0\n" {
			t.Fatalf("settings leaked: %s", got)
		}
	}
}

// A SET is a statement: what the product sends with each request must not cost
// two of them each time.
func TestDoor_SetsTheSameSettingsOnce(t *testing.T) {
	dsn := enginetest.StartForTest(t)
	good(t, dsn, "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
	statements := func() (n int) {
		t.Helper()
		if _, err := fmt.Sscan(good(t, dsn, "SELECT value FROM system.events WHERE event = 'Query'"), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, test := range []struct{ settings, sql string }{
		{"max_threads=3&max_block_size=77", "SELECT throwIf(getSetting('max_threads') != 3 OR getSetting('max_block_size') != 77)"},
		{"max_insert_threads=1&optimize_on_insert=0", "INSERT INTO t FORMAT CSV\n1\n"},
	} {
		const requests = 20
		before := statements()
		for range requests {
			if a := ask(t, dsn, test.settings, test.sql); a.status != http.StatusOK {
				t.Fatalf("%s: %d %s", test.sql, a.status, a.body)
			}
		}
		// One SET, one that takes it back before the question about the counter.
		if got := statements() - before; got > requests+4 {
			t.Errorf("%s: %d requests were %d statements", test.sql, requests, got)
		}
	}
}

func TestDoor_TakesExternalTables(t *testing.T) {
	dsn := enginetest.StartForTest(t)
	form := func(fields ...string) (string, string) {
		var b bytes.Buffer
		for i := 0; i+1 < len(fields); i += 2 {
			name, file, _ := strings.Cut(fields[i], "/")
			if file != "" {
				file = `; filename="` + file + `"`
			}
			fmt.Fprintf(&b, "--B\r\nContent-Disposition: form-data; name=%q%s\r\n\r\n%s\r\n", name, file, fields[i+1])
		}
		b.WriteString("--B--\r\n")
		return b.String(), "multipart/form-data; boundary=B"
	}
	body, kind := form("query", "SELECT sum(a), any(b) FROM e", "e/x", "1\tx\n2\tx\n")
	if a := ask(t, dsn, "e_structure=a+UInt64,b+String", body, "Content-Type", kind); a.body != "3\tx\n" {
		t.Error(a.body)
	}
	body, kind = form("query", "SELECT sum(_1) + {n:UInt8} FROM e", "param_n", "5", "e/x", "1,7\n")
	if a := ask(t, dsn, "e_types=UInt64,Decimal(9,2)&e_format=CSV", body, "Content-Type", kind); a.body != "6\n" {
		t.Error(a.body)
	}
	if a := ask(t, dsn, "", "SELECT 1 FROM e"); a.status != http.StatusNotFound {
		t.Errorf("the table outlived its request: %d", a.status)
	}
	body, kind = form("query", "SELECT * FROM e", "e/x", "1")
	if a := ask(t, dsn, "e_structure="+url.QueryEscape("a UInt8) ENGINE = Memory; DROP TABLE t; CREATE TABLE z (a UInt8"), body, "Content-Type", kind); a.status != http.StatusBadRequest {
		t.Errorf("a structure with statements answered %d %s", a.status, a.body)
	}
}

func TestDoor_AnswersHealthAndMethods(t *testing.T) {
	dsn := enginetest.StartForTest(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/ping", 200},
		{"GET", "/", 200},
		{"HEAD", "/", 200},
		{"OPTIONS", "/", 204},
		{"PUT", "/", 405},
		{"GET", "/nosuch", 404},
		{"GET", "/?query=SELECT+1", 401},
	} {
		request, err := http.NewRequestWithContext(t.Context(), test.method, "http://"+u.Host+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != test.status {
			t.Errorf("%s %s: %d, want %d", test.method, test.path, response.StatusCode, test.status)
		}
	}
}

// A version that reads another variable, or renames an option, would go back to its
// own settings without a word.
func TestLibrary_TakesTheAllocatorsOptions(t *testing.T) {
	stats := good(t, enginetest.StartForTest(t), "SELECT stats FROM system.jemalloc_stats FORMAT TSVRaw")
	for _, want := range []string{"opt.narenas: 1\n", `opt.percpu_arena: "disabled"`, "opt.oversize_threshold: 0\n", "opt.dirty_decay_ms: 20000 "} {
		if !strings.Contains(stats, want) {
			t.Errorf("the allocator's statistics lack %s", want)
		}
	}
}
