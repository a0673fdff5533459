// Package generate makes realistic load: people of a few networks, some far
// more active than others, who come by day, work in sessions on a phone or a
// browser, and live in different time zones. Records come in order of arrival:
// one in twenty arrives up to a minute after its event, one in a hundred
// arrives twice, and nothing is older unless Config.Late asks for it.
//
// It is a pure function of its Config: the same seed gives the same bytes. No
// clock is read.
package generate

import (
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"daybook/schemas"
)

// Config decides the load. Equal configs give equal bytes.
type Config struct {
	Seed     uint64
	Events   int64     // records in all, repeats and directory facts included
	Networks int       // default 1
	Users    int       // of each network; default 1,000
	Days     int       // span of event times that Events are spread over; default 1
	Late     float64   // share of records that arrive 2 to 48 hours after their event
	Visit    int       // mean events of a visit; default 18
	Start    time.Time // first instant; default DefaultStart
	Name     string    // of the network; several get -1, -2, … behind it; default "load"
}

// DefaultStart is a Monday: load does not depend on the day it is made.
func DefaultStart() time.Time { return time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC) }

// Shares and sizes. They were chosen to look like a content platform, not
// measured on one.
const (
	shareOutOfOrder  = 0.05
	shareRepeats     = 0.01
	maxDelayMs       = 60_000
	meanEvents       = 18 // of a visit
	meanPauseMs      = 45_000
	hourMs           = 3_600_000
	zipfExponent     = 1.1
	meanDiurnalShare = 0.5 // mean of diurnal()
)

// Record is one record to produce. Its bytes are valid until the next one.
type Record struct {
	Key       []byte
	Value     []byte
	ArrivalMs int64
	Repeat    bool
	Late      bool
}

// Generator makes the records of a Config. One goroutine owns it.
type Generator struct {
	cfg      Config
	rng      *rand.Rand
	zipf     *rand.Zipf
	networks []string
	// The constant texts as the event holds them.
	networkText [][]byte
	source      []byte

	known []bool // users that the directory knows, by network*Users+user

	startMs    int64
	nextVisit  float64 // ms since start of the next session, before thinning
	visitGapMs float64
	active     visits   // sessions in progress, by their next event
	delayed    arrivals // records that arrive later than their event
	counter    uint64
	emitted    int64
	event      schemas.Event
	key, value []byte
	text       []byte // of the event in hand
}

// New prepares a generator and reports every wrong value of cfg at once.
func New(cfg Config) (*Generator, error) {
	cfg = cfg.withDefaults()
	var problems []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	check(cfg.Events >= 0, "check events %d: it must not be negative", cfg.Events)
	check(cfg.Networks >= 1 && cfg.Networks <= 100_000, "check networks %d: it must be between 1 and 100000", cfg.Networks)
	check(cfg.Users >= 1 && cfg.Users <= 100_000_000, "check users %d: it must be between 1 and 100000000", cfg.Users)
	check(cfg.Days >= 1 && cfg.Days <= 3650, "check days %d: it must be between 1 and 3650", cfg.Days)
	check(cfg.Late >= 0 && cfg.Late <= 1, "check late %g: it is a share between 0 and 1", cfg.Late)
	check(cfg.Visit >= 1 && cfg.Visit <= 100_000, "check visit %d: it must be between 1 and 100000", cfg.Visit)
	check(schemas.ValidNetwork(cfg.Name+"-1"), "check network %q: it must be [a-z0-9][a-z0-9._-]{0,63}", cfg.Name)
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	g := &Generator{cfg: cfg, source: []byte("generate"), startMs: cfg.Start.UnixMilli()}
	// The second word is fixed: one number names a load.
	g.rng = rand.New(rand.NewPCG(cfg.Seed, 0x6461_7962_6f6f_6b00))
	g.zipf = rand.NewZipf(g.rng, zipfExponent, 8, uint64(cfg.Users-1))
	for i := range cfg.Networks {
		name := cfg.Name
		if cfg.Networks > 1 {
			name += "-" + strconv.Itoa(i+1)
		}
		g.networks = append(g.networks, name)
		g.networkText = append(g.networkText, []byte(name))
	}
	g.known = make([]bool, cfg.Networks*cfg.Users)
	spanMs := float64(cfg.Days) * 24 * hourMs
	visitsWanted := max(1, float64(cfg.Events)*(1-shareRepeats)/float64(cfg.Visit))
	g.visitGapMs = spanMs * meanDiurnalShare / visitsWanted
	return g, nil
}

