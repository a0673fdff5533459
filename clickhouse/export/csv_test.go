package export_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"daybook/clickhouse/export"
)

func TestCSV_WritesRFC4180WithCRLF(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := export.NewCSV(&out, []string{"user_id", "n", "ok"})
	for _, row := range []struct {
		text string
		n    int64
		ok   bool
	}{{"plain", 1, true}, {"with, comma", -2, false}, {`say "hi"`, 3, true}, {"two\nlines", 4, true}, {"", 0, false}} {
		if err := c.Text(row.text).Int(row.n).Bool(row.ok).End(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	want := "user_id,n,ok\r\nplain,1,true\r\n\"with, comma\",-2,false\r\n\"say \"\"hi\"\"\",3,true\r\n\"two\nlines\",4,true\r\n,0,false\r\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("csv (-want +got):\n%s", diff)
	}
	if c.Rows() != 5 {
		t.Errorf("Rows() = %d, want 5", c.Rows())
	}
}

func TestCSV_GuardsTextAgainstFormulas(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"=1+1":               "'=1+1",
		"+49 30":             "'+49 30",
		"-1":                 "'-1",
		"@SUM(A1)":           "'@SUM(A1)",
		"\t=1":               "'\t=1",
		"\r=1":               "'\r=1",
		"\x00=1":             "'\x00=1",
		"＝1+1":               "'＝1+1",
		"＋1":                 "'＋1",
		"－1":                 "'－1",
		"＠a":                 "'＠a",
		"  =1":               "'  =1",
		"\ufeff=cmd|' /C x'": "'\ufeff=cmd|' /C x'",
		"a=1":                "a=1",
		"user-1":             "user-1",
		"a;=1":               "a;=1",
		"":                   "",
		"Žluťoučký":          "Žluťoučký",
	} {
		if got := oneCell(t, in, false); got != want {
			t.Errorf("guarded %q = %q, want %q", in, got, want)
		}
		if got := oneCell(t, in, true); got != in {
			t.Errorf("raw %q = %q, want it unchanged", in, got)
		}
	}
}

// Days and offsets are remembered from row to row; every cell must be what a
// fresh format gives.
func TestCSV_InstantsAndDatesAsFormatted(t *testing.T) {
	t.Parallel()
	var places []*time.Location
	var zones []*export.Zone
	for _, name := range []string{"UTC", "Europe/Prague", "America/St_Johns", "Asia/Kathmandu", "Pacific/Kiritimati", "Africa/Monrovia"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		places, zones = append(places, zone), append(zones, export.NewZone(zone))
	}
	r := rand.New(rand.NewPCG(1, 2))
	var out bytes.Buffer
	c := export.NewCSV(&out, []string{"instant", "date", "again", "in_zone"})
	want := []string{"instant,date,again,in_zone"}
	second := int64(0)
	for i := range 20_000 {
		switch i % 10 {
		case 0:
			second = r.Int64N(6_000_000_000) - 2_000_000_000 // 1906 to 2096
		case 5:
			second = second / 86400 * 86400 // an edge of a day
		default:
			second += r.Int64N(4000)
		}
		place := r.IntN(len(places))
		at := time.Unix(second, 0).In(places[place])
		days := int32(r.IntN(65536))
		if err := c.Instant(at).Date(days).Instant(at.Add(time.Hour)).InstantIn(second, zones[place]).End(); err != nil {
			t.Fatal(err)
		}
		const layout = "2006-01-02T15:04:05-07:00"
		want = append(want, at.Format(layout)+","+time.Unix(int64(days)*86400, 0).UTC().Format(time.DateOnly)+","+at.Add(time.Hour).Format(layout)+","+at.Format(layout))
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, strings.Split(strings.TrimSuffix(out.String(), "\r\n"), "\r\n")); diff != "" {
		t.Errorf("(-want +got):\n%.3000s", diff)
	}
}

// The bytes of a cell, by the rules as one would write them down.
func TestCSV_CellsAreWhatTheRulesSay(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	pieces := []string{"", " ", "=", "-", "a", "7", ",", ";", "\t", "\r", "\n", `"`, "\x00", "\xff", "é", "＝", "\u200b", "\u00a0", ":", "@", "_", "\x7f", "'"}
	for range 20_000 {
		var in strings.Builder
		for range r.IntN(6) {
			in.WriteString(pieces[r.IntN(len(pieces))])
		}
		for _, raw := range []bool{false, true} {
			var out bytes.Buffer
			c := export.NewCSV(&out, []string{"a", "b", "c"}, export.Raw(raw))
			if err := c.Text(in.String()).Bytes([]byte(in.String())).UUID([16]byte{0: 0xab, 7: 0x0c, 15: 0xff}).End(); err != nil {
				t.Fatal(err)
			}
			if err := c.Flush(); err != nil {
				t.Fatal(err)
			}
			cell := cellByTheRules(in.String(), raw)
			if want := "a,b,c\r\n" + cell + "," + cell + ",ab000000-0000-000c-0000-0000000000ff\r\n"; out.String() != want {
				t.Fatalf("%q, raw %t: %q, want %q", in.String(), raw, out.String(), want)
			}
		}
	}
}

