package enrich

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// oddZones are zones whose clocks do something that a splitter could get wrong,
// and some that do nothing.
var oddZones = []string{
	"UTC", "Europe/Amsterdam", "Europe/Prague", "Europe/London", "Europe/Dublin", "Europe/Lisbon", "Europe/Moscow",
	"Europe/Istanbul", "Europe/Volgograd", "Europe/Samara", "Atlantic/Azores", "Atlantic/Reykjavik", "Africa/Cairo",
	"Africa/Casablanca", "Africa/El_Aaiun", "Africa/Juba", "Africa/Khartoum", "Africa/Monrovia", "Africa/Tripoli",
	"America/New_York", "America/Los_Angeles", "America/St_Johns", "America/Goose_Bay", "America/Havana",
	"America/Santiago", "America/Punta_Arenas", "America/Asuncion", "America/Sao_Paulo", "America/Caracas",
	"America/Nuuk", "America/Scoresbysund", "America/Danmarkshavn", "America/Port-au-Prince", "America/Argentina/San_Luis",
	"America/Adak", "America/Metlakatla", "America/Bahia_Banderas", "Antarctica/Casey", "Antarctica/Troll",
	"Antarctica/Macquarie", "Asia/Amman", "Asia/Beirut", "Asia/Damascus", "Asia/Gaza", "Asia/Tehran", "Asia/Kabul",
	"Asia/Kathmandu", "Asia/Kolkata", "Asia/Pyongyang", "Asia/Riyadh", "Asia/Manila", "Asia/Shanghai", "Asia/Tokyo",
	"Australia/Lord_Howe", "Australia/Eucla", "Australia/Sydney", "Australia/Darwin", "Pacific/Apia",
	"Pacific/Fakaofo", "Pacific/Kiritimati", "Pacific/Kwajalein", "Pacific/Chatham", "Pacific/Norfolk", "Pacific/Guam",
	"Pacific/Auckland", "Pacific/Fiji", "Pacific/Tongatapu", "Etc/GMT+12", "Etc/GMT-14",
}

// naive is the reference: it asks the wall clock at every step.
func naive(l *time.Location, start, end, step int64) []Slice {
	var slices []Slice
	for at := start; ; at += step {
		y, m, d := time.Unix(at, 0).In(l).Date()
		date := int32(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
		if y < 1970 {
			date = int32((time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() - 86399) / 86400)
		}
		i := 0
		for i < len(slices) && slices[i].Date != date {
			i++
		}
		if at >= end && len(slices) > 0 {
			return slices
		}
		if i == len(slices) {
			slices = append(slices, Slice{Date: date})
		}
		if at >= end {
			return slices
		}
		s := &slices[i]
		s.Seconds += int32(step)
		if n := len(s.Runs); n > 0 && s.Runs[n-1][1] == at {
			s.Runs[n-1][1] += step
		} else {
			s.Runs = append(s.Runs, [2]int64{at, at + step})
		}
	}
}

// drawStart draws an instant, every second time within a day of a transition.
func drawStart(t *rapid.T, l *time.Location) int64 {
	at := rapid.Int64Range(-631_152_000, 4_102_444_800).Draw(t, "at") // 1950 to 2100
	if rapid.Bool().Draw(t, "near a transition") {
		if _, end := time.Unix(at, 0).In(l).ZoneBounds(); !end.IsZero() {
			return end.Unix() + rapid.Int64Range(-86_400, 86_400).Draw(t, "beside it")
		}
	}
	return at
}

// SEMANTICS.md 6.2: against a reference that looks at the clock every second,
// over up to 30 hours, in one cache for all zones.
func TestSplit_EqualsTheNaiveReference(t *testing.T) {
	z := NewZones()
	rapid.Check(t, func(t *rapid.T) {
		l := z.LoadOr(rapid.SampledFrom(oddZones).Draw(t, "zone"))
		start := drawStart(t, l)
		end := start + rapid.Int64Range(0, 30*3600).Draw(t, "length")
		got := z.Split(nil, l, start, end)
		if d := cmp.Diff(naive(l, start, end, 1), got); d != "" {
			t.Fatalf("%v, %d to %d (-naive +got):\n%s", l, start, end, d)
		}
		dates := make([]int32, 0, len(got))
		for _, s := range got {
			dates = append(dates, s.Date)
		}
		if d := cmp.Diff(dates, z.Dates(nil, l, start, end)); d != "" {
			t.Fatalf("%v, %d to %d: dates (-split +got):\n%s", l, start, end, d)
		}
	})
}

// Whole minutes over up to six weeks; transitions since 1970 in these zones lie
// on whole minutes, but for Monrovia's of 1972.
func TestSplit_AddsUpOverWeeks(t *testing.T) {
	z := NewZones()
	var dst []Slice
	rapid.Check(t, func(t *rapid.T) {
		l := z.LoadOr(rapid.SampledFrom(oddZones).Draw(t, "zone"))
		start := max(drawStart(t, l), 100_000_000) / 60 * 60
		end := start + 60*rapid.Int64Range(0, 6*7*1440).Draw(t, "minutes")
		dst = z.Split(dst[:0], l, start, end)
		if d := cmp.Diff(naive(l, start, end, 60), dst, cmp.Transformer("runs", func(s Slice) []any {
			return []any{s.Date, s.Seconds, len(s.Runs)}
		})); d != "" {
			t.Fatalf("%v, %d to %d (-naive +got):\n%s", l, start, end, d)
		}
		var total int64
		for _, s := range dst {
			var runs int64
			for _, r := range s.Runs {
				runs += r[1] - r[0]
			}
			if runs != int64(s.Seconds) {
				t.Fatalf("runs of day %d have %d s, not %d", s.Date, runs, s.Seconds)
			}
			if length := z.DayLength(l, s.Date); int64(s.Seconds) > length {
				t.Fatalf("day %d has %d s of %d", s.Date, s.Seconds, length)
			}
			total += int64(s.Seconds)
		}
		if total != end-start {
			t.Fatalf("slices add up to %d s, the session has %d", total, end-start)
		}
	})
}
