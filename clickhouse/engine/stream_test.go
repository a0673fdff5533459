package engine_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"daybook/clickhouse/engine"
	"daybook/clickhouse/engine/enginetest"
)

// residentMB is a process's anonymous memory: what it allocated, without the
// mapped library.
func residentMB(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("memory not checked: %v", err)
	}
	m := regexp.MustCompile(`RssAnon:\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		t.Skip("memory not checked: no RssAnon")
	}
	kb, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kb >> 10
}

// request starts a request and leaves its body to the caller.
func request(ctx context.Context, t *testing.T, dsn, query string, body io.Reader) *http.Response {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = "database=" + strings.Trim(u.Path, "/") + "&" + query
	u.Path = "/"
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), body)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	r.SetBasicAuth(u.User.Username(), password)
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// stream reads a result of rows rows to its end and gives its size and the
// engine's peak memory meanwhile.
func stream(t *testing.T, sup *engine.Supervisor, query string, rows int) (size int64, peak int) {
	t.Helper()
	sql := fmt.Sprintf("SELECT number, repeat('x', 90) FROM numbers(%d) FORMAT RowBinaryWithNamesAndTypes", rows)
	r := request(t.Context(), t, sup.DSN(engine.UserApp), query, strings.NewReader(sql)) //nolint:bodyclose // request closes it
	for {
		n, err := io.CopyN(io.Discard, r.Body, 8<<20)
		size += n
		peak = max(peak, residentMB(t, sup.PID()))
		if errors.Is(err, io.EOF) {
			return size, peak
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Constant means: six times the rows need no more memory. The first run warms
// the allocator's caches.
func TestDoor_StreamsLargeResultsInConstantMemory(t *testing.T) {
	sup := enginetest.StartOwn(t, engine.Config{})
	for _, query := range []string{"", "wait_end_of_query=1", "compress=1"} {
		_, warm := stream(t, sup, query, 1_000_000)
		size, peak := stream(t, sup, query, 6_000_000)
		if query != "compress=1" && size < 590_000_000 {
			t.Errorf("%s: only %d bytes came", query, size)
		}
		if peak > warm+150 {
			t.Errorf("%s: memory went from %d to %d MB", query, warm, peak)
		}
		t.Logf("%q: %d MB streamed, memory %d then %d MB", query, size>>20, warm, peak)
	}
}

// rowsOf gives n rows of CSV without holding them.
type rowsOf struct{ left int }

func (r *rowsOf) Read(p []byte) (int, error) {
	row := "12345678," + strings.Repeat("y", 90) + "\n"
	n := 0
	for r.left > 0 && n+len(row) <= len(p) {
		n += copy(p[n:], row)
		r.left--
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func TestDoor_StreamsLargeInsertsInConstantMemory(t *testing.T) {
	sup := enginetest.StartOwn(t, engine.Config{})
	dsn := sup.DSN(engine.UserApp)
	good(t, dsn, "CREATE TABLE t (a UInt64, s String) ENGINE = Null")
	insert := func(rows int) int {
		a, err := tryAsk(dsn, "query=INSERT+INTO+t+FORMAT+CSV", &rowsOf{left: rows})
		if err != nil || a.status != http.StatusOK || !strings.Contains(a.header.Get("X-ClickHouse-Summary"), fmt.Sprintf(`"written_rows":"%d"`, rows)) {
			t.Fatalf("%v %d %s %s", err, a.status, a.body, a.header.Get("X-ClickHouse-Summary"))
		}
		return residentMB(t, sup.PID())
	}
	warm := insert(1_500_000)
	after := insert(6_000_000)
	if after > warm+350 { // the second one sends 450 MB more
		t.Errorf("memory went from %d to %d MB", warm, after)
	}
	t.Logf("600 MB inserted, memory %d then %d MB", warm, after)
}

// A repeated header cut from chunks 2..n must leave the bytes of the whole
// result, which the engine gives for the same rows through a format it may not
// stream.
func TestDoor_StreamsTheSameBytesAsAWholeResult(t *testing.T) {
	dsn := enginetest.StartForTest(t)
	const rows = "SELECT number AS `a\nb\"c`, toString(number) AS s, [number] AS l FROM numbers(200000)"
	for _, format := range []string{
		"CSV", "CSVWithNames", "CSVWithNamesAndTypes", "TSV", "TSVWithNames", "TSVWithNamesAndTypes", "TSVRaw",
		"JSONEachRow", "JSONCompactEachRowWithNames", "JSONCompactStringsEachRowWithNamesAndTypes", "RowBinary", "RowBinaryWithNames",
		"RowBinaryWithNamesAndTypes", "MsgPack",
	} {
		streamed := ask(t, dsn, "", rows+" FORMAT "+format)
		// extremes=1 makes the door take the result whole; without values to
		// append, these formats give the same bytes.
		whole := ask(t, dsn, "extremes=1&max_threads=1", rows+" FORMAT "+format)
		if streamed.header.Get("Content-Length") != "" {
			t.Errorf("%s: was not streamed", format)
		}
		if streamed.status != http.StatusOK || !strings.HasPrefix(whole.body, streamed.body[:min(len(streamed.body), 100)]) || len(streamed.body) > len(whole.body) {
			t.Errorf("%s: %d bytes streamed, %d whole", format, len(streamed.body), len(whole.body))
			continue
		}
		if whole.body[:len(streamed.body)] != streamed.body {
			t.Errorf("%s: bytes differ", format)
		}
	}
}

