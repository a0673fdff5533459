package pipeline

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	runtimemetrics "runtime/metrics"
	"syscall"
	"testing"
	"time"

	"daybook/schemas"
)

var mostSessions = flag.Int("open.sessions", 1_000_000, "sub-benchmarks of BenchmarkOpenSessions with more sessions are left out (10 million take 4 GB)")

// BenchmarkOpenSessions measures what an event costs the state while many
// sessions are open: recognition of repeats, sessionizing, noting what changed,
// and looking what is to be written. Rows of events and of sessions are not part of
// it: every session was written just before, so its next row is held back.
//
// CPU time, of all threads: the collector's is in it, and told apart.
func BenchmarkOpenSessions(b *testing.B) {
	first := map[string]float64{} // ns an event with the fewest sessions, by keys
	for _, keys := range []string{"zipf", "uniform"} {
		for _, sessions := range []int{10_000, 100_000, 1_000_000, 10_000_000} {
			if sessions > *mostSessions {
				continue
			}
			b.Run(fmt.Sprintf("keys=%s/sessions=%d", keys, sessions), func(b *testing.B) {
				o := openSessions(b, sessions)
				users := func() uint64 { return o.r.Uint64N(uint64(sessions)) }
				if keys == "zipf" {
					users = rand.NewZipf(o.r, 1.1, 8, uint64(sessions-1)).Uint64
				}
				o.reset()
				for b.Loop() {
					for range 20 { // a million events: what rarely happens is in it, too
						o.batch(50_000, users)
					}
				}
				o.report(b)
				if cost := float64(o.used) / float64(o.events); first[keys] == 0 {
					first[keys] = cost
				} else {
					b.ReportMetric(cost/first[keys], "times-10k")
				}
			})
		}
	}
}

// open is a state with open sessions, one a user, and what it has cost.
type open struct {
	tb       testing.TB
	s        *state
	r        *rand.Rand
	b        slab
	text     []byte // ids of users, devices and events of the batch
	timeMs   int64  // of events
	now      int64  // wall clock of flushes
	sessions int
	heap     uint64 // bytes of the state when every session is open

	// Of batches since reset.
	events  int
	used    time.Duration // CPU of apply and flush
	longest time.Duration // batch
	allocs  uint64
	gc      float64 // CPU seconds of the collector
	begin   time.Duration
}

// openSessions opens so many sessions. They stay open: the gap is four hours, and
// the events of a benchmark span seconds.
func openSessions(tb testing.TB, sessions int) *open {
	tb.Helper()
	rules := Standard(2*time.Hour, time.Minute)
	o := &open{tb: tb, r: rand.New(rand.NewPCG(1, 2)), sessions: sessions, now: 1_000_000, timeMs: time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC).UnixMilli()}
	o.b.records, o.text = make([]record, 0, benchBatch), make([]byte, 0, 64*benchBatch)
	before := heap()
	o.s = newState(&rules, 1, 0, 1, 0)
	n := o.s.network("bench")
	n.set(&schemas.Control{Network: "bench", Position: 0, GapMs: schemas.MaxGapMs})
	next := uint64(0)
	for next < uint64(sessions) {
		o.batch(min(sessions-int(next), benchBatch), func() uint64 { next++; return next - 1 })
		n.ids.ForgetAll(math.MaxInt64) // the sessions alone are measured first
	}
	if o.s.sessions != sessions {
		tb.Fatalf("%d sessions are open, want %d", o.s.sessions, sessions)
	}
	o.s.rows, o.s.sessionRows, o.s.sliceRows, o.s.entered = nil, nil, nil, nil
	n.waiting = waiting{} // memory of a batch, not of the sessions
	o.heap = heap() - before
	o.reset()
	return o
}

// benchBatch is how many events a batch of BenchmarkOpenSessions has.
const benchBatch = 50_000

// heap gives the bytes in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // finishes the sweep of the one before
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// batch has a batch of events of users applied and flushed. The wall clock of the
// flush stands still, so that rows are held back.
func (o *open) batch(n int, user func() uint64) {
	o.b.reset(o.s.pos)
	o.text = o.text[:0]
	o.timeMs += 50 // a million events a second
	for i := range n {
		u := user()
		r := o.b.extend()
		r.offset = o.s.pos + int64(i)
		r.recordMs, r.timeMs, r.receivedMs = o.timeMs, o.timeMs, o.timeMs
		r.device, r.class = o.id('d', u), schemas.ClassWeb
		r.event = schemas.Event{
			Network: []byte("bench"), User: o.id('u', u), Source: []byte("web"), ID: o.id('e', uint64(r.offset)),
			Kind: schemas.KindSignal, TimeMs: o.timeMs, DeviceID: r.device,
		}
	}
	o.b.next = o.s.pos + int64(n)
	used, allocs, begin := cpuTime(o.tb), metric("/gc/heap/allocs:objects").Uint64(), time.Now()
	if stopped, err := o.s.advance(&o.b, n); err != nil || stopped {
		o.tb.Fatal(stopped, err)
	}
	f := o.s.takeFlush("events", o.now, false)
	o.s.settle()
	o.s.reuse(f)
	o.longest = max(o.longest, time.Since(begin))
	o.used += cpuTime(o.tb) - used
	o.allocs += metric("/gc/heap/allocs:objects").Uint64() - allocs
	o.events += n
}

// id makes an id of twelve bytes.
func (o *open) id(kind byte, n uint64) []byte {
	at := len(o.text)
	o.text = append(o.text, kind, '-')
	for shift := 36; shift >= 0; shift -= 4 {
		o.text = append(o.text, "0123456789abcdef"[n>>shift&15])
	}
	return o.text[at:len(o.text):len(o.text)]
}

func (o *open) reset() {
	o.events, o.used, o.longest, o.allocs = 0, 0, 0, 0
	o.gc, o.begin = metric("/cpu/classes/gc/total:cpu-seconds").Float64(), cpuTime(o.tb)
}

func (o *open) report(b *testing.B) {
	b.Helper()
	events := float64(o.events)
	ids := o.s.networks["bench"].ids
	b.ReportMetric(float64(o.used)/events, "cpu-ns/event")
	b.ReportMetric(float64(o.allocs)/events, "allocs/event")
	b.ReportMetric(float64(o.longest.Microseconds())/1000, "ms-longest-batch")
	b.ReportMetric(float64(o.heap)/float64(o.sessions), "B/session")
	b.ReportMetric(float64(ids.Bytes())/float64(ids.Len()), "B/id")
	b.ReportMetric(100*(metric("/cpu/classes/gc/total:cpu-seconds").Float64()-o.gc)/(cpuTime(o.tb)-o.begin).Seconds(), "%-gc")
	b.ReportMetric(0, "ns/op") // of a million events and their making
	runtime.KeepAlive(o.s)
}

// cpuTime gives the CPU time of the process so far.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func metric(name string) runtimemetrics.Value {
	sample := []runtimemetrics.Sample{{Name: name}}
	runtimemetrics.Read(sample)
	return sample[0].Value
}
