package schemas

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseTime_ReadsRFC3339(t *testing.T) {
	tests := []struct {
		text string
		want int64
	}{
		{"1970-01-01T00:00:00Z", 0},
		{"1969-12-31T23:59:59.999Z", -1},
		{"1969-12-31T23:59:59.9999Z", -1},
		{"1970-01-01T00:00:00.0019Z", 1},
		{"1970-01-01t01:00:00z", 3_600_000},
		{"1970-01-01T01:00:00+01:00", 0},
		{"1970-01-01T00:00:00-00:00", 0},
		{"1969-12-31T12:00:00.5-11:30", -1_799_500},
		{"2024-02-29T12:00:00Z", 1_709_208_000_000},
		{"2000-02-29T00:00:00.123456789Z", 951_782_400_123},
		{"0000-01-01T00:00:00Z", minYearMs},
		{"9999-12-31T23:59:59.999Z", maxYearMs - 1},
		// Leap seconds keep their date and come last.
		{"2016-12-31T23:59:60Z", 1_483_228_799_999},
		{"2017-01-01T00:59:60.5+01:00", 1_483_228_799_999},
		{"2016-12-31T15:59:60-08:00", 1_483_228_799_999},
	}
	for _, tt := range tests {
		if got, ok := parseTime([]byte(tt.text)); !ok || got != tt.want {
			t.Errorf("parseTime(%q) = %d, %v; want %d", tt.text, got, ok, tt.want)
		}
	}
}

var badTimes = []string{
	"", "now", "1747059600", "2026-05-12", "2026-05-12T14:20:00", "2026-05-12 14:20:00Z", "2026-05-12T14:20Z",
	"2026-05-12T14:20:00.Z", "2026-05-12T14:20:00,5Z", "2026-05-12T24:00:00Z", "2026-05-12T14:60:00Z",
	"2026-05-12T14:20:61Z", "2026-05-12T14:20:60Z", "2016-12-31T23:59:60+01:00", "2026-13-12T14:20:00Z", "2026-00-12T14:20:00Z", "2026-05-00T14:20:00Z",
	"2026-05-32T14:20:00Z", "2026-02-29T14:20:00Z", "1900-02-29T14:20:00Z", "2026-04-31T14:20:00Z", "2026-05-12T14:20:00+24:00",
	"2026-05-12T14:20:00+01:60", "2026-05-12T14:20:00+0100", "2026-05-12T14:20:00+01", "2026-05-12T14:20:00Z ", " 2026-05-12T14:20:00Z",
	"2026-05-12T14:20:00 Z", "12026-05-12T14:20:00Z", "-026-05-12T14:20:00Z", "2026-5-12T14:20:00Z", "2026/05/12T14:20:00Z", "2026-05-12T1a:20:00Z",
	"20 6-05-12T14:20:00Z", "0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "2026-05-12T14:20:00ZZ", "2026-05-12T14:20:00+01:00Z",
}

func TestParseTime_RefusesTheRest(t *testing.T) {
	for _, text := range badTimes {
		if got, ok := parseTime([]byte(text)); ok {
			t.Errorf("parseTime(%q) = %d", text, got)
		}
	}
}

func TestAppendTime_RoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(minYearMs, maxYearMs-1).Draw(t, "ms")
		text := AppendTime(nil, ms)
		if want := time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z"); string(text) != want {
			t.Fatalf("AppendTime(%d) = %s, want %s", ms, text, want)
		}
		if got, ok := parseTime(text); !ok || got != ms {
			t.Fatalf("parseTime(%s) = %d, %v", text, got, ok)
		}
		zone := time.FixedZone("", 60*rapid.IntRange(-1439, 1439).Draw(t, "offset"))
		moved := time.UnixMilli(ms).In(zone)
		if moved.Year() < 0 || moved.Year() > 9999 {
			return
		}
		if got, ok := parseTime([]byte(moved.Format(time.RFC3339Nano))); !ok || got != ms {
			t.Fatalf("parseTime(%s) = %d, %v; want %d", moved.Format(time.RFC3339Nano), got, ok, ms)
		}
	})
}

// What parseTime takes, time.Parse takes with the same result, but for leap
// seconds.
func FuzzParseTime(f *testing.F) {
	for _, text := range badTimes {
		f.Add(text)
	}
	f.Add("2026-05-12T14:20:00.123+02:00")
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := parseTime([]byte(text))
		if !ok || len(text) > 18 && text[17:19] == "60" {
			return
		}
		upper := []byte(text)
		for i, c := range upper {
			if c == 't' || c == 'z' {
				upper[i] = c - 0x20
			}
		}
		want, err := time.Parse(time.RFC3339, string(upper))
		if err != nil || want.UnixMilli() != got {
			t.Errorf("parseTime(%q) = %d, time.Parse gives %v, %v", text, got, want, err)
		}
	})
}