func cellByTheRules(s string, raw bool) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	opens := strings.TrimLeftFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || unicode.IsControl(r) })
	if !raw && (strings.IndexAny(s, "\t\r\n\x00") == 0 || strings.IndexAny(opens, "=+-@＝＋－＠﹢﹣﹦﹫−") == 0) {
		s = "'" + s
	}
	if strings.ContainsAny(s, ",;\t\r\n\"\x00") || strings.HasPrefix(s, " ") || strings.HasSuffix(s, " ") {
		return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
	}
	return s
}

func TestCSV_QuotesWhatAnotherSeparatorWouldSplit(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := export.NewCSV(&out, []string{"a"})
	_ = c.Text("x;=1").End()
	_ = c.Flush()
	if want := "a\r\n\"x;=1\"\r\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestCSV_RefusesRowOfWrongWidth(t *testing.T) {
	t.Parallel()
	c := export.NewCSV(io.Discard, []string{"a", "b"})
	if err := c.Text("x").End(); err == nil || !strings.Contains(err.Error(), "1 cells under 2 columns") {
		t.Errorf("End() = %v, want an error about the width", err)
	}
}

type brokenPipe struct{ after int }

func (b *brokenPipe) Write(p []byte) (int, error) {
	if b.after -= len(p); b.after < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

func TestCSV_KeepsFirstErrorOfDestination(t *testing.T) {
	t.Parallel()
	c := export.NewCSV(&brokenPipe{after: 40 << 10}, []string{"a"})
	var err error
	for range 10_000 {
		if err = c.Text("0123456789").End(); err != nil {
			break
		}
	}
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("End() = %v, want the destination's error", err)
	}
	if err := c.Flush(); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Flush() = %v, want the destination's error again", err)
	}
}

// FuzzCSV: whatever a user is called, the raw cell comes back byte by byte
// (encoding/csv reads CRLF in a cell as LF), the guarded one differs by one
// apostrophe at most and never begins like a formula.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"", "a", "=1", "\r\n", "a\rb", "a\nb", `"`, `""`, ",", " ", "＝", "\x00", "\xff", "a\tb", "'=1", "\u00a0=", "\u200b@x"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		var raw, safe bytes.Buffer
		for out, on := range map[*bytes.Buffer]bool{&raw: true, &safe: false} {
			c := export.NewCSV(out, []string{"a", "b"}, export.Raw(on))
			if err := c.Text(a).Text(b).End(); err != nil {
				t.Fatal(err)
			}
			if err := c.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		plain := func(s string) string {
			return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
		}
		want := []string{plain(a), plain(b)}
		if diff := cmp.Diff(want, readBack(t, raw.Bytes())); diff != "" {
			t.Errorf("raw (-want +got):\n%s", diff)
		}
		for i, cell := range readBack(t, safe.Bytes()) {
			if cell != want[i] && cell != "'"+want[i] {
				t.Errorf("cell %q, want %q with at most an apostrophe", cell, want[i])
			}
			if strings.ContainsAny(firstRune(cell), "=+-@\t\r\n\x00＝＋－＠") {
				t.Errorf("cell %q begins like a formula", cell)
			}
		}
	})
}

func BenchmarkCSV_ActivityRow(b *testing.B) {
	c := export.NewCSV(io.Discard, make([]string, 8))
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Text("-1032019229384696495").Text("Žofie").Plain("2017-02-28").Int(3).Plain("2017-02-28T10:00:00+01:00").Int(1800).Plain("0:30:00").Bool(false).End(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// The row of the sessions export, which is the largest there is.
func BenchmarkCSV_SessionRow(b *testing.B) {
	zone, err := time.LoadLocation("Europe/Prague")
	if err != nil {
		b.Fatal(err)
	}
	c := export.NewCSV(io.Discard, make([]string, 13))
	const noon = 1_488_272_400
	start, place := int64(noon), export.NewZone(zone)
	id, user, device := [16]byte{1, 0x98, 0xf2, 0xa0}, []byte("-1032019229384696495"), []byte("mobile")
	b.ReportAllocs()
	for b.Loop() {
		if start++; start == noon+3600 {
			start = noon
		}
		if err := c.UUID(id).Bytes(user).Date(17_225).Bytes(device).Plain("mobile").
			InstantIn(start, place).InstantIn(start+1800, place).Int(1800).Plain("closed").Plain("timeout").
			Int(12).Plain("Europe/Prague").Bool(false).End(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func firstRune(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return s[:n]
}

func oneCell(t *testing.T, s string, raw bool) string {
	t.Helper()
	var out bytes.Buffer
	c := export.NewCSV(&out, []string{"a", "b"}, export.Raw(raw))
	if err := c.Text(s).Plain("x").End(); err != nil {
		t.Fatal(err)
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	return readBack(t, out.Bytes())[0]
}

func readBack(t *testing.T, body []byte) []string {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("read %q back: %d rows, %v", body, len(rows), err)
	}
	return rows[1]
}
