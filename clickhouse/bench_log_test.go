package clickhouse_test

import (
	"bytes"
	"encoding/json"
	"hash/fnv"
	"testing"
	"time"

	"daybook/cmd/daybook/generate"
	"daybook/schemas"
)

// benchLog is the load of `daybook generate` as the flushes that a worker makes
// of it: events with the rows of the sessions that they changed. It is for
// benchmarks of writing; the sessions are made of the gap alone.
type benchLog struct {
	tb         testing.TB
	gen        *generate.Generator
	partitions int32
	next       []int64 // offset, by partition
	queues     []benchQueue
	open       map[[3]string]*schemas.SessionRow
	known      map[[2]string]bool
}

// benchQueue holds events of one partition until they fill a flush.
type benchQueue struct {
	events []schemas.EventRow
	lines  bytes.Buffer // the same records as JSON
}

// benchEvent is what the benchmarks store of a record.
type benchEvent struct {
	ID, Source, Network, User, Category, Action, Label, Type string
	Time, Received                                           time.Time
	Device                                                   struct{ ID, Class string }
	Content                                                  struct{ ID, Name, Slug string }
	Context                                                  struct{ Zone, UA, URL string }
	Props                                                    json.RawMessage
}

// newBenchLog makes a load of four networks with 20,000 users each, in the
// density of 300,000 events a week that BenchmarkEndToEnd has.
func newBenchLog(tb testing.TB, partitions int32) *benchLog {
	tb.Helper()
	gen, err := generate.New(generate.Config{Seed: 11, Events: 12_000_000, Networks: 4, Users: 20_000, Days: 280})
	if err != nil {
		tb.Fatal(err)
	}
	return &benchLog{
		tb: tb, gen: gen, partitions: partitions, next: make([]int64, partitions), queues: make([]benchQueue, partitions),
		open: map[[3]string]*schemas.SessionRow{}, known: map[[2]string]bool{},
	}
}

// flush gives the next n events of a partition with all that a flush of them
// writes, and their records as lines of JSON.
func (l *benchLog) flush(partition int32, n int) (f *schemas.Flush, lines []byte) {
	for len(l.queues[partition].events) < n {
		l.read()
	}
	q := &l.queues[partition]
	from := l.next[partition]
	f = &schemas.Flush{Topic: schemas.TopicEvents, Epoch: 1, Partition: partition, From: from, Next: from + int64(n), Events: q.events}
	lines = bytes.Clone(q.lines.Bytes())
	l.next[partition] += int64(n)
	*q = benchQueue{}
	l.sessions(f)
	last := &f.Events[n-1]
	f.Progress = []schemas.ProgressRow{{Network: string(last.Event.Network), WatermarkMs: last.TimeMs - 60_000}}
	for block := from / 10_000; block*10_000 < f.Next; block++ {
		f.Ledger = append(f.Ledger, schemas.LedgerRow{Block: block * 10_000, Size: 10_000, Next: min(f.Next, (block+1)*10_000), Accepted: 10_000})
	}
	return f, lines
}

// read takes a record of the load to the queue of its partition.
func (l *benchLog) read() {
	r, ok := l.gen.Next()
	if !ok {
		l.tb.Fatal("the load has ended")
	}
	var e benchEvent
	if err := json.Unmarshal(r.Value, &e); err != nil {
		l.tb.Fatal(err)
	}
	if e.Category == "" || r.Repeat { // a fact about a user, or no event
		return
	}
	hash := fnv.New32a()
	hash.Write(r.Key)
	partition := int32(hash.Sum32() % uint32(l.partitions))
	q := &l.queues[partition]
	row := schemas.EventRow{
		Event: &schemas.Event{
			ID: []byte(e.ID), Source: []byte(e.Source), Network: []byte(e.Network), User: []byte(e.User), Type: []byte("io.daybook.presence.activity"),
			Category: []byte(e.Category), Action: []byte(e.Action), Label: []byte(e.Label), ContentID: []byte(e.Content.ID), ContentName: []byte(e.Content.Name),
			ContentSlug: []byte(e.Content.Slug), Zone: []byte(e.Context.Zone), UserAgent: []byte(e.Context.UA), URL: []byte(e.Context.URL), Props: e.Props,
		},
		Offset: l.next[partition] + int64(len(q.events)), TimeMs: e.Time.UnixMilli(), ReceivedMs: r.ArrivalMs, DeviceID: []byte(e.Device.ID),
		GapMs: schemas.DefaultGapMs, Zone: "Europe/Amsterdam",
	}
	row.Content = schemas.ContentHash(row.Event)
	q.events = append(q.events, row)
	// As ClickHouse reads instants fastest.
	sent, shown := e.Time.Format("2006-01-02T15:04:05.000Z"), e.Time.Format("2006-01-02 15:04:05.000")
	q.lines.Write(bytes.Replace(r.Value, []byte(sent), []byte(shown), 1))
	q.lines.WriteByte('\n')
}

// sessions adds a row and a slice for each session that the events changed, and
// a row of the directory for each new user.
func (l *benchLog) sessions(f *schemas.Flush) {
	var changed []*schemas.SessionRow
	in := map[*schemas.SessionRow]bool{}
	for i := range f.Events {
		r := &f.Events[i]
		network, user, device := string(r.Event.Network), string(r.Event.User), string(r.DeviceID)
		if !l.known[[2]string{network, user}] {
			l.known[[2]string{network, user}] = true
			f.Users = append(f.Users, schemas.UserRow{Network: network, User: user, Zone: r.Zone})
		}
		key := [3]string{network, user, device}
		s := l.open[key]
		if s == nil || r.TimeMs > s.EndMs+int64(s.GapMs) {
			s = &schemas.SessionRow{
				ID: schemas.SessionID(network, user, device, r.TimeMs), Network: network, User: user, Device: device,
				StartMs: r.TimeMs, EndMs: r.TimeMs, Zone: r.Zone, GapMs: r.GapMs,
			}
			l.open[key] = s
		}
		s.EndMs = max(s.EndMs, r.TimeMs)
		s.Events++
		if !in[s] {
			in[s] = true
			changed = append(changed, s)
		}
	}
	for _, s := range changed {
		f.Sessions = append(f.Sessions, *s)
		f.Slices = append(f.Slices, schemas.SliceRow{
			Session: s.ID, Network: s.Network, User: s.User, Device: s.Device, Zone: s.Zone, SessionStart: s.StartMs,
			Date: int32(s.StartMs / 86_400_000), Runs: [][2]int64{{s.StartMs / 1000, s.EndMs / 1000}}, Seconds: int32(s.EndMs/1000 - s.StartMs/1000),
		})
	}
}
