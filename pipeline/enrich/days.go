package enrich

import (
	"slices"
	"time"
)

// Slice is the part of a session that shows one local date (SEMANTICS.md
// section 6.2).
type Slice struct {
	Date    int32      // days since 1970-01-01
	Runs    [][2]int64 // [from, to) in seconds since 1970, in order, never touching
	Seconds int32      // total of Runs
}

// Split appends to dst the local days of the session [startSec, endSec) in loc,
// each instant counted for the date that it shows. The first slice is that of
// the session's start, the others follow in the order in which their dates first
// appear. Seconds add up to the session. A session of no length has one slice
// without runs.
//
// Runs of slices between the length and the capacity of dst are reused: a
// caller that keeps slices passes a dst without spare ones.
//
// A day is no fixed stretch: clocks go over midnight (Santiago, Havana), a date
// can be two runs (St John's 2010-11-06) or missing (Apia 2011-12-30). So the
// session is cut at every local midnight and at every transition of the zone,
// and the pieces are added up by date.
func (z *Zones) Split(dst []Slice, loc *time.Location, startSec, endSec int64) []Slice {
	line := z.of(loc)
	base := len(dst)
	at := startSec
	for {
		r := line.at(at)
		to := min(r.to, endSec)
		dst = book(dst, base, r.date, at, to)
		if to >= endSec {
			return dst
		}
		at = to
	}
}

// Dates appends the dates of the slices that Split would give, in their order,
// without making them.
func (z *Zones) Dates(dst []int32, loc *time.Location, startSec, endSec int64) []int32 {
	line := z.of(loc)
	base := len(dst)
	for at := startSec; ; {
		r := line.at(at)
		if !slices.Contains(dst[base:], r.date) {
			dst = append(dst, r.date)
		}
		if at = r.to; at >= endSec {
			return dst
		}
	}
}

// book adds [from, to) to the slice of date among dst[base:].
func book(dst []Slice, base int, date int32, from, to int64) []Slice {
	i := len(dst) - 1
	for i >= base && dst[i].Date != date {
		i--
	}
	if i < base {
		i = len(dst)
		if i < cap(dst) {
			dst = dst[:i+1]
			dst[i] = Slice{Date: date, Runs: dst[i].Runs[:0]}
		} else {
			dst = append(dst, Slice{Date: date})
		}
	}
	s := &dst[i]
	if from >= to {
		return dst
	}
	s.Seconds += int32(to - from)
	if n := len(s.Runs); n > 0 && s.Runs[n-1][1] == from {
		s.Runs[n-1][1] = to // a transition within the date
	} else {
		s.Runs = append(s.Runs, [2]int64{from, to})
	}
	return dst
}

// Date gives the local date that sec shows in loc, in days since 1970-01-01.
func (z *Zones) Date(loc *time.Location, sec int64) int32 {
	return z.of(loc).at(sec).date
}

// DayLength gives the seconds that date has in loc: 86,400, fewer or more when
// clocks change, 0 if the zone left the date out.
func (z *Zones) DayLength(loc *time.Location, date int32) int64 {
	_, _, seconds := z.Day(loc, date)
	return seconds
}

// Day gives the first instant of date in loc, the end of its last one, and its
// length; all 0 if the zone left the date out. The length is less than the
// difference where another date lies between.
func (z *Zones) Day(loc *time.Location, date int32) (from, to, seconds int64) {
	// Offsets of tzdata lie within a day of UTC; runs end at midnights and
	// transitions, so every run of the date begins in this window.
	const reach = 2 * 86400
	line := z.of(loc)
	for at := int64(date)*86400 - reach; at < int64(date)*86400+reach; {
		r := line.at(at)
		if r.date == date {
			if seconds == 0 {
				from = r.from
			}
			to = r.to
			seconds += r.to - r.from
		}
		at = r.to
	}
	return from, to, seconds
}

// at gives the run that sec is in.
func (l *zone) at(sec int64) run {
	if sec < l.run.from || sec >= l.run.to {
		l.run = runOf(l.loc, sec)
	}
	return l.run
}

// runOf asks the zone. It never uses time.Date, whose midnight lies on the day
// before where clocks jump over it.
func runOf(loc *time.Location, sec int64) run {
	t := time.Unix(sec, 0).In(loc)
	_, offset := t.Zone()
	date := floorDiv(sec+int64(offset), 86400)
	r := run{from: date*86400 - int64(offset), date: int32(date)}
	r.to = r.from + 86400
	start, end := t.ZoneBounds()
	// Go 1.26 ends the last 24 hours of a leap year after 2037 before they began
	// (time.tzset counts 365 days), so a bound on the wrong side of sec is no
	// bound: taking it, the cutting of a session would never end.
	if from := start.Unix(); !start.IsZero() && from <= sec {
		r.from = max(r.from, from)
	}
	if to := end.Unix(); !end.IsZero() && to > sec {
		r.to = min(r.to, to)
	}
	return r
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
