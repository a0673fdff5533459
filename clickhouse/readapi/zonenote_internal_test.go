package readapi

import (
	"testing"
	"time"

	"daybook/clickhouse/query"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := zoneNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// SPK-24, golden vector 14, SEMANTICS.md section 6.3.
func TestGolden_14_ZoneNoteOnlyIfOffsetsDiffer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		subject, viewer, start, end string
		minutes                     int // 0: no note
		text                        string
	}{
		{"Europe/Prague", "Europe/Amsterdam", "2026-03-12T08:00:00Z", "2026-03-12T09:00:00Z", 0, ""},
		{"Europe/Prague", "Europe/London", "2026-03-12T08:00:00Z", "2026-03-12T09:00:00Z", 60, "Times in Europe/Prague, 1 h ahead of you"},
		{"Europe/Prague", "Asia/Kolkata", "2026-03-12T08:00:00Z", "2026-03-12T09:00:00Z", -270, "Times in Europe/Prague, 4 h 30 min behind you"},
		{"Australia/Lord_Howe", "Australia/Sydney", "2026-01-12T08:00:00Z", "2026-01-12T09:00:00Z", 0, ""},
		{"Australia/Lord_Howe", "Australia/Sydney", "2026-07-12T08:00:00Z", "2026-07-12T09:00:00Z", 30, "Times in Australia/Lord_Howe, 30 min ahead of you"},
		// The same offset at the start, another at the end: New York's clocks change in between.
		{"America/New_York", "Etc/GMT+5", "2026-03-08T06:30:00Z", "2026-03-08T07:30:00Z", 60, "Times in America/New_York, 1 h ahead of you"},
		{"Europe/Prague", "", "2026-03-12T08:00:00Z", "2026-03-12T09:00:00Z", 0, ""},
	} {
		view, err := viewer(c.viewer)
		if err != nil {
			t.Fatal(err)
		}
		start, _ := time.Parse(time.RFC3339, c.start)
		end, _ := time.Parse(time.RFC3339, c.end)
		note := zoneNote(start, end, zone(t, c.subject), c.subject, view)
		switch {
		case c.minutes == 0 && note != nil:
			t.Errorf("%s seen from %q: note %+v, want none", c.subject, c.viewer, note)
		case c.minutes != 0 && (note == nil || note.DifferenceMin != c.minutes || note.Text != c.text):
			t.Errorf("%s seen from %s: note %+v, want %d min, %q", c.subject, c.viewer, note, c.minutes, c.text)
		}
	}
}

// Golden vector 5: the length of days, and days that do not begin at midnight.
func TestDayBounds_GiveTheLengthOfTheDay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone, date string
		minutes    int
		begins     string
	}{
		{"Europe/Amsterdam", "2026-03-29", 1380, "00:00"},
		{"Europe/Prague", "2026-10-25", 1500, "00:00"},
		{"Europe/Prague", "2026-05-12", 1440, "00:00"},
		{"Australia/Lord_Howe", "2026-04-05", 1470, "00:00"},
		{"Australia/Lord_Howe", "2026-10-04", 1410, "00:00"},
		{"Africa/Cairo", "2026-04-24", 1380, "01:00"},
		{"America/Santiago", "2026-09-06", 1380, "01:00"},
		{"America/Havana", "2026-03-08", 1380, "01:00"},
		{"America/Havana", "2026-03-07", 1440, "00:00"},
		{"Pacific/Apia", "2011-12-29", 1440, "00:00"},
		{"Pacific/Apia", "2011-12-31", 1440, "00:00"},
	} {
		date, err := query.ParseDate(c.date)
		if err != nil {
			t.Fatal(err)
		}
		start, end := dayBounds(date, zone(t, c.zone))
		if got := int(end.Sub(start) / time.Minute); got != c.minutes || start.Format("15:04") != c.begins {
			t.Errorf("%s %s: %d min from %s, want %d from %s", c.zone, c.date, got, start.Format("15:04"), c.minutes, c.begins)
		}
	}
	date, _ := query.ParseDate("2011-12-30")
	if start, end := dayBounds(date, zone(t, "Pacific/Apia")); !end.Equal(start) || len(spans(nil, start, end)) != 0 || hours(date, start, end, time.UTC) != nil {
		t.Errorf("the day that Apia skipped: %s to %s", start, end)
	}
}

func TestSpans_StayOnTheBar(t *testing.T) {
	t.Parallel()
	date, _ := query.ParseDate("2026-03-29")
	start, end := dayBounds(date, zone(t, "Europe/Amsterdam"))
	got := spans([]query.DaySession{
		{StartedAt: start, EndedAt: end, DeviceClass: "web"},
		{StartedAt: end.Add(-time.Second), EndedAt: end.Add(-time.Second), DeviceClass: "mobile"},
		{StartedAt: start, EndedAt: end, Runs: [][2]time.Time{{start, start.Add(time.Hour)}, {start.Add(2 * time.Hour), end}}},
	}, start, end)
	if len(got) != 4 || got[0].X != "0.00%" || got[0].Width != "100.00%" || got[1].X != "99.40%" || got[1].Width != "0.60%" || !got[1].Mobile {
		t.Errorf("spans %+v", got)
	}
}

func TestGapText_IsShort(t *testing.T) {
	t.Parallel()
	for gap, want := range map[time.Duration]string{30 * time.Minute: "30m", time.Hour: "1h", 90 * time.Minute: "1h30m", 90 * time.Second: "1m30s", 4 * time.Hour: "4h", time.Minute: "1m"} {
		if got := gapText(gap); got != want {
			t.Errorf("gapText(%s) = %q, want %q", gap, got, want)
		}
	}
	for seconds, want := range map[int64]string{1800: "30 min", 3600: "1 h", 5400: "1 h 30 min", 90: "90 s"} {
		if got := gapWords(seconds); got != want {
			t.Errorf("gapWords(%d) = %q, want %q", seconds, got, want)
		}
	}
}

// SPK-13: the past two weeks are 14 local dates, today in the subject's zone
// and the 13 before.
func TestDates_DefaultIsTwoWeeksInZoneOfSubject(t *testing.T) {
	t.Parallel()
	a := &API{cfg: Config{Clock: func() time.Time { return time.Date(2026, 3, 14, 13, 0, 0, 0, time.UTC) }, MaxRangeDays: 3660}}
	for name, want := range map[string]string{"Europe/Prague": "2026-03-01 2026-03-14", "Pacific/Kiritimati": "2026-03-02 2026-03-15", "Pacific/Pago_Pago": "2026-03-01 2026-03-14"} {
		from, to, err := a.dates(RangeInput{}, zone(t, name))
		if got := from.String() + " " + to.String(); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, want)
		}
	}
	for in, want := range map[RangeInput]string{
		{From: "2026-03-10"}: "2026-03-10 2026-03-14", {To: "2026-02-20"}: "2026-02-07 2026-02-20",
		{From: "2027-01-01"}: "2027-01-01 2027-01-01", {To: "1970-01-03"}: "1970-01-01 1970-01-03",
	} {
		from, to, err := a.dates(in, time.UTC)
		if got := from.String() + " " + to.String(); err != nil || got != want {
			t.Errorf("%+v: %s, %v, want %s", in, got, err, want)
		}
	}
}
