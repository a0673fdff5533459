package replay

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"daybook/schemas"
)

// readAll maps every line of the files and gives the rows.
func readAll(tb testing.TB, opts *Options, paths ...string) []Row {
	tb.Helper()
	in, err := OpenInputs(paths, strings.NewReader(""))
	if err != nil {
		tb.Fatal(err)
	}
	defer in.Close()
	var rows []Row
	if err := Read(tb.Context(), in, opts, func(r *Row) error {
		own := *r
		own.Key, own.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
		rows = append(rows, own)
		return nil
	}); err != nil {
		tb.Fatal(err)
	}
	return rows
}

// readText maps the lines of one file with that name and content.
func readText(tb testing.TB, opts *Options, name, content string) []Row {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	return readAll(tb, opts, path)
}

// brief shows a row in one line.
func brief(r Row) string {
	if r.Err != "" {
		return fmt.Sprintf("%d ERR %s", r.Line, r.Err)
	}
	return fmt.Sprintf("%d %s %s", r.Line, r.Key, r.Value)
}

func briefs(rows []Row) []string {
	all := make([]string, 0, len(rows))
	for _, r := range rows {
		all = append(all, brief(r))
	}
	return all
}

func TestRead_Sample(t *testing.T) {
	rows := readAll(t, &Options{Network: "sample"}, "../testdata/sample/apache_logs.gz")
	var bad []Row
	var d schemas.Decoder
	for _, r := range rows {
		if r.Err != "" {
			bad = append(bad, r)
			continue
		}
		var e schemas.Event
		if reject := d.Decode(r.Value, &e); reject.Reason != schemas.Accepted {
			t.Fatalf("line %d: %v", r.Line, reject)
		}
		d.Reset()
	}
	if len(rows) != 10_000 || len(bad) != 1 {
		t.Fatalf("got %d rows, %d bad; want 10000 and 1", len(rows), len(bad))
	}
	if want := "the closing quote of the user agent is missing"; !strings.Contains(bad[0].Err, want) {
		t.Errorf("got %q, want it to say %q", bad[0].Err, want)
	}
	if !strings.HasPrefix(string(bad[0].Value), "46.118.127.106 - - [20/May/2015:12:05:17 +0000]") {
		t.Errorf("the line is not kept as it was: %q", bad[0].Value)
	}
}

