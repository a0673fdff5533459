package simtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"daybook/pipeline/source"
	"daybook/schemas"
)

// Traffic is what comes into the log, in the order in which it does. Its times
// are its own: a run reads days of it in virtual seconds.
type Traffic struct {
	Seed       uint64
	Partitions int32
	Items      []Item
}

// Item is one thing that is appended: an event, a setting, or something else.
type Item struct {
	RecordMs int64 // timestamp of the record
	Event    *Event
	Setting  *schemas.Control // put into the catalogue, then appended to every partition
	Misses   int32            // … but for this one, which the owner must top up; -1: none
	Raw      *source.Record   // appended as it is to Partition
	Skip     string           // Count offsets of Partition hold nothing for us
	Count    int

	Partition int32
}

// Event is what a producer says.
type Event struct {
	Network, User, Device, Class, ID, Source string
	TimeMs, ReceivedMs                       int64
	Type, Label, UA                          string
	Zone, Name                               string // of a fact about the user
}

// What in an event's label makes its handler panic.
const (
	poisonDecode = "POISON-DECODE"
	poisonApply  = "POISON-APPLY"
)

var controlKey = []byte("the key of the simulated installation")

const (
	second = int64(1000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

func rfc3339(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// record gives the event as it is produced.
func (e *Event) record(recordMs int64) source.Record {
	var b strings.Builder
	fmt.Fprintf(&b, `{"id":%q,"network":%q,"user":%q,"time":%q`, e.ID, e.Network, e.User, rfc3339(e.TimeMs))
	text := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, `,%q:%q`, name, value)
		}
	}
	text("source", e.Source)
	text("type", e.Type)
	text("label", e.Label)
	if e.ReceivedMs != 0 {
		text("received", rfc3339(e.ReceivedMs))
	}
	if e.Device != "" || e.Class != "" {
		fmt.Fprintf(&b, `,"device":{"id":%q,"class":%q}`, e.Device, e.Class)
	}
	if e.UA != "" {
		fmt.Fprintf(&b, `,"context":{"ua":%q}`, e.UA)
	}
	if e.Zone != "" || e.Name != "" {
		fmt.Fprintf(&b, `,"props":{"tz":%q,"name":%q}`, e.Zone, e.Name)
	}
	b.WriteByte('}')
	return source.Record{TimestampMs: recordMs, Key: schemas.AppendKey(nil, e.Network, e.User), Value: []byte(b.String())}
}

// control makes a control record.
func control(recordMs int64, value, signature []byte) source.Record {
	return source.Record{TimestampMs: recordMs, Key: []byte{}, Value: value, Headers: []source.Header{{Key: []byte(schemas.HeaderControl), Value: signature}}}
}

func (t *Traffic) lastMs() int64 {
	if len(t.Items) == 0 {
		return 0
	}
	return t.Items[len(t.Items)-1].RecordMs
}

// arrive appends an item to the logs; the caller holds the lock.
func (w *world) arrive(it *Item) {
	switch {
	case it.Event != nil:
		r := it.Event.record(it.RecordMs)
		w.append(schemas.Partition(r.Key, int(w.traffic.Partitions)), entry{record: r})
	case it.Setting != nil:
		c := *it.Setting
		again := c.Position >= 0 // an old one that comes once more
		if !again {
			c.Position = w.positions
			w.positions++
		}
		value, err := schemas.EncodeControl(c)
		if err != nil {
			w.fail("a setting that cannot be: %v", err)
			return
		}
		if !again {
			w.settings = slices.DeleteFunc(w.settings, func(s setting) bool { return s.network == c.Network })
			w.settings = append(w.settings, setting{c.Network, value, c.Position})
		}
		for p := range w.traffic.Partitions {
			if p != it.Misses {
				w.append(p, entry{record: control(it.RecordMs, value, schemas.SignControl(controlKey, value))})
			}
		}
	case it.Raw != nil:
		w.append(it.Partition, entry{record: *it.Raw})
	default:
		for range it.Count {
			w.append(it.Partition, entry{skip: it.Skip})
		}
	}
}

