package enrich

import (
	"time"

	"daybook/schemas/zones"
)

// Zones knows time zones by name and cuts sessions at their local midnights. It
// is a cache for one goroutine: it holds at most maxZones zones and maxZones
// names that are unknown, and starts anew when they are more.
type Zones struct {
	byName map[string]*zone
	byLoc  map[*time.Location]*zone
	last   *zone // of the last Split: events of a user come together
}

// maxZones bounds the cache. The database of package zones has fewer than 600
// names.
const maxZones = 1024

// zone is a location with the run of local time that was asked for last.
type zone struct {
	loc *time.Location // nil: no such zone
	run run
}

// run is a stretch of time [from, to) in which local time passes without a jump
// and within one date.
type run struct {
	from, to int64 // seconds since 1970
	date     int32 // days since 1970-01-01
}

// NewZones gives an empty cache.
func NewZones() *Zones {
	return &Zones{byName: map[string]*zone{}, byLoc: map[*time.Location]*zone{}}
}

// Load gives the zone of an IANA name, or false if this binary does not know
// it. The empty name and Local, which are no zones of tzdata, are unknown. It
// does not allocate for a name that it has seen.
func (z *Zones) Load(name []byte) (*time.Location, bool) {
	known, ok := z.byName[string(name)]
	if !ok {
		known = z.load(string(name))
	}
	return known.loc, known.loc != nil
}

// LoadOr is Load for a name that was checked before: an unknown one is UTC.
func (z *Zones) LoadOr(name string) *time.Location {
	known, ok := z.byName[name]
	if !ok {
		known = z.load(name)
	}
	if known.loc == nil {
		return time.UTC
	}
	return known.loc
}

func (z *Zones) load(name string) *zone {
	if len(z.byName) >= maxZones {
		clear(z.byName)
		clear(z.byLoc)
	}
	known := &zone{}
	z.byName[name] = known
	loc, err := zones.Load(name)
	if err != nil {
		return known
	}
	known.loc = loc
	z.byLoc[loc] = known
	return known
}

// of gives the cache line of loc, from whatever source it came.
func (z *Zones) of(loc *time.Location) *zone {
	if z.last != nil && z.last.loc == loc {
		return z.last
	}
	known, ok := z.byLoc[loc]
	if !ok {
		if len(z.byLoc) >= maxZones {
			clear(z.byName)
			clear(z.byLoc)
		}
		known = &zone{loc: loc}
		z.byLoc[loc] = known
	}
	z.last = known
	return known
}
