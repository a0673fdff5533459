package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"runtime/metrics"
	"sync"
	"syscall"
	"testing"
	"time"

	"daybook/clickhouse"
	"daybook/pipeline"
	"daybook/pipeline/benchlog"
	"daybook/pipeline/source"
	"daybook/schemas"
)

var (
	chainEvents = flag.Int("chain.events", 2_000_000, "events of BenchmarkChain")
	chainSlab   = flag.Int("chain.slab", 0, "records that are decoded, applied and encoded at once; 0: as in production")
)

// BenchmarkChain runs the real worker over one partition whose log is in memory, in
// lz4 record batches as producers send them, up to Native blocks, which are dropped:
// split, decompress, decode, recognise repeats, sessionize, enrich, encode. One
// processor, then as many as there are: fetch and decode, apply and encode, and the
// blocks of the flush before are three goroutines. The checkpoint at the end is not
// in the figures.
func BenchmarkChain(b *testing.B) {
	blocks := clickhouse.NewDiscard() // a worker's blocks have grown after its first flushes
	for _, users := range []int{10_000, 200_000} {
		var tape *source.Tape
		for _, procs := range []int{1, runtime.NumCPU()} {
			b.Run(fmt.Sprintf("users=%d/procs=%d", users, procs), func(b *testing.B) {
				if tape == nil {
					tape = chainTape(b, *chainEvents, users)
				}
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
				var cpu, took time.Duration
				var allocs uint64
				for b.Loop() {
					c := newChain(b, tape, blocks)
					used, made, begin := processCPU(b), heapAllocs(), time.Now()
					c.run()
					cpu, allocs, took = cpu+c.used-used, allocs+c.made-made, took+c.at.Sub(begin)
					if want := *chainEvents - *chainEvents/100; c.events != want {
						b.Fatalf("%d events were accepted, want %d", c.events, want)
					}
				}
				n := float64(*chainEvents) * float64(b.N)
				b.ReportMetric(n/took.Seconds(), "events/s")
				b.ReportMetric(float64(cpu.Nanoseconds())/n, "cpu-ns/event")
				b.ReportMetric(float64(allocs)/n, "allocs/event")
				b.ReportMetric(float64(tape.Bytes())/float64(*chainEvents), "log-B/event")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// chainTape puts the events of benchlog on a tape, behind the setting of their network.
func chainTape(tb testing.TB, n, users int) *source.Tape {
	tb.Helper()
	tape := source.NewTape(1 << 20)
	add := func(batch []source.Outgoing) {
		if err := tape.Append(batch, source.CompressionLZ4); err != nil {
			tb.Fatal(err)
		}
	}
	value, err := schemas.EncodeControl(schemas.Control{Network: benchlog.Network, Zone: "UTC", GapMs: schemas.DefaultGapMs})
	if err != nil {
		tb.Fatal(err)
	}
	signed := []source.Header{{Key: []byte(schemas.HeaderControl), Value: schemas.SignControl(chainKey, value)}}
	var batch []source.Outgoing
	for i, out := range benchlog.Records(n, users) {
		if i == 0 {
			add([]source.Outgoing{{Value: value, Headers: signed, TimeMs: out.TimeMs}})
		}
		if batch = append(batch, out); len(batch) == 1000 || i == n-1 {
			add(batch)
			batch = batch[:0]
		}
	}
	return tape
}

var chainKey = []byte("0123456789abcdef0123456789abcdef")

// chain is the log, the group and the storage of one worker.
type chain struct {
	*source.Tape
	*clickhouse.Discard

	tb     testing.TB
	worker *pipeline.Worker
	ctx    context.Context //nolint:containedctx // the generation's lifetime
	end    context.CancelFunc
	all    sync.WaitGroup
	given  bool
	events int

	// When the last flush was encoded: a checkpoint follows.
	used time.Duration
	made uint64
	at   time.Time
}

func newChain(tb testing.TB, tape *source.Tape, blocks *clickhouse.Discard) *chain {
	tb.Helper()
	c := &chain{tb: tb, Tape: tape, Discard: blocks}
	c.ctx, c.end = context.WithCancel(tb.Context())
	c.worker = pipeline.New(pipeline.Config{
		Topic: "daybook.events", Epoch: 1, Partitions: 1, ControlKey: chainKey, CheckpointEvery: time.Hour, CheckpointIdle: 1 << 40, CheckpointBytes: 1 << 40, SlabRecords: *chainSlab,
		FlushAge: 100 * time.Millisecond, // the last records wait for it
	}, c, func() (pipeline.Group, error) { return c, nil }, c)
	return c
}

func (c *chain) run() {
	if err := c.worker.Run(c.ctx); err != nil {
		c.tb.Fatal(err)
	}
}

// placed are rows that know their place.
type placed struct {
	schemas.Rows

	next int64
}

func (p *placed) Add(f *schemas.Flush) {
	p.next = f.Next
	p.Rows.Add(f)
}

func (c *chain) NewRows() schemas.Rows { return &placed{Rows: c.Discard.NewRows()} }

// WriteRows drops a flush; after the last one the worker is told to end.
func (c *chain) WriteRows(ctx context.Context, rows schemas.Rows) error {
	p := rows.(*placed)
	events, _, _, err := c.Discard.WriteRows(ctx, p.Rows)
	c.events += events
	if p.next == c.Tape.End() {
		c.used, c.made, c.at = processCPU(c.tb), heapAllocs(), time.Now()
		c.end()
	}
	return err
}

func (c *chain) Next(ctx context.Context) (pipeline.Generation, error) {
	if c.given {
		<-ctx.Done()
		return nil, source.ErrClosed
	}
	c.given = true
	return c, nil
}

func (c *chain) Close() error { c.all.Wait(); return nil }

func (c *chain) Assignment() source.Assignment {
	return source.Assignment{ID: 1, Partitions: []int32{0}, PartitionCount: 1}
}

func (c *chain) Context() context.Context { return c.ctx }

func (c *chain) Start(fn func(context.Context)) { c.all.Go(func() { fn(c.ctx) }) }

func (c *chain) End() { c.end() }

func (c *chain) Committed(context.Context) (map[int32]source.Committed, error) {
	return map[int32]source.Committed{0: {Offset: -1}}, nil
}

func (c *chain) Commit(context.Context, int32, int64, string) error { return nil }

func (c *chain) ListOffsets(context.Context, int32) (start, end int64, err error) {
	return 0, c.Tape.End(), nil
}

func (c *chain) WriteCheckpoint(_ context.Context, _ int32, next int64, _ []byte) (source.Pointer, error) {
	return source.Pointer{ID: "c", Next: next}, nil
}

var errChain = errors.New("there is none")

func (c *chain) ReadCheckpoint(context.Context, int32, source.Pointer) ([]byte, error) {
	return nil, errChain
}
func (c *chain) Checkpoints(context.Context, int32) ([]source.Pointer, error) { return nil, nil }
func (c *chain) DropCheckpoints(context.Context, int32, []source.Pointer) error {
	return nil
}
func (c *chain) Settings(context.Context) ([]source.Setting, error) { return nil, nil }
func (c *chain) AppendControl(context.Context, int32, []byte, []byte) (int64, error) {
	return 0, errChain
}
func (c *chain) Marks(context.Context, string) ([]source.Mark, error) { return nil, nil }
func (c *chain) PutMark(context.Context, string, []byte) error        { return nil }

func (c *chain) StoredEvents(context.Context, schemas.EventsQuery, func(*schemas.StoredEvent) error) error {
	return nil
}

func (c *chain) StoredRows(context.Context, schemas.RowsQuery, func(*schemas.StoredRow) error) error {
	return nil
}

func (c *chain) ColdState(context.Context, uint16, int32, int64) (*schemas.ColdState, error) {
	return &schemas.ColdState{}, nil
}

func (c *chain) GapEnd(context.Context, uint16, int32, int64) (int64, error) { return 0, nil }

func (c *chain) Ahead(context.Context, uint16, int32, int64) (*schemas.Ahead, error) {
	return &schemas.Ahead{}, nil
}

func (c *chain) Report(context.Context, []schemas.PartitionStatus) error { return nil }

// processCPU gives the CPU time of the process so far.
func processCPU(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func heapAllocs() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