// String prints an item for people.
func (it *Item) String() string {
	words := []string{rfc3339(it.RecordMs)}
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	switch e := it.Event; {
	case e != nil:
		add("%s/%s/%s %s at %s", e.Network, e.User, e.Device, e.ID, rfc3339(e.TimeMs))
		for _, more := range []string{e.Class, e.Source, strings.TrimPrefix(e.Type, "io.daybook."), e.Label, e.UA, e.Zone, e.Name} {
			if more != "" {
				add("%s", more)
			}
		}
		if e.ReceivedMs != 0 {
			add("received %s", rfc3339(e.ReceivedMs))
		}
	case it.Setting != nil:
		add("SETTING %s gap %v zone %q", it.Setting.Network, time.Duration(it.Setting.GapMs)*time.Millisecond, it.Setting.Zone)
		if it.Setting.RetentionDays > 0 {
			add("kept %d days", it.Setting.RetentionDays)
		}
		for _, d := range it.Setting.Dark {
			add("dark from %s", rfc3339(d.FromMs))
			if d.ToMs != math.MaxInt64 {
				add("to %s", rfc3339(d.ToMs))
			}
		}
		if it.Setting.Position >= 0 {
			add("once more, position %d", it.Setting.Position)
		}
		if it.Misses >= 0 {
			add("but for partition %d", it.Misses)
		}
	case it.Raw != nil:
		add("RAW partition %d key %q %q", it.Partition, it.Raw.Key, it.Raw.Value)
	default:
		add("%d offsets of partition %d: %s", it.Count, it.Partition, it.Skip)
	}
	return strings.Join(words, " ")
}

func (t *Traffic) String() string {
	var b strings.Builder
	for i := range t.Items {
		fmt.Fprintf(&b, "%4d %v\n", i, &t.Items[i])
	}
	return b.String()
}

// places are instants around which something happens to clocks, with a zone of it.
var places = []struct {
	zone string
	at   time.Time
}{
	{"Europe/Amsterdam", time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)},    // 02:00 to 03:00
	{"Europe/Amsterdam", time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC)},   // 03:00 to 02:00
	{"America/Santiago", time.Date(2026, 9, 6, 4, 0, 0, 0, time.UTC)},     // no midnight
	{"America/St_Johns", time.Date(2010, 11, 7, 2, 31, 0, 0, time.UTC)},   // a date of two runs
	{"Australia/Lord_Howe", time.Date(2026, 4, 4, 15, 0, 0, 0, time.UTC)}, // half an hour
	{"Asia/Kathmandu", time.Date(2026, 1, 1, 18, 15, 0, 0, time.UTC)},     // midnight there
	{"UTC", time.Date(2026, 2, 28, 24, 0, 0, 0, time.UTC)},
	{"Pacific/Apia", time.Date(2011, 12, 30, 10, 0, 0, 0, time.UTC)}, // a date is left out
}

// generator draws traffic.
type generator struct {
	r        *rand.Rand
	t        *Traffic
	zones    []string
	networks []string
	users    int
	devices  []string
	settings map[string]schemas.Control
	puts     int64
	clock    int64 // received time
	front    int64 // event time that most events are near
	back     int64 // how far back a late one may lie
	style    int
	chances  struct{ repeat, mark, control, odd, late int } // of 100
	events   []Event
}

// newTraffic draws traffic from a seed.
func newTraffic(seed uint64) *Traffic {
	r := rand.New(rand.NewPCG(seed, 0x74726166))
	place := places[r.IntN(len(places))]
	g := &generator{
		r: r, t: &Traffic{Seed: seed, Partitions: int32(1 + r.IntN(3))}, zones: []string{place.zone, "", "UTC", "America/New_York"},
		networks: []string{"acme", "globex", "initech"}[:1+r.IntN(3)], users: 1 + r.IntN(4), devices: []string{"d1", "d2", ""}[:1+r.IntN(3)],
		settings: make(map[string]schemas.Control), style: r.IntN(6),
		back: []int64{3 * hour, 30 * hour, 50 * hour, 40 * day}[r.IntN(4)],
	}
	g.clock = place.at.UnixMilli() - int64(r.IntN(int(4*hour)))
	g.front = g.clock
	c := &g.chances
	c.repeat, c.mark, c.control = []int{3, 15, 40}[r.IntN(3)], []int{0, 10, 30}[r.IntN(3)], []int{0, 0, 6, 20}[r.IntN(4)]
	c.odd, c.late = []int{0, 5, 20}[r.IntN(3)], []int{0, 5, 25, 60}[r.IntN(4)]
	if g.style == 4 { // one device, late events whose windows end within its sessions
		g.users, g.devices, g.networks, c.mark, c.late = 1, g.devices[:1], g.networks[:1], 30, 40
	}
	if g.style == 5 { // one always-on device
		g.users, g.devices, g.networks = 1, g.devices[:1], g.networks[:1]
	}
	n := 10 + r.IntN(50)
	switch r.IntN(20) {
	case 0:
		n = 100 + r.IntN(300)
	case 1, 2, 3, 4, 5:
		n = 3 + r.IntN(9)
	}
	for _, network := range g.networks {
		if r.IntN(10) > 0 {
			g.set(network, func(c *schemas.Control) { c.Zone = g.zones[r.IntN(len(g.zones))] })
		}
	}
	if r.IntN(4) == 0 { // the log does not begin with a block
		g.add(Item{Skip: source.SkipCompacted, Count: []int{1, 5, 60}[r.IntN(3)], Partition: int32(r.IntN(int(g.t.Partitions)))})
	}
	for len(g.t.Items) < n {
		g.one()
	}
	return g.t
}

