package generate

import (
	"math"
	"strconv"

	"daybook/schemas"
)

// visit is a session in progress.
type visit struct {
	nextMs  int64
	network int
	user    int
	person  person
	device  device
	left    int  // events to come, this one included
	fact    bool // the directory has to learn of the user first
}

// visits is a heap by the time of the next event.
type visits []*visit

func (h *visits) Len() int           { return len(*h) }
func (h *visits) Less(i, j int) bool { return (*h)[i].nextMs < (*h)[j].nextMs }
func (h *visits) Swap(i, j int)      { (*h)[i], (*h)[j] = (*h)[j], (*h)[i] }

// Push is for container/heap only.
func (h *visits) Push(x any) { *h = append(*h, x.(*visit)) }

// Pop is for container/heap only.
func (h *visits) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// arrival is a record on its way.
type arrival struct {
	arrivalMs  int64
	order      uint64 // of its event; decides between equal times
	key, value []byte
	repeat     bool
	late       bool
}

// arrivals is a heap by the time of arrival.
type arrivals []*arrival

func (h *arrivals) Len() int { return len(*h) }
func (h *arrivals) Less(i, j int) bool {
	a, b := (*h)[i], (*h)[j]
	if a.arrivalMs != b.arrivalMs {
		return a.arrivalMs < b.arrivalMs
	}
	if a.order != b.order {
		return a.order < b.order
	}
	return !a.repeat && b.repeat
}
func (h *arrivals) Swap(i, j int) { (*h)[i], (*h)[j] = (*h)[j], (*h)[i] }

// Push is for container/heap only.
func (h *arrivals) Push(x any) { *h = append(*h, x.(*arrival)) }

// Pop is for container/heap only.
func (h *arrivals) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// device is what a person uses.
type device struct {
	mobile bool
	ua     string
	id     uint64
}

// person is what a user is like: a function of the seed and the user's number,
// so that nothing has to be remembered of a million of them.
type person struct {
	zone        string
	offsetHours int // roughly, in winter; only the time of day of visits depends on it
	devices     [2]device
	second      bool // has a second device
}

type place struct {
	zone  string
	hours int
}

func places() [10]place {
	return [...]place{
		{"Europe/Prague", 1},
		{"Europe/Prague", 1},
		{"Europe/London", 0},
		{"America/New_York", -5},
		{"America/Sao_Paulo", -3},
		{"America/Los_Angeles", -8},
		{"Asia/Tokyo", 9},
		{"Asia/Kolkata", 5},
		{"Australia/Lord_Howe", 10},
		{"Africa/Cairo", 2},
	}
}

func webAgents() [4]string {
	return [...]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
		"Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
	}
}

// mix is SplitMix64's finaliser: numbers that look unrelated from numbers in a
// row.
func mix(x uint64) uint64 {
	x += 0x9e37_79b9_7f4a_7c15
	x = (x ^ x>>30) * 0xbf58_476d_1ce4_e5b9
	x = (x ^ x>>27) * 0x94d0_49bb_1331_11eb
	return x ^ x>>31
}

func personOf(seed uint64, network, user int) person {
	h := mix(seed ^ mix(uint64(network)<<32|uint64(user)))
	all, agents := places(), webAgents()
	where := all[h%uint64(len(all))]
	mobileFirst := h>>16%3 == 0
	app := device{mobile: true, ua: "Daybook-App/4.2 (Android 14; Pixel 8)", id: mix(h + 1)}
	web := device{ua: agents[h>>24%uint64(len(agents))], id: mix(h + 2)}
	p := person{zone: where.zone, offsetHours: where.hours, devices: [2]device{web, app}, second: h>>40%4 == 0}
	if mobileFirst {
		p.devices = [2]device{app, web}
	}
	return p
}

// diurnal is the share of visits that happen at an hour of the local day, 0 to
// 1: quiet at night, a dip at noon. Its mean is about meanDiurnalShare.
func diurnal(hour float64) float64 {
	day := 0.5 - 0.5*math.Cos((hour-3)/24*2*math.Pi)
	noon := 0.25 * math.Exp(-(hour-12.5)*(hour-12.5))
	return max(0.03, day-noon)
}

// build fills the event of a visit at an instant.
func (g *Generator) build(v *visit, atMs int64) {
	g.counter++
	g.text = append(g.text[:0], 'g')
	g.text = strconv.AppendUint(g.text, g.cfg.Seed, 36)
	g.text = append(g.text, '-')
	g.text = strconv.AppendUint(g.text, g.counter, 36)
	id := g.text
	user := g.number("user-", uint64(v.user), 10)
	g.event = schemas.Event{ID: id, Source: g.source, Network: g.networkText[v.network], User: user, TimeMs: atMs}
	e := &g.event
	if v.fact {
		v.fact = false
		e.Type = []byte("io.daybook.directory.user_upserted")
		e.Props = append(append(append(append([]byte(`{"name":"User `), user[len("user-"):]...), `","tz":"`...), v.person.zone...), `"}`...)
		return
	}
	e.DeviceID = g.number("d", v.device.id, 36)
	e.DeviceClass = schemas.ClassWeb
	if v.device.mobile {
		e.DeviceClass = schemas.ClassMobile
	}
	e.UserAgent = []byte(v.device.ua)
	e.Zone = []byte(v.person.zone)
	g.act(v)
}

// act decides what the user did.
func (g *Generator) act(v *visit) {
	e := &g.event
	if v.left == 1 && g.rng.Float64() < 0.2 {
		e.Type = []byte("io.daybook.presence.logged_out")
		return
	}
	if g.rng.Float64() < 0.15 {
		e.Type = []byte("io.daybook.presence.heartbeat")
		return
	}
	content := uint64(g.rng.IntN(5000))
	e.ContentID = g.number("c-", content, 10)
	e.Category = []byte("content")
	e.Action = []byte([...]string{"view", "view", "view", "view", "like", "comment", "share", "bookmark"}[g.rng.IntN(8)])
	e.URL = g.number("/content/c-", content, 10)
}

// number writes a prefix and a number behind the texts of this event, all in
// one buffer. What was given before stays valid when the buffer moves.
func (g *Generator) number(prefix string, n uint64, base int) []byte {
	from := len(g.text)
	g.text = append(g.text, prefix...)
	g.text = strconv.AppendUint(g.text, n, base)
	return g.text[from:len(g.text):len(g.text)]
}
