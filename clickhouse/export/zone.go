package export

import (
	"math"
	"time"
)

// Zone spells the offsets of one time zone. It remembers between which instants the
// last one holds, which is mostly half a year. One goroutine owns it.
type Zone struct {
	place    *time.Location
	from, to int64  // seconds since 1970, half-open; equal: nothing is known yet
	offset   int64  // seconds east of UTC
	text     []byte // "-07:00"
}

// NewZone returns the zone of a location.
func NewZone(place *time.Location) *Zone { return &Zone{place: place} }

// at finds the offset that holds at an instant, in seconds since 1970.
func (z *Zone) at(second int64) {
	if z.from <= second && second < z.to {
		return
	}
	t := time.Unix(second, 0).In(z.place)
	z.from, z.to = math.MinInt64, math.MaxInt64
	from, to := t.ZoneBounds()
	if !from.IsZero() {
		z.from = from.Unix()
	}
	if !to.IsZero() {
		z.to = to.Unix()
	}
	_, offset := t.Zone()
	z.offset, z.text = int64(offset), t.AppendFormat(z.text[:0], "-07:00")
}