func (g *generator) add(it Item) {
	it.RecordMs = g.clock
	if it.Setting == nil {
		it.Misses = -1
	}
	g.t.Items = append(g.t.Items, it)
}

// one adds something.
func (g *generator) one() {
	r, x := g.r, g.r.IntN(100)
	g.clock += g.step()
	switch c := &g.chances; {
	case x < c.control:
		g.change()
	case x < c.control+c.odd:
		g.odd()
	case len(g.events) > 0 && r.IntN(100) < c.repeat:
		g.repeat()
	default:
		e := g.event()
		g.front = max(g.front, min(e.TimeMs, g.clock))
		g.send(e)
	}
}

func (g *generator) send(e Event) {
	g.events = append(g.events, e)
	g.add(Item{Event: &e})
}

// step draws how much later the next record is received.
func (g *generator) step() int64 {
	steps := []int64{0, 0, 1, second, 20 * second, minute, 10 * minute, 29 * minute, 30 * minute, 31 * minute, hour}
	if g.style >= 4 {
		return steps[3+g.r.IntN(7)]
	}
	if g.r.IntN(30) == 0 {
		return day + int64(g.r.IntN(int(3*day)))
	}
	return steps[g.r.IntN(len(steps))]
}

// edge draws a distance at which a rule may turn.
func (g *generator) edge() int64 {
	edges := []int64{0, 1, 500, second, minute - 1, minute, minute + 1, 5 * minute, 5*minute + 1, 29 * minute, 30*minute - 1, 30 * minute, 30*minute + 1, hour - 1, hour, hour + 1, 2 * hour, 4 * hour, day, 48 * hour, 52 * hour}
	return edges[g.r.IntN(len(edges))] + []int64{0, 0, 0, 1, -1}[g.r.IntN(5)]
}

// event draws a new event.
func (g *generator) event() Event {
	r := g.r
	u := r.IntN(g.users)
	e := Event{
		Network: g.networks[u%len(g.networks)], User: fmt.Sprint("u", u), Device: g.devices[r.IntN(len(g.devices))],
		ID: fmt.Sprint("e", len(g.events)), TimeMs: g.clock - int64(r.IntN(int(2*minute))),
	}
	if r.IntN(4) == 0 {
		e.ID = fmt.Sprint("x", r.IntN(4)) // one that others have, too
	}
	e.Class = []string{"", "web", "mobile"}[r.IntN(3)]
	if e.Class == "" && r.IntN(2) == 0 {
		e.UA = []string{"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)", "Googlebot/2.1 (+http://www.google.com/bot.html)", "Mozilla/5.0 (X11; Linux x86_64)"}[r.IntN(3)]
	}
	if r.IntN(100) < g.chances.mark {
		e.Type = []string{schemas.TypeLoggedOut, schemas.TypeBackgrounded}[r.IntN(2)]
	} else if r.IntN(20) == 0 {
		e.Type = []string{schemas.TypeHeartbeat, "io.daybook.agent.state_changed", "com.example.anything"}[r.IntN(3)]
	}
	if r.IntN(6) == 0 {
		e.ReceivedMs = g.clock - g.edge()
	}
	switch {
	case g.style == 4 && len(g.events) > 0 && r.IntN(5) == 0:
		far := []int64{0, 1, 5 * minute, 10 * minute, 29 * minute, 31 * minute}[r.IntN(6)] * []int64{1, -1}[r.IntN(2)]
		e.TimeMs = g.events[r.IntN(len(g.events))].TimeMs - 52*hour + far
	case r.IntN(100) < g.chances.late:
		e.TimeMs = g.clock - int64(r.Uint64N(uint64(g.back)))
		if r.IntN(2) == 0 {
			e.TimeMs = g.front - g.edge()
		}
	case r.IntN(3) == 0 && len(g.events) > 0: // near another one
		sign := []int64{1, -1}[r.IntN(2)]
		e.TimeMs = min(g.events[len(g.events)-1-r.IntN(min(len(g.events), 8))].TimeMs+sign*g.edge(), g.clock+10*minute)
	case r.IntN(3) == 0: // within the horizon, in any order
		e.TimeMs = g.clock - int64(r.IntN(int(2*hour)))
	}
	return e
}

// repeat sends an event again, perhaps with something changed.
func (g *generator) repeat() {
	r := g.r
	e := g.events[r.IntN(len(g.events))]
	switch r.IntN(6) {
	case 0:
		e.TimeMs += g.edge() * []int64{1, -1}[r.IntN(2)]
	case 1:
		e.TimeMs = g.clock
	case 2:
		e.Label = []string{"other", "another"}[r.IntN(2)]
	case 3:
		e.Device, e.Class = g.devices[r.IntN(len(g.devices))], "mobile"
	case 4:
		e.Type = []string{"", schemas.TypeLoggedOut}[r.IntN(2)]
	}
	g.send(e)
}

