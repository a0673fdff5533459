package pipeline

import (
	"flag"
	"fmt"
	"math"
	"math/rand"
	"slices"
	"strings"

	"daybook/schemas"
)

var (
	modelSeed  = flag.Int64("model.seed", 1, "first seed of the random histories")
	modelCount = flag.Int("model.n", 20_000, "number of random histories")
)

// modelLog makes a random log: signals, logouts, backgrounding, repeats with
// the same or another time, gaps, disabling, enabling, zones, of up to three
// users in two networks with one or two devices.
func modelLog(r *rand.Rand) []record {
	g := &logMaker{
		r: r, users: 1 + r.Intn(3), devices: 1 + r.Intn(2), span: 4 + r.Intn(44), style: r.Intn(6),
		dup: []int{5, 15, 40}[r.Intn(3)], mark: []int{0, 10, 30}[r.Intn(3)], control: []int{0, 0, 5, 20}[r.Intn(4)],
		clock: 10 + int64(r.Intn(10)), settings: map[string]schemas.Control{},
	}
	g.now = g.clock
	n := 3 + r.Intn(12)
	if r.Intn(4) == 0 {
		n = 10 + r.Intn(30)
	}
	if g.style == 5 { // one dense chain
		g.users, g.devices, g.span = 1, 1, 12+r.Intn(24)
	}
	for i := range 2 {
		if r.Intn(10) > 0 {
			g.set(fmt.Sprintf("n%d", i), func(c *schemas.Control) { c.GapMs = 2 })
		}
	}
	for range n {
		g.clock += int64(r.Intn(3))
		if r.Intn(8) == 0 {
			g.clock += int64(r.Intn(10))
		}
		if r.Intn(100) < g.control {
			g.controlRecord()
		} else {
			g.event()
		}
	}
	return g.log
}

type logMaker struct {
	r                           *rand.Rand
	users, devices, span, style int
	dup, mark, control          int
	clock, now                  int64
	settings                    map[string]schemas.Control
	positions                   int64
	log                         []record
	events                      []record
}

// set changes a network's settings and appends the control record.
func (g *logMaker) set(network string, change func(*schemas.Control)) {
	c, ok := g.settings[network]
	if !ok {
		c = schemas.Control{Network: network, GapMs: 2}
	}
	c.Dark = append([]schemas.Dark(nil), c.Dark...)
	change(&c)
	g.positions++
	c.Position = g.positions
	g.settings[network] = c
	g.log = append(g.log, record{offset: int64(len(g.log)), control: &c})
}

func (g *logMaker) controlRecord() {
	r := g.r
	net := fmt.Sprintf("n%d", r.Intn((g.users+1)/2))
	at := g.clock - 3 + int64(r.Intn(8))
	switch r.Intn(8) {
	case 7: // a repair: it must change nothing
		from := g.clock - int64(r.Intn(30))
		x := &schemas.Repair{Network: net, Users: []string{fmt.Sprintf("u%d", r.Intn(g.users))}, FromMs: from, ToMs: from + int64(r.Intn(20))}
		g.log = append(g.log, record{offset: int64(len(g.log)), repair: x})
	case 0:
		g.set(net, func(c *schemas.Control) { c.GapMs = 1 + int32(r.Intn(modelMaxGap)) })
	case 1: // disable
		g.set(net, func(c *schemas.Control) {
			if n := len(c.Dark); n == 0 || c.Dark[n-1].ToMs != math.MaxInt64 {
				c.Dark = append(c.Dark, schemas.Dark{FromMs: at, ToMs: math.MaxInt64})
			}
		})
	case 2: // enable
		g.set(net, func(c *schemas.Control) {
			if n := len(c.Dark); n > 0 && c.Dark[n-1].ToMs == math.MaxInt64 {
				c.Dark[n-1].ToMs = max(at, c.Dark[n-1].FromMs)
			}
		})
	case 3:
		g.set(net, func(c *schemas.Control) { c.Zone = []string{"", "UTC", "east", "west"}[r.Intn(4)] })
	case 4: // an old setting once more: it must not apply
		for _, old := range slices.Backward(g.log) {
			if c := old.control; c != nil && r.Intn(2) == 0 {
				g.log = append(g.log, record{offset: int64(len(g.log)), control: c})
				return
			}
		}
	case 5: // a time in the past that is not recorded: what follows is stamped with other periods
		g.set(net, func(c *schemas.Control) {
			from := max(1, at-int64(r.Intn(12)))
			c.Dark = append([]schemas.Dark{{FromMs: from, ToMs: from + int64(r.Intn(2))}}, c.Dark...)
		})
	case 6:
		e := g.base()
		e.event.Kind, e.event.FactZone = schemas.KindUserFact, []byte([]string{"UTC", "east", "west"}[r.Intn(3)])
		g.append(e)
	}
}