func (c Config) withDefaults() Config {
	if c.Networks == 0 {
		c.Networks = 1
	}
	if c.Users == 0 {
		c.Users = 1000
	}
	if c.Days == 0 {
		c.Days = 1
	}
	if c.Visit == 0 {
		c.Visit = meanEvents
	}
	if c.Start.IsZero() {
		c.Start = DefaultStart()
	}
	if c.Name == "" {
		c.Name = "load"
	}
	return c
}

// Networks names the networks whose records will come.
func (g *Generator) Networks() []string { return g.networks }

// Next gives the next record, or false when all Events are out.
func (g *Generator) Next() (Record, bool) {
	for g.emitted < g.cfg.Events {
		// What is delayed has to fit into what is left.
		mustDrain := g.cfg.Events-g.emitted <= int64(len(g.delayed))
		if len(g.delayed) > 0 && (mustDrain || g.delayed[0].arrivalMs <= g.horizon()) {
			a := heap.Pop(&g.delayed).(*arrival)
			g.emitted++
			return Record{Key: a.key, Value: a.value, ArrivalMs: a.arrivalMs, Repeat: a.repeat, Late: a.late}, true
		}
		if r, ok := g.fresh(); ok {
			g.emitted++
			return r, true
		}
	}
	return Record{}, false
}

// horizon is the time of the next fresh event: nothing arrives out of turn.
func (g *Generator) horizon() int64 {
	g.admit()
	return g.active[0].nextMs
}

// fresh makes the next event. It is false if the event was delayed.
func (g *Generator) fresh() (Record, bool) {
	g.admit()
	v := g.active[0]
	eventMs := v.nextMs
	g.build(v, eventMs)
	arrivalMs, late := eventMs, false
	switch p := g.rng.Float64(); {
	case p < g.cfg.Late:
		arrivalMs, late = eventMs+2*hourMs+g.rng.Int64N(46*hourMs), true
	case p < g.cfg.Late+shareOutOfOrder:
		arrivalMs = eventMs + 1 + g.rng.Int64N(maxDelayMs)
	}
	g.event.ReceivedMs = arrivalMs
	g.value = schemas.AppendEvent(g.value[:0], &g.event)
	g.key = schemas.AppendKey(g.key[:0], g.event.Network, g.event.User)
	if g.rng.Float64() < shareRepeats {
		g.delay(arrivalMs+1+g.rng.Int64N(maxDelayMs), true, late)
	}
	g.step(v)
	if arrivalMs != eventMs {
		g.delay(arrivalMs, false, late)
		return Record{}, false
	}
	return Record{Key: g.key, Value: g.value, ArrivalMs: arrivalMs}, true
}

func (g *Generator) delay(arrivalMs int64, repeat, late bool) {
	heap.Push(&g.delayed, &arrival{
		arrivalMs: arrivalMs, order: g.counter, repeat: repeat, late: late,
		key: append([]byte(nil), g.key...), value: append([]byte(nil), g.value...),
	})
}

// step moves a session to its next event, or ends it.
func (g *Generator) step(v *visit) {
	if v.left--; v.left <= 0 {
		heap.Pop(&g.active)
		return
	}
	v.nextMs += 500 + int64(g.rng.ExpFloat64()*meanPauseMs)
	heap.Fix(&g.active, 0)
}

// admit starts the sessions that begin before the next event of those in
// progress. Starts are a Poisson process, thinned by the hour of the day where
// the user lives.
func (g *Generator) admit() {
	for len(g.active) == 0 || g.startMs+int64(g.nextVisit) <= g.active[0].nextMs {
		at := g.startMs + int64(g.nextVisit)
		g.nextVisit += g.rng.ExpFloat64() * g.visitGapMs
		network, user := 0, int(g.zipf.Uint64())
		if g.cfg.Networks > 1 {
			network = g.rng.IntN(g.cfg.Networks)
		}
		p := personOf(g.cfg.Seed, network, user)
		localHour := float64((at+int64(p.offsetHours)*hourMs)%(24*hourMs)) / hourMs
		if g.rng.Float64() > diurnal(localHour) {
			continue
		}
		device := p.devices[0]
		if p.second && g.rng.Float64() < 0.3 {
			device = p.devices[1]
		}
		left := 1 + int(g.rng.ExpFloat64()*float64(g.cfg.Visit-1))
		fact := !g.known[network*g.cfg.Users+user]
		g.known[network*g.cfg.Users+user] = true
		heap.Push(&g.active, &visit{nextMs: at, network: network, user: user, person: p, device: device, left: left, fact: fact})
	}
}
