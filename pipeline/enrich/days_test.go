package enrich

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// loc loads a zone.
func loc(tb testing.TB, name string) *time.Location {
	tb.Helper()
	l, ok := NewZones().Load([]byte(name))
	if !ok {
		tb.Fatalf("zone %q is unknown", name)
	}
	return l
}

// sec reads an RFC 3339 instant.
func sec(tb testing.TB, text string) int64 {
	tb.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		tb.Fatal(err)
	}
	return at.Unix()
}

// day reads a date as days since 1970-01-01.
func day(tb testing.TB, text string) int32 {
	tb.Helper()
	return int32(sec(tb, text+"T00:00:00Z") / 86400)
}

// want is a date with the seconds of a session on it.
type want struct {
	Date    string
	Seconds int32
}

// checkSplit splits and compares dates and seconds; it gives the slices.
func checkSplit(t *testing.T, zone, start, end string, wants ...want) []Slice {
	t.Helper()
	slices := NewZones().Split(nil, loc(t, zone), sec(t, start), sec(t, end))
	got := make([]want, 0, len(slices))
	for _, s := range slices {
		got = append(got, want{time.Unix(int64(s.Date)*86400, 0).UTC().Format(time.DateOnly), s.Seconds})
	}
	if d := cmp.Diff(wants, got); d != "" {
		t.Errorf("%s %s to %s (-want +got):\n%s", zone, start, end, d)
	}
	return slices
}

// The golden vectors of SEMANTICS.md section 8, by their numbers.

func TestGolden_1(t *testing.T) {
	slices := checkSplit(t, "Europe/Amsterdam", "2026-03-10T23:30:00+01:00", "2026-03-11T01:15:00+01:00",
		want{"2026-03-10", 1800}, want{"2026-03-11", 4500})
	// Counted once, on the 10th: the start's date comes first.
	start := NewZones().Date(loc(t, "Europe/Amsterdam"), sec(t, "2026-03-10T23:30:00+01:00"))
	if slices[0].Date != start || slices[1].Date == start {
		t.Errorf("the session starts on day %d; slices %v", start, slices)
	}
}

func TestGolden_2(t *testing.T) {
	checkSplit(t, "Europe/Amsterdam", "2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00", want{"2026-03-29", 3600})
}

func TestGolden_3(t *testing.T) {
	slices := checkSplit(t, "Europe/Amsterdam", "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", want{"2026-10-25", 3600})
	if len(slices[0].Runs) != 1 {
		t.Errorf("a transition within a date made runs %v", slices[0].Runs)
	}
}

func TestGolden_4(t *testing.T) {
	checkSplit(t, "Europe/Amsterdam", "2026-10-24T23:00:00+02:00", "2026-10-25T05:00:00+01:00",
		want{"2026-10-24", 3600}, want{"2026-10-25", 21_600})
}

func TestGolden_5(t *testing.T) {
	tests := []struct {
		zone, date string
		minutes    int64
		begins     string // wall clock of the first instant
	}{
		{"Europe/Amsterdam", "2026-03-29", 1380, "00:00"},
		{"Europe/Prague", "2026-03-29", 1380, "00:00"},
		{"Europe/Amsterdam", "2026-10-25", 1500, "00:00"},
		{"Europe/Prague", "2026-10-25", 1500, "00:00"},
		{"Australia/Lord_Howe", "2026-04-05", 1470, "00:00"},
		{"Australia/Lord_Howe", "2026-10-04", 1410, "00:00"},
		{"Africa/Cairo", "2026-04-24", 1380, "01:00"},
		{"America/Santiago", "2026-09-06", 1380, "01:00"},
		{"America/Havana", "2026-03-08", 1380, "01:00"},
		{"Asia/Beirut", "2026-03-29", 1380, "01:00"},
		{"Pacific/Apia", "2011-12-30", 0, ""},
		{"UTC", "2026-03-29", 1440, "00:00"},
	}
	for _, tt := range tests {
		z, l := NewZones(), loc(t, tt.zone)
		from, _, seconds := z.Day(l, day(t, tt.date))
		if seconds != tt.minutes*60 || z.DayLength(l, day(t, tt.date)) != seconds {
			t.Errorf("%s %s: %d s, want %d min", tt.zone, tt.date, seconds, tt.minutes)
		}
		if begins := time.Unix(from, 0).In(l).Format("2006-01-02 15:04"); tt.begins != "" && begins != tt.date+" "+tt.begins {
			t.Errorf("%s %s begins %s, want %s", tt.zone, tt.date, begins, tt.begins)
		}
	}
}

func TestGolden_6(t *testing.T) {
	checkSplit(t, "Africa/Cairo", "2026-04-23T21:30:00Z", "2026-04-23T23:00:00Z",
		want{"2026-04-23", 1800}, want{"2026-04-24", 3600})
}

func TestGolden_7(t *testing.T) {
	// Two days, each of two runs: at 00:01 of the 7th clocks go back to 23:01.
	slices := checkSplit(t, "America/St_Johns", "2010-11-06T02:30:00Z", "2010-11-08T03:30:00Z",
		want{"2010-11-06", 24*3600 + 59*60}, want{"2010-11-07", 24*3600 + 60})
	for _, s := range slices {
		if len(s.Runs) != 2 {
			t.Errorf("runs %v, want two", s.Runs)
		}
	}
}

func TestGolden_8(t *testing.T) {
	checkSplit(t, "Pacific/Apia", "2011-12-30T09:00:00Z", "2011-12-30T11:00:00Z",
		want{"2011-12-29", 3600}, want{"2011-12-31", 3600})
}