func TestDoor_RefusesAWholeResultAboveItsCap(t *testing.T) {
	sup := enginetest.StartOwn(t, engine.Config{MaxResultBytes: 1 << 20})
	a := ask(t, sup.DSN(engine.UserApp), "", "SELECT number FROM numbers(1000000) FORMAT JSON")
	if code := a.header.Get("X-ClickHouse-Exception-Code"); code != "396" {
		t.Errorf("answered %d %s", a.status, a.body[:min(len(a.body), 200)])
	}
	if a := ask(t, sup.DSN(engine.UserApp), "", "SELECT number FROM numbers(1000000) FORMAT CSV"); a.status != http.StatusOK {
		t.Errorf("a stream is held to the cap: %s", a.body)
	}
}

func TestDoor_BreaksTheConnectionAfterAnErrorInMidstream(t *testing.T) {
	dsn := enginetest.StartForTest(t)
	r := request(t.Context(), t, dsn, "", strings.NewReader("SELECT throwIf(number = 3000000) FROM numbers(10000000) FORMAT CSV")) //nolint:bodyclose // request closes it
	body, err := io.ReadAll(r.Body)
	if r.StatusCode != http.StatusOK || err == nil {
		t.Fatalf("status %d, error %v: a cut result looks whole", r.StatusCode, err)
	}
	tag := r.Header.Get("X-ClickHouse-Exception-Tag")
	want := regexp.MustCompile(`\r\n__exception__\r\n` + tag + `\r\nCode: 395\. DB::Exception: .*\n(\d+) ` + tag + `\r\n__exception__\r\n$`)
	if len(tag) != 16 || !want.Match(body) {
		t.Errorf("tag %q, end %q", tag, body[max(0, len(body)-400):])
	}
	// The same error before any byte went out has its status.
	if a := ask(t, dsn, "wait_end_of_query=1", "SELECT throwIf(number = 3000000) FROM numbers(10000000) FORMAT CSV"); a.status != http.StatusInternalServerError {
		t.Errorf("with wait_end_of_query: %d", a.status)
	}
}

func TestDoor_CancelsWhatAClientLeft(t *testing.T) {
	dsn := enginetest.StartForTest(t)
	for _, sql := range []string{
		"SELECT count() FROM system.numbers",             // before its first byte
		"SELECT number FROM system.numbers FORMAT CSV",   // while its rows stream
		"SELECT count() FROM system.numbers FORMAT JSON", // whole
	} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			u, err := url.Parse(dsn)
			if err != nil {
				return
			}
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String()[:strings.LastIndex(u.String(), "/")+1], strings.NewReader(sql))
			if err != nil {
				return
			}
			if response, err := http.DefaultClient.Do(r); err == nil {
				_, _ = io.Copy(io.Discard, bufio.NewReader(response.Body)) // until cancelled
				_ = response.Body.Close()
			}
		}()
		running := func() string {
			return good(t, dsn, "SELECT count() FROM system.processes WHERE query LIKE '%system.numbers%' AND query NOT LIKE '%processes%'")
		}
		for running() == "0\n" {
		}
		cancel()
		<-ended
		for running() != "0\n" {
			if t.Context().Err() != nil {
				t.Fatal("still running")
			}
		}
	}
}