// base makes an event of a random user and device.
func (g *logMaker) base() record {
	r := g.r
	u, d := r.Intn(g.users), r.Intn(g.devices)
	return record{
		event: schemas.Event{
			Network: fmt.Appendf(nil, "n%d", u/2), User: fmt.Appendf(nil, "u%d", u), Source: []byte("s"),
			ID: fmt.Appendf(nil, "id%02d", r.Intn(50)),
		},
		device: fmt.Appendf(nil, "d%d", d), class: schemas.ClassMobile + schemas.DeviceClass(r.Intn(2)), timeMs: g.clock,
	}
}

func (g *logMaker) event() {
	r := g.r
	if len(g.events) > 0 && r.Intn(100) < g.dup {
		g.repeat()
		return
	}
	e := g.base()
	if r.Intn(100) < g.mark {
		e.event.Kind = schemas.KindLoggedOut + schemas.Kind(r.Intn(2))
	}
	switch {
	case g.style == 5:
		e.timeMs = 10 + int64(r.Intn(g.span))
		if n := len(g.events); n > 0 && r.Intn(3) == 0 {
			e.timeMs = g.events[n-1].timeMs + int64(r.Intn(4)) - 1
		}
	case g.style == 4: // late ones at the edge of the windows
		e.timeMs = g.now + int64(r.Intn(5)) - 1
		g.now += int64(r.Intn(2))
		if n := len(g.events); n > 0 && r.Intn(3) == 0 {
			sign := []int64{-1, 1, -1}[r.Intn(3)]
			e.timeMs = g.events[r.Intn(n)].timeMs + sign*(2*modelDay+modelMaxGap+int64(r.Intn(7))-3)
		}
	case g.style == 1 && r.Intn(3) > 0:
		e.timeMs = g.now
		g.now += int64(r.Intn(3))
	case g.style == 2 || r.Intn(4) == 0:
		e.timeMs = 10 + int64(r.Intn(g.span))
	case g.style == 3:
		e.timeMs = g.clock - int64(r.Intn(4))
	default:
		e.timeMs = g.clock + 2 - int64(r.Intn(1+r.Intn(20)))
	}
	if n := len(g.events); n > 0 && r.Intn(8) == 0 { // several events of one instant
		e.timeMs = g.events[n-1-r.Intn(min(n, 6))].timeMs
	}
	g.append(e)
}

// repeat sends an event again, perhaps with another time, class, device, kind
// or content.
func (g *logMaker) repeat() {
	r := g.r
	e := g.events[r.Intn(len(g.events))]
	switch r.Intn(4) {
	case 0:
		e.timeMs += int64(r.Intn(9)) - 4
	case 1:
		e.timeMs = g.now - int64(g.span/2) + int64(r.Intn(g.span))
	}
	if r.Intn(3) == 0 {
		e.class = schemas.ClassMobile + schemas.DeviceClass(r.Intn(2))
	}
	if r.Intn(6) == 0 { // other content
		e.event.URL = []byte{byte('a' + r.Intn(2))}
	}
	if r.Intn(6) == 0 {
		e.device = fmt.Appendf(nil, "d%d", r.Intn(g.devices))
	}
	if r.Intn(6) == 0 {
		e.event.Kind = schemas.Kind(r.Intn(3))
		e.event.FactZone = nil
	}
	g.append(e)
}

func (g *logMaker) append(e record) {
	e.offset, e.receivedMs, e.event.TimeMs = int64(len(g.log)), g.clock, e.timeMs
	g.log = append(g.log, e)
	if e.event.Kind != schemas.KindUserFact {
		g.events = append(g.events, e)
	}
}

// logText prints a log for a failing seed.
func logText(log []record) string {
	var b strings.Builder
	for _, r := range log {
		if r.repair != nil {
			fmt.Fprintf(&b, "%3d repair %+v\n", r.offset, *r.repair)
			continue
		}
		if r.control != nil {
			fmt.Fprintf(&b, "%3d control %+v\n", r.offset, *r.control)
			continue
		}
		fmt.Fprintf(&b, "%3d %s/%s/%s %s kind %d at %d received %d %s\n",
			r.offset, r.event.Network, r.event.User, r.device, r.event.ID, r.event.Kind, r.timeMs, r.receivedMs, r.class)
	}
	return b.String()
}
