package reference

import (
	"sync"
	"time"

	"daybook/schemas/zones"
)

// Days gives a Split of real zones: it cuts at every local midnight and every
// transition of the zone, and adds up by date. An unknown zone is UTC.
func Days() func(zone string, startMs, endMs int64) []Day {
	var loaded sync.Map // *time.Location by name: reading one costs 50 µs
	return func(zone string, startMs, endMs int64) []Day {
		loc, ok := loaded.Load(zone)
		if !ok {
			l, err := zones.Load(zone)
			if err != nil {
				l = time.UTC
			}
			loc, _ = loaded.LoadOrStore(zone, l)
		}
		return split(loc.(*time.Location), floorDiv(startMs, 1000), floorDiv(endMs, 1000)) //nolint:forcetypeassert // nothing else is stored
	}
}

func split(loc *time.Location, start, end int64) (days []Day) {
	for at := start; ; {
		t := time.Unix(at, 0).In(loc)
		_, offset := t.Zone()
		date := floorDiv(at+int64(offset), 86_400)
		to := min(end, (date+1)*86_400-int64(offset))
		if _, transition := t.ZoneBounds(); !transition.IsZero() && transition.Unix() > at { // Go 1.26 errs late in a leap year after 2037
			to = min(to, transition.Unix())
		}
		days = book(days, int32(date), at, to)
		if at = to; at >= end {
			return days
		}
	}
}

// book adds [from, to) to a date.
func book(days []Day, date int32, from, to int64) []Day {
	i := 0
	for i < len(days) && days[i].Date != date {
		i++
	}
	if i == len(days) {
		days = append(days, Day{Date: date})
	}
	d := &days[i]
	d.Seconds += int32(to - from)
	if n := len(d.Runs); n > 0 && d.Runs[n-1][1] == from {
		d.Runs[n-1][1] = to
	} else if to > from {
		d.Runs = append(d.Runs, [2]int64{from, to})
	}
	return days
}
