package simtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/pipeline"
	"daybook/schemas"
)

// tale is traffic that is written by hand: one network, acme, on one partition,
// on 10 March 2026 and the days around it, in UTC.
type tale struct {
	items   []Item
	setting schemas.Control
	clock   int64 // received time of what comes next
}

var tuesday = time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC).UnixMilli()

// instant reads a clock of the tale: "09:25", "09:25:30.5", with "+1 " or "-1 "
// before it for another day.
func instant(clock string) int64 {
	days := int64(0)
	if d, rest, ok := strings.Cut(clock, " "); ok {
		if _, err := fmt.Sscanf(d, "%d", &days); err != nil {
			panic(err)
		}
		clock = rest
	}
	if strings.Count(clock, ":") == 1 {
		clock += ":00"
	}
	at, err := time.Parse("15:04:05", clock)
	if err != nil {
		panic(err)
	}
	return tuesday + days*day + at.UnixMilli() - at.Truncate(24*time.Hour).UnixMilli()
}

// newTale begins with the network made, its gap 30 minutes.
func newTale() *tale {
	s := &tale{setting: schemas.Control{Network: "acme", GapMs: schemas.DefaultGapMs}, clock: instant("-1 00:00")}
	return s.set(func(*schemas.Control) {})
}

// set changes the settings, at the clock of the record before.
func (s *tale) set(change func(*schemas.Control)) *tale {
	s.setting.Dark = slices.Clone(s.setting.Dark)
	change(&s.setting)
	c := s.setting
	c.Position = -1
	s.items = append(s.items, Item{RecordMs: s.clock, Setting: &c, Misses: -1})
	return s
}

func (s *tale) gap(minutes int32) *tale {
	return s.set(func(c *schemas.Control) { c.GapMs = minutes * int32(minute) })
}

// disable ends recording at an instant.
func (s *tale) disable(clock string) *tale {
	return s.set(func(c *schemas.Control) {
		c.Dark = append(c.Dark, schemas.Dark{FromMs: instant(clock), ToMs: instant("+90 00:00")})
	})
}

// event appends what user u does on his one device.
func (s *tale) event(e Event) *tale {
	e.Network, e.Class = "acme", "web"
	if e.User == "" {
		e.User = "u"
	}
	if e.ID == "" {
		e.ID = fmt.Sprint("e", len(s.items))
	}
	s.clock = max(s.clock, e.TimeMs)
	s.items = append(s.items, Item{RecordMs: s.clock, Event: &e, Misses: -1})
	return s
}

func (s *tale) signals(clocks ...string) *tale {
	for _, c := range clocks {
		s.event(Event{TimeMs: instant(c)})
	}
	return s
}

func (s *tale) logout(clock string) *tale {
	return s.event(Event{TimeMs: instant(clock), Type: schemas.TypeLoggedOut})
}

// others lets another user move the watermark.
func (s *tale) others(clock string) *tale {
	return s.event(Event{User: "other", TimeMs: instant(clock)})
}

// calmPlan is a plan in which nothing befalls anybody.
func calmPlan() *Plan {
	return &Plan{
		Seed: 1, Workers: 1, Batches: []int{1000}, FetchRecords: 1000, FlushAge: 100 * time.Millisecond, Every: 300 * time.Millisecond, Idle: 1,
		Users: 4000, Drain: 3 * time.Second, Lateness: []time.Duration{time.Millisecond}, MaxIDs: 1_000_000, ForceKeys: 20_000, Block: 4,
		Rewrite: 10 * time.Second, Bucket: time.Millisecond,
	}
}

// plans are those that a tale is told under: every cut into batches, before and
// after a crash at each step, with everything in memory, little, and nothing.
func (s *tale) plans(latenesses ...time.Duration) (all []*Plan) {
	faults := [][]Fault{nil}
	for _, point := range []string{pipeline.PointApplied, pipeline.PointWritten, pipeline.PointCheckpointWritten, pipeline.PointCommitted} {
		for n := 1; n <= 3; n++ {
			faults = append(faults, []Fault{{point, n, doCrash, 10 * time.Millisecond}}, []Fault{{point, n, doCold, 10 * time.Millisecond}})
		}
	}
	faults = append(faults, []Fault{{pointWrite, 1, doTorn, 0}}, []Fault{{pointWrite, 2, doTorn, 0}, {pipeline.PointWriting, 2, doCrash, time.Second}})
	for _, lateness := range latenesses {
		for first := 1; first <= len(s.items); first++ {
			for i, f := range faults {
				p := calmPlan()
				p.PastFor, p.PastIDs = []time.Duration{0, time.Minute}[len(all)%2], 500_000
				p.Seed, p.Faults, p.Lateness = uint64(i), f, []time.Duration{lateness}
				p.Batches = []int{first, []int{1, 2, 1000}[i%3]}
				all = append(all, p)
			}
		}
	}
	return all
}

// tell runs the tale under plans, and compares the sessions of user u, too, as
// "09:00–10:15". It tells what befell.
func (s *tale) tell(t *testing.T, plans []*Plan, want ...string) (befallen map[string]int) {
	t.Helper()
	befallen = make(map[string]int)
	traffic := &Traffic{Partitions: 1, Items: s.items}
	for _, p := range plans {
		out := simulate(t, traffic, p, none, false)
		for k, n := range out.faults {
			befallen[k] += n
		}
		got := out.sessions()
		if out.failure == "" && slices.Equal(got, want) {
			continue
		}
		out = simulate(t, traffic, p, none, true)
		t.Fatalf("%v\n%vgot %v, want %v\n%s\n%s", p, traffic, got, want, out.failure, strings.Join(out.trace, "\n"))
	}
	return befallen
}

// sessions prints the sessions of user u.
func (o *outcome) sessions() []string {
	var got []string
	for id, v := range o.rows {
		if id.table != tableSessions || v.text == "" || !strings.HasPrefix(id.id, "acme/u/") {
			continue
		}
		var from, to int64
		_, err := fmt.Sscanf(id.id[strings.LastIndex(id.id, " from "):], " from %d", &from)
		if err == nil {
			_, err = fmt.Sscanf(v.text, "to %d,", &to)
		}
		if err != nil {
			panic(err)
		}
		got = append(got, clockOf(from)+"–"+clockOf(to))
	}
	slices.Sort(got)
	return got
}

// clockOf is the opposite of instant.
func clockOf(ms int64) string {
	at := time.UnixMilli(ms).UTC()
	text := at.Format("15:04")
	if at.Second() != 0 || at.Nanosecond() != 0 {
		text = at.Format("15:04:05.999")
	}
	if d := floorDiv(ms-tuesday, day); d != 0 {
		text = fmt.Sprintf("%+d %s", d, text)
	}
	return text
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