func TestSplit_FirstSliceIsThatOfTheStart(t *testing.T) {
	// The session starts on the 7th, before clocks go back to the 6th.
	checkSplit(t, "America/St_Johns", "2010-11-07T02:30:30Z", "2010-11-07T04:00:00Z",
		want{"2010-11-07", 30 + 1800}, want{"2010-11-06", 59 * 60})
}

func TestSplit_SessionWithoutLengthHasOneSlice(t *testing.T) {
	for _, start := range []string{"2026-03-10T12:00:00Z", "2026-03-10T23:00:00Z"} { // the second is midnight there
		slices := NewZones().Split(nil, loc(t, "Europe/Amsterdam"), sec(t, start), sec(t, start))
		if len(slices) != 1 || slices[0].Seconds != 0 || len(slices[0].Runs) != 0 {
			t.Errorf("%s: %v", start, slices)
		}
	}
}

// Go's time gives bounds of the zone in the past there.
func TestSplit_EndsInTheLastDayOfALeapYear(t *testing.T) {
	checkSplit(t, "Europe/Amsterdam", "2040-12-30T20:00:00+01:00", "2041-01-01T02:00:00+01:00",
		want{"2040-12-30", 4 * 3600}, want{"2040-12-31", 86_400}, want{"2041-01-01", 2 * 3600})
}

func TestSplit_EndAtMidnightHasNoSliceOnTheNextDay(t *testing.T) {
	checkSplit(t, "Europe/Amsterdam", "2026-03-10T22:00:00Z", "2026-03-10T23:00:00Z", want{"2026-03-10", 3600})
	checkSplit(t, "Europe/Amsterdam", "2026-03-10T23:00:00Z", "2026-03-10T23:30:00Z", want{"2026-03-11", 1800})
}

// The tz-dst cases of Apache Flink's TimeWindowUtilTest (Apache-2.0): at these
// instants the wall clock shows these dates, the hour of 2021-11-07 in Los
// Angeles twice.
func TestDate_AgreesWithFlink(t *testing.T) {
	tests := []struct {
		zone string
		ms   int64
		date string
	}{
		{"Asia/Shanghai", -28_799_000, "1970-01-01"},
		{"Asia/Shanghai", -28_801_000, "1969-12-31"},
		{"America/Los_Angeles", 1_615_708_800_000, "2021-03-14"},
		{"America/Los_Angeles", 1_615_708_799_000, "2021-03-13"},
		{"America/Los_Angeles", 1_615_719_599_000, "2021-03-14"},
		{"America/Los_Angeles", 1_636_272_000_000, "2021-11-07"},
		{"America/Los_Angeles", 1_636_275_600_000, "2021-11-07"},
		{"America/Los_Angeles", 1_636_268_399_000, "2021-11-06"},
	}
	z := NewZones()
	for _, tt := range tests {
		if got := z.Date(loc(t, tt.zone), tt.ms/1000); got != day(t, tt.date) {
			t.Errorf("%s %d: day %d, want %s", tt.zone, tt.ms, got, tt.date)
		}
	}
}

func TestZones_LoadsKnownNamesOnly(t *testing.T) {
	z := NewZones()
	for _, name := range []string{"", "Local", "Europe/Atlantis", "../etc/passwd", "/etc/localtime", "europe/amsterdam\x00"} {
		if l, ok := z.Load([]byte(name)); ok || l != nil {
			t.Errorf("zone %q is known", name)
		}
		if l := z.LoadOr(name); l != time.UTC {
			t.Errorf("zone %q gives %v, want UTC", name, l)
		}
	}
	for _, name := range []string{"UTC", "Europe/Amsterdam", "America/Argentina/Buenos_Aires"} {
		if l, ok := z.Load([]byte(name)); !ok || l.String() != name || z.LoadOr(name) != l {
			t.Errorf("zone %q: %v, %v", name, l, ok)
		}
	}
}

// I8: the cache is bounded.
func TestZones_CacheIsBounded(t *testing.T) {
	z := NewZones()
	amsterdam := z.LoadOr("Europe/Amsterdam")
	for i := range 5 * maxZones {
		z.Load([]byte("Nowhere/" + string(rune('a'+i%26)) + time.Duration(i).String()))
		z.Date(time.FixedZone("x", i%50_000), 0)
	}
	if len(z.byName) > maxZones || len(z.byLoc) > maxZones {
		t.Errorf("%d names, %d zones", len(z.byName), len(z.byLoc))
	}
	if z.Date(amsterdam, 1_773_183_600) != day(t, "2026-03-11") {
		t.Error("a zone that was forgotten gives another date")
	}
}

func TestSplit_DoesNotAllocateWithinADay(t *testing.T) {
	z, l := NewZones(), loc(t, "Europe/Amsterdam")
	start := sec(t, "2026-03-10T10:00:00Z")
	dst := z.Split(nil, l, start, start+3600)
	if n := testing.AllocsPerRun(100, func() { dst = z.Split(dst[:0], l, start, start+600) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkZones_Split(b *testing.B) {
	z, l := NewZones(), loc(b, "Europe/Amsterdam")
	start := sec(b, "2026-03-10T10:00:00Z")
	var dst []Slice
	b.Run("one day", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			dst = z.Split(dst[:0], l, start, start+1800)
		}
	})
	b.Run("over midnight", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			dst = z.Split(dst[:0], l, start, start+15*3600)
		}
	})
}