// set changes a network's settings.
func (g *generator) set(network string, change func(*schemas.Control)) {
	c, ok := g.settings[network]
	if !ok {
		c = schemas.Control{Network: network, GapMs: schemas.DefaultGapMs}
	}
	c.Dark = slices.Clone(c.Dark)
	change(&c)
	g.settings[network] = c
	c.Position = -1
	g.puts++
	misses := int32(-1)
	if g.r.IntN(8) == 0 {
		misses = int32(g.r.IntN(int(g.t.Partitions)))
	}
	g.add(Item{Setting: &c, Misses: misses})
}

// change changes a setting, or what the directory says of a user.
func (g *generator) change() {
	r := g.r
	network := g.networks[r.IntN(len(g.networks))]
	at := g.clock + g.edge()*[]int64{1, -1}[r.IntN(2)]
	switch r.IntN(8) {
	case 6:
		g.set(network, func(c *schemas.Control) { c.RetentionDays = []int32{0, schemas.MinRetentionDays}[r.IntN(2)] })
	case 0:
		g.set(network, func(c *schemas.Control) {
			c.GapMs = []int32{schemas.MinGapMs, 10 * int32(minute), schemas.DefaultGapMs, 60 * int32(minute), schemas.MaxGapMs}[r.IntN(5)]
		})
	case 1, 2: // disable, enable
		g.set(network, func(c *schemas.Control) {
			switch n := len(c.Dark); {
			case n > 0 && c.Dark[n-1].ToMs == math.MaxInt64:
				c.Dark[n-1].ToMs = max(at, c.Dark[n-1].FromMs+1)
			case n == 0 || at > c.Dark[n-1].ToMs:
				c.Dark = append(c.Dark, schemas.Dark{FromMs: at, ToMs: math.MaxInt64})
			}
		})
	case 3:
		g.set(network, func(c *schemas.Control) { c.Zone = g.zones[r.IntN(len(g.zones))] })
	case 4: // an old setting once more
		if c, ok := g.settings[network]; ok {
			c.Position = r.Int64N(g.puts)
			g.add(Item{Setting: &c, Misses: -1})
		}
	default:
		e := g.event()
		e.Type, e.Zone, e.Name = schemas.TypeUserUpserted, g.zones[r.IntN(len(g.zones))], []string{"", "Ann", "Bea"}[r.IntN(3)]
		if r.IntN(10) == 0 {
			e.Zone = "Nowhere/Land"
		}
		g.send(e)
	}
}

// odd adds what is no good event.
func (g *generator) odd() {
	r := g.r
	p := int32(r.IntN(int(g.t.Partitions)))
	raw := func(key, value string, hs ...source.Header) {
		g.add(Item{Partition: p, Raw: &source.Record{TimestampMs: g.clock, Key: []byte(key), Value: []byte(value), Headers: hs}})
	}
	e := g.event()
	switch r.IntN(12) {
	case 0:
		raw("acme/u0", `{"id":"a","network":`)
	case 1:
		raw("", "")
	case 2:
		raw("somebody", string(e.record(g.clock).Value)) // a wrong key
	case 3:
		raw(e.Network+"/"+e.User, string(e.record(g.clock).Value)) // perhaps a wrong partition
	case 4:
		value, err := schemas.EncodeControl(schemas.Control{Network: "acme", Position: 1 << 40, GapMs: schemas.MinGapMs})
		if err != nil {
			panic(err)
		}
		raw("", string(value), source.Header{Key: []byte(schemas.HeaderControl), Value: []byte("forged")})
	case 5:
		e.Network = "unheard-of"
		g.send(e)
	case 6: // wrong clocks
		e.TimeMs = []int64{time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), time.Date(2400, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), g.clock + 364*day, g.clock + 366*day, g.clock + 6*minute, time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()}[r.IntN(6)]
		g.send(e)
	case 7, 8:
		g.add(Item{Partition: p, Skip: []string{source.SkipControl, source.SkipAborted, source.SkipCompacted}[r.IntN(3)], Count: 1 + r.IntN(5)})
	case 9: // of an installation before: a line that replay could not map
		raw("", "GET /", source.Header{Key: []byte(schemas.HeaderError), Value: []byte("no user")})
	case 10: // several events of one instant
		for i := range 3 {
			x := e
			x.ID += fmt.Sprint(".", i)
			x.Type = []string{"", "", schemas.TypeLoggedOut}[r.IntN(3)]
			g.send(x)
		}
	case 11:
		if r.IntN(3) == 0 {
			e.Label = []string{poisonDecode, poisonApply}[r.IntN(2)]
		}
		g.send(e)
	}
}
