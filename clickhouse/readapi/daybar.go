package readapi

import (
	"fmt"
	"strconv"
	"time"

	"daybook/clickhouse/query"
	"daybook/clickhouse/readapi/web"
)

// dayBounds gives the first instant that shows the date in the zone and the
// first after it: 23, 24 or 25 h apart as a rule, 0 for a date that a zone
// skipped. time.Date alone is not the start of a day (SEMANTICS.md section 6.2:
// Santiago, Havana). A date of two runs of time (St John's, 2010-11-06) is
// drawn from its first to its last instant.
func dayBounds(date query.Date, zone *time.Location) (start, end time.Time) {
	return firstInstant(date, zone), firstInstant(date+1, zone)
}

func firstInstant(date query.Date, zone *time.Location) time.Time {
	y, m, d := date.Time().Date()
	t := time.Date(y, m, d, 0, 0, 0, 0, zone)
	if query.DateOf(t) < date {
		if _, next := t.ZoneBounds(); !next.IsZero() {
			t = next // midnight was skipped: the day begins with the change of clocks
		}
	}
	return t
}

// spans places the slices of one day on its bar.
func spans(slices []query.DaySession, start, end time.Time) []web.Span {
	length := end.Sub(start)
	if length <= 0 {
		return nil
	}
	out := make([]web.Span, 0, len(slices))
	for i := range slices {
		runs := slices[i].Runs
		if len(runs) == 0 {
			runs = [][2]time.Time{{slices[i].StartedAt, slices[i].EndedAt}}
		}
		for _, run := range runs {
			x := percent(run[0].Sub(start), length)
			width := max(percent(run[1].Sub(run[0]), length), 0.6) // a session of one signal can still be seen
			out = append(out, web.Span{X: fmt.Sprintf("%.2f%%", min(x, 99.4)), Width: fmt.Sprintf("%.2f%%", width), Mobile: slices[i].DeviceClass == "mobile"})
		}
	}
	return out
}

// hours marks every third hour that the zone's clock shows on the day.
func hours(date query.Date, start, end time.Time, zone *time.Location) []web.Hour {
	length := end.Sub(start)
	if length <= 0 {
		return nil
	}
	var out []web.Hour
	y, m, d := date.Time().Date()
	for h := 3; h <= 21; h += 3 {
		t := time.Date(y, m, d, h, 0, 0, 0, zone)
		out = append(out, web.Hour{X: fmt.Sprintf("%.2f%%", percent(t.Sub(start), length)), Text: strconv.Itoa(h)})
	}
	return out
}

func percent(part, whole time.Duration) float64 {
	return 100 * float64(part) / float64(whole)
}