func TestCombined_MapsParts(t *testing.T) {
	log := `10.0.0.1 - alice [17/May/2015:10:05:03 +0200] "GET /a%20b?q=1 HTTP/1.1" 200 12 "http://r/" "Mozilla \"x\" 1"
10.0.0.2 - - [17/May/2015:10:05:03 +0000] "-" 408 -
not a log line
10.0.0.3 - first last [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 - "-" "-"
10.0.0.3 - - [17/Mai/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 - "-" "-"
`
	want := []string{
		`1 n/alice {"id":"a.log:1","source":"a.log","network":"n","user":"alice","time":"2015-05-17T08:05:03.000Z","action":"GET","content":{"id":"/a%20b"},"context":{"ua":"Mozilla \"x\" 1","url":"/a%20b?q=1"},"props":{"bytes":"12","referrer":"http://r/","status":"200"}}`,
		`2 n/10.0.0.2 {"id":"a.log:2","source":"a.log","network":"n","user":"10.0.0.2","time":"2015-05-17T10:05:03.000Z","props":{"status":"408"}}`,
		`3 ERR not a combined log line: it has no [time]`,
		`4 n/first last {"id":"a.log:4","source":"a.log","network":"n","user":"first last","time":"2015-05-17T10:05:03.000Z","action":"GET","content":{"id":"/"},"context":{"url":"/"},"props":{"status":"200"}}`,
		`5 ERR read time "17/Mai/2015:10:05:03 +0000": it does not match the layout "02/Jan/2006:15:04:05 -0700"`,
	}
	if diff := cmp.Diff(want, briefs(readText(t, &Options{Network: "n"}, "a.log", log))); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestCSV_KeepsGoodLinesAroundBadOnes(t *testing.T) {
	columns, err := ParseMap([]string{"user=who,time=when:unix,action=what", "props.k=extra"})
	if err != nil {
		t.Fatal(err)
	}
	csv := "\xef\xbb\xbfwhen,who,what,extra\r\n" +
		"1,u1,\"a, \"\"b\"\"\",x\r\n" + // quoted comma and quote
		"2,u2,VIEW,\"two\nlines\"\n" + // a record of two lines
		"3,u3,5\" screen,\n" + // stray quote
		"4,u4,VIEW,\n" +
		"\n" + // blank: skipped
		"5,,VIEW,\n" +
		"x,u6,VIEW,\n" +
		"7,u7,VIEW\n" +
		"8.0015,u8,VIEW,\n" +
		"9,u9,\"open,\n" +
		"10,u10,VIEW,"
	want := []string{
		`2 n/u1 {"id":"f.csv:2","source":"f.csv","network":"n","user":"u1","time":"1970-01-01T00:00:01.000Z","action":"a, \"b\"","props":{"k":"x"}}`,
		`3 n/u2 {"id":"f.csv:3","source":"f.csv","network":"n","user":"u2","time":"1970-01-01T00:00:02.000Z","action":"VIEW","props":{"k":"two\nlines"}}`,
		`5 ERR a quote stands inside a field that is not quoted`,
		`6 n/u4 {"id":"f.csv:6","source":"f.csv","network":"n","user":"u4","time":"1970-01-01T00:00:04.000Z","action":"VIEW"}`,
		`8 ERR the user is empty`,
		`9 ERR read time "x": it is not a number of seconds`,
		`10 ERR the record has 3 fields, the header has 4`,
		`11 n/u8 {"id":"f.csv:11","source":"f.csv","network":"n","user":"u8","time":"1970-01-01T00:00:08.001Z","action":"VIEW"}`,
		`12 ERR a quote is not closed`,
		`13 n/u10 {"id":"f.csv:13","source":"f.csv","network":"n","user":"u10","time":"1970-01-01T00:00:10.000Z","action":"VIEW"}`,
	}
	if diff := cmp.Diff(want, briefs(readText(t, &Options{Network: "n", Map: columns}, "f.csv", csv))); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestNDJSON_FillsAndKeeps(t *testing.T) {
	lines := `{"id":"1","source":"s","network":"m","user":"u","time":"2026-01-01T00:00:00Z"}
{"network":"m","user":"u","time":"2026-01-01T00:00:00Z","x":12345678901234567890}

{"id":"4","network":"m","user":7,"time":"2026-01-01T00:00:00Z"}
{"id":"5",
{"id":"6","source":"s","network":"m","user":"u","time":"yesterday"}
`
	rows := readText(t, &Options{}, "e.ndjson", lines+"\n\n")
	want := []string{
		`1 m/u {"id":"1","source":"s","network":"m","user":"u","time":"2026-01-01T00:00:00Z"}`,
		`2 m/u {"id":"e.ndjson:2","network":"m","source":"e.ndjson","time":"2026-01-01T00:00:00Z","user":"u","x":12345678901234567890}`,
		`3 replay/unmappable `,
		`4 replay/unmappable {"id":"4","network":"m","user":7,"time":"2026-01-01T00:00:00Z"}`,
		`5 replay/unmappable {"id":"5",`,
		`6 m/u {"id":"6","source":"s","network":"m","user":"u","time":"yesterday"}`,
	}
	if diff := cmp.Diff(want, briefs(rows)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if rows[4].File == "" {
		t.Error("a bad line does not bear its file")
	}
}

func TestNDJSON_MapsAndOverrides(t *testing.T) {
	columns, err := ParseMap([]string{"user=who.id,time=ts:unixms"})
	if err != nil {
		t.Fatal(err)
	}
	opts := &Options{Map: columns, Network: "over", Set: map[string]string{"device.class": "mobile"}}
	rows := readText(t, opts, "e.ndjson", `{"who":{"id":9007199254740993},"ts":1500,"network":"m"}`+"\n")
	var d schemas.Decoder
	var e schemas.Event
	if reject := d.Decode(rows[0].Value, &e); reject.Reason != schemas.Accepted {
		t.Fatalf("%v: %s", reject, rows[0].Value)
	}
	got := fmt.Sprintf("%s %s %d %s", e.Network, e.User, e.TimeMs, e.DeviceClass)
	if want := "over 9007199254740993 1500 mobile"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLines_OverLong(t *testing.T) {
	long := strings.Repeat("x", 3_000_000)
	rows := readText(t, &Options{}, "e.ndjson", `{"id":"1"}`+"\n"+long+"\n"+`{"id":"3"}`+"\n")
	if len(rows) != 3 || len(rows[1].Value) != cutLineBytes || rows[2].Line != 3 {
		t.Fatalf("got %d rows, second of %d bytes, third on line %d", len(rows), len(rows[1].Value), rows[2].Line)
	}
	if want := "the line has 3000000 bytes, more than 1024000; its first 65536 are kept"; rows[1].Err != want {
		t.Errorf("got %q, want %q", rows[1].Err, want)
	}
}

func TestInputs_GzipAndZipMembers(t *testing.T) {
	dir := t.TempDir()
	var two bytes.Buffer
	for _, id := range []string{"1", "2"} { // two gzip members in one file
		z := gzip.NewWriter(&two)
		fmt.Fprintf(z, `{"id":"%s","source":"s","network":"m","user":"u","time":"2026-01-01T00:00:00Z"}`+"\n", id)
		z.Close()
	}
	path := filepath.Join(dir, "two.gz")
	if err := os.WriteFile(path, two.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	zw := zip.NewWriter(&archive)
	for _, name := range []string{"a/x.ndjson", "b/x.ndjson", "y.ndjson.gz"} {
		w, err := zw.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".gz") {
			_, _ = w.Write(two.Bytes())
			continue
		}
		fmt.Fprint(w, `{"network":"m","user":"u","time":"2026-01-01T00:00:00Z"}`)
	}
	zw.Close()
	zipPath := filepath.Join(dir, "all.zip")
	if err := os.WriteFile(zipPath, archive.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var ids []string
	var d schemas.Decoder
	for _, r := range readAll(t, &Options{}, path, zipPath) {
		var e schemas.Event
		d.Decode(r.Value, &e)
		ids = append(ids, strings.ReplaceAll(string(e.ID), dir, ""))
	}
	want := []string{"1", "2", "/all.zip/a/x.ndjson:1", "/all.zip/b/x.ndjson:1", "1", "2"}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}

func TestDetect(t *testing.T) {
	for _, c := range []struct{ head, name, want string }{
		{"\n {\"id\":1}", "x", "ndjson"},
		{`1.1.1.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1`, "access_log", "combined"},
		{"a,b\n", "x", "csv"},
		{"a\n", "x.csv.gz", "csv"},
		{"garbage\n" + `1.1.1.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1`, "x.log", "combined"},
	} {
		if got, err := detect([]byte(c.head), c.name); string(got) != c.want || err != nil {
			t.Errorf("detect(%q, %s) = %s, %v; want %s", c.head, c.name, got, err, c.want)
		}
	}
	if _, err := detect([]byte("hello\n"), "x"); err == nil {
		t.Error("a text without format was taken")
	}
}

func TestParseMap(t *testing.T) {
	got, err := ParseMap([]string{"user=personId,time=timestamp:Jan 2, 2006 15:04:05,content.id=a:b"})
	want := []Column{{"user", "personId", ""}, {"time", "timestamp", "Jan 2, 2006 15:04:05"}, {"content.id", "a:b", ""}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, bad := range []string{"user", "nobody=x", "time=x:unixtime", "=x", "user="} {
		if _, err := ParseMap([]string{bad}); err == nil {
			t.Errorf("ParseMap(%q) took it", bad)
		}
	}
}

// The sorter gives the same order as a stable sort in memory, whatever fits.
func TestSorter_EqualsStableSort(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		times := rapid.SliceOfN(rapid.Int64Range(-5, 5), 0, 200).Draw(rt, "times")
		s := NewSorter(dir, rapid.Int64Range(1, 5000).Draw(rt, "memory"))
		defer s.Close()
		for i, ms := range times {
			if err := s.Add(&Row{TimeMs: ms, Line: uint64(i), Key: []byte("k"), Value: []byte{}}); err != nil {
				rt.Fatal(err)
			}
		}
		last, n := Row{TimeMs: -100}, 0
		if err := s.Each(func(r *Row) error {
			if r.TimeMs < last.TimeMs || (r.TimeMs == last.TimeMs && r.Line < last.Line) {
				rt.Fatalf("%d/%d came after %d/%d", r.TimeMs, r.Line, last.TimeMs, last.Line)
			}
			last = *r
			n++
			return nil
		}); err != nil {
			rt.Fatal(err)
		}
		if n != len(times) {
			rt.Fatalf("got %d rows of %d", n, len(times))
		}
	})
}

// Lines are mapped side by side, and come in their order; a line without a time
// has that of the line before it, also where that is in another batch.
func TestRead_KeepsOrderAcrossBatches(t *testing.T) {
	const lines = 10 * batchLines
	var text strings.Builder
	for i := range lines {
		if i%3 == 1 {
			fmt.Fprintf(&text, "no event %d\n", i)
			continue
		}
		fmt.Fprintf(&text, `{"id":"%d","source":"s","network":"m","user":"u","time":"2026-01-01T%02d:%02d:%02dZ"}`+"\n", i, i/3600, i/60%60, i%60)
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	rows := readText(t, &Options{}, "e.ndjson", text.String())
	if len(rows) != lines {
		t.Fatalf("got %d rows, want %d", len(rows), lines)
	}
	for i, r := range rows {
		at, want := i, fmt.Sprintf(`{"id":"%d"`, i)
		if i%3 == 1 {
			at, want = i-1, fmt.Sprintf("no event %d", i)
		}
		if r.Line != uint64(i+1) || r.TimeMs != start+int64(at)*1000 || !strings.HasPrefix(string(r.Value), want) {
			t.Fatalf("row %d: line %d, time %d, %s", i, r.Line, r.TimeMs-start, r.Value)
		}
	}
}

// A line of a pipe does not wait for the next one.
func TestRead_HandsOnWhatAPipeGives(t *testing.T) {
	reader, writer := io.Pipe()
	in, err := OpenInputs([]string{"-"}, reader)
	if err != nil {
		t.Fatal(err)
	}
	line := func(i int) {
		fmt.Fprintf(writer, `{"id":"%d","source":"s","network":"m","user":"u","time":"2026-01-01T00:00:00Z"}`+"\n", i)
	}
	go line(0)
	seen := 0
	if err := Read(t.Context(), in, &Options{Format: FormatNDJSON}, func(*Row) error {
		if seen++; seen == 5 {
			return writer.Close()
		}
		go line(seen) // only now: a reader that waited for more would wait for ever
		return nil
	}); err != nil || seen != 5 {
		t.Errorf("%d lines, %v", seen, err)
	}
}

// Who stops in the middle gets his error, and nothing runs on.
func TestRead_StopsAtTheFirstError(t *testing.T) {
	line := `{"id":"1","source":"s","network":"m","user":"u","time":"2026-01-01T00:00:00Z"}` + "\n"
	in, err := OpenInputs([]string{"-"}, strings.NewReader(strings.Repeat(line, 20*batchLines)))
	if err != nil {
		t.Fatal(err)
	}
	wrong, seen := errors.New("enough"), 0
	got := Read(t.Context(), in, &Options{}, func(*Row) error {
		if seen++; seen == 3 {
			return wrong
		}
		return nil
	})
	if !errors.Is(got, wrong) || seen != 3 {
		t.Errorf("%v after %d rows", got, seen)
	}
}

// Replaying a file again gives the same bytes: nothing depends on a clock.
func TestRead_IsAFunctionOfTheFile(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lines := rapid.SliceOf(rapid.SampledFrom([]string{
			"", "x", `{"network":"n","user":"u","time":"2026-01-01T00:00:00Z"}`, `{"user":"ů","props":{"b":1,"a":2}}`, "\xff\x00",
		})).Draw(rt, "lines")
		text := strings.Join(lines, "\n")
		a := readText(t, &Options{Format: FormatNDJSON, Network: "o", Source: "s"}, "a", text)
		b := readText(t, &Options{Format: FormatNDJSON, Network: "o", Source: "s"}, "a", text)
		for i := range a {
			a[i].File, b[i].File = "", "" // the folders differ
		}
		if diff := cmp.Diff(a, b, cmp.AllowUnexported(Row{})); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// What is looked at for the end of a stray quote is put together once, not anew
// with each line: a quote in a long file would cost seconds.
func TestRead_AStrayQuoteIsFoundInTimeOfTheLines(t *testing.T) {
	file := "user,time,network\n" + "u\"x,2026-01-01T00:00:00Z,n\n" + strings.Repeat("u,2026-01-01T00:00:00Z,n\n", 20_000)
	path := filepath.Join(t.TempDir(), "stray.csv")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	rows := readAll(t, &Options{}, path)
	runtime.ReadMemStats(&after)
	if len(rows) != 20_001 || rows[0].Err != "a quote is not closed" || rows[1].Err != "" {
		t.Fatalf("%d rows, the first ones %v", len(rows), briefs(rows[:2]))
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 200<<20 { // line by line it would be 5 GB
		t.Errorf("%d MB were allocated for a file of %d KB", n>>20, len(file)>>10)
	}
}

// Whoever gives a replay up is not kept waiting by an input that brings nothing.
func TestRead_EndsWhileStdinWaits(t *testing.T) {
	for name, first := range map[string]string{
		"before the first byte": "",
		"after some lines":      strings.Repeat(`{"id":"1","network":"n","user":"u","time":"2026-05-12T14:20:00Z"}`+"\n", 3),
	} {
		for _, format := range []Format{FormatAuto, FormatNDJSON, FormatCSV} {
			t.Run(name+" "+string(format), func(t *testing.T) {
				stdin, typed := io.Pipe()
				defer typed.Close()
				in, err := OpenInputs([]string{"-"}, stdin)
				if err != nil {
					t.Fatal(err)
				}
				gone := errors.New("gone")
				ctx, cancel := context.WithCancelCause(t.Context())
				done := make(chan error, 1)
				go func() {
					done <- Read(ctx, in, &Options{Format: format}, func(*Row) error { return nil })
				}()
				if _, err := io.WriteString(typed, first); err != nil {
					t.Fatal(err)
				}
				cancel(gone)
				select {
				case err := <-done:
					if !errors.Is(err, gone) && format != FormatCSV { // the lines are no CSV
						t.Errorf("ended with %v", err)
					}
				case <-time.After(10 * time.Second):
					t.Fatal("it still reads")
				}
			})
		}
	}
}
