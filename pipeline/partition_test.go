package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"daybook/pipeline/dedupe"
	"daybook/pipeline/source"
	"daybook/schemas"
)

// fakeLog is a log and a group in memory, for one partition under synctest.
type fakeLog struct {
	mu          sync.Mutex
	records     []source.Record
	checkpoints []source.Pointer
	snapshots   map[string][]byte
	reading     error // of ReadCheckpoint
	settings    []source.Setting
	marks       map[string][]byte
	commits     []int64
	metadata    string // of the last commit
	committing  error
	ended       int
	start       int64 // what is before is gone
	grown       chan struct{}
}

func newFakeLog() *fakeLog {
	return &fakeLog{snapshots: map[string][]byte{}, marks: map[string][]byte{}, grown: make(chan struct{}, 1)}
}

// add appends a record to the log.
func (l *fakeLog) add(r source.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.Offset = int64(len(l.records))
	r.TimestampMs = time.Now().UnixMilli()
	l.records = append(l.records, r)
	select {
	case l.grown <- struct{}{}:
	default:
	}
}

// control makes a network.
func (l *fakeLog) control(tb testing.TB, c schemas.Control) {
	tb.Helper()
	value, err := schemas.EncodeControl(c)
	if err != nil {
		tb.Fatal(err)
	}
	l.add(source.Record{Value: value, Headers: []source.Header{{Key: []byte(schemas.HeaderControl), Value: schemas.SignControl(rigKey, value)}}})
}

// event appends a signal of a user of acme now.
func (l *fakeLog) event(user, id string) {
	l.add(source.Record{
		Key:   schemas.AppendKey(nil, "acme", user),
		Value: fmt.Appendf(nil, `{"id":%q,"network":"acme","user":%q,"time":%q}`, id, user, time.Now().UTC().Format(time.RFC3339Nano)),
	})
}

func (l *fakeLog) Fetch(ctx context.Context, _ int32, offset int64) (*source.Chunk, error) {
	for wait := true; ; wait = false {
		l.mu.Lock()
		end := int64(len(l.records))
		c := &source.Chunk{From: offset, Next: end, LastStable: end, Records: slices.Clone(l.records[offset:])}
		l.mu.Unlock()
		if offset < end || !wait {
			return c, nil
		}
		select {
		case <-l.grown:
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (l *fakeLog) ListOffsets(context.Context, int32) (start, end int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.start, int64(len(l.records)), nil
}

func (l *fakeLog) WriteCheckpoint(_ context.Context, _ int32, next int64, snapshot []byte) (source.Pointer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := source.Pointer{ID: fmt.Sprintf("c%d", len(l.snapshots)), TopicOffset: int64(len(l.snapshots)), Next: next, Sum: "x"}
	l.snapshots[p.ID] = snapshot
	l.checkpoints = append(l.checkpoints, p)
	return p, nil
}

func (l *fakeLog) ReadCheckpoint(_ context.Context, _ int32, p source.Pointer) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reading != nil {
		return nil, l.reading
	}
	if l.snapshots[p.ID] == nil {
		return nil, source.ErrCheckpointDamaged
	}
	return l.snapshots[p.ID], nil
}

// Checkpoints gives the greatest Next first, as source does.
func (l *fakeLog) Checkpoints(context.Context, int32) ([]source.Pointer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Clone(l.checkpoints)
	slices.SortFunc(all, func(a, b source.Pointer) int { return cmp(b.Next, a.Next) })
	return all, nil
}

// DropCheckpoints cuts everything off that lies before the newest of them, as source does.
func (l *fakeLog) DropCheckpoints(_ context.Context, _ int32, pointers []source.Pointer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range pointers {
		l.checkpoints = slices.DeleteFunc(l.checkpoints, func(c source.Pointer) bool { return c.TopicOffset <= p.TopicOffset })
	}
	return nil
}

func (l *fakeLog) PutMark(_ context.Context, key string, value []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.marks[key] = value; value == nil {
		delete(l.marks, key)
	}
	return nil
}

func (l *fakeLog) Marks(_ context.Context, prefix string) ([]source.Mark, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []source.Mark
	for key, value := range l.marks {
		if strings.HasPrefix(key, prefix) {
			found = append(found, source.Mark{Key: key, Value: value})
		}
	}
	return found, nil
}

func (l *fakeLog) Settings(context.Context) ([]source.Setting, error) { return l.settings, nil }

func (l *fakeLog) AppendControl(_ context.Context, _ int32, value, signature []byte) (int64, error) {
	l.add(source.Record{Value: value, Headers: []source.Header{{Key: []byte(schemas.HeaderControl), Value: signature}}})
	return int64(len(l.records)) - 1, nil
}

func (l *fakeLog) Commit(_ context.Context, _ int32, offset int64, metadata string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.committing == nil {
		l.commits, l.metadata = append(l.commits, offset), metadata
	}
	return l.committing
}

func (l *fakeLog) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended++
}

// slow is a store whose writes take their time, or end with their context.
type slow struct {
	*memory

	takes atomic.Int64
}

func (s *slow) WriteRows(ctx context.Context, rows schemas.Rows) error {
	select {
	case <-time.After(time.Duration(s.takes.Load())):
		return s.memory.WriteRows(ctx, rows)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func testPartition(l *fakeLog, s Store) *partition {
	cfg := Config{Topic: schemas.TopicEvents, Epoch: 1, Partitions: 1, ControlKey: rigKey}.withDefaults()
	return newPartition(0, &cfg, l, s, l, newMetrics(cfg.Registerer))
}

var acme = schemas.Control{Network: "acme", GapMs: schemas.DefaultGapMs}

// A partition that is taken away has one drain, for the turn in hand and the
// last checkpoint together (ARCHITECTURE.md section 4.9).
func TestPartition_DrainsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		l.control(t, acme)
		l.event("u", "a")
		store := &slow{memory: newMemory()}
		p := testPartition(l, store)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.run(ctx, source.Committed{Offset: -1}, nil) }()
		time.Sleep(1500 * time.Millisecond)
		store.takes.Store(int64(p.cfg.Drain - 200*time.Millisecond))
		l.event("u", "b") // its session was just written: the row waits for the last flush
		time.Sleep(time.Second)
		begin := time.Now()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the last flush ended with %v, want that it was given up", err)
		}
		if took := time.Since(begin); took > p.cfg.Drain {
			t.Errorf("letting the partition go took %v, the drain is %v", took, p.cfg.Drain)
		}
	})
}

// A log that never pauses is read to its end all the same: settings are topped
// up, and readers are told.
func TestPartition_IsAtTheEndUnderSteadyTraffic(t *testing.T) {
	l := newFakeLog()
	for i := range 13 {
		l.event("u", strconv.Itoa(i))
	}
	p := testPartition(l, newMemory())
	then := time.UnixMilli(1_700_000_000_000)
	for _, c := range []struct {
		name  string
		chunk source.Chunk
		want  time.Time
	}{
		{"records up to the end", source.Chunk{From: 3, Next: 9, LastStable: 9}, then},
		{"records short of it", source.Chunk{From: 9, Next: 12, LastStable: 13}, time.Time{}},
		{"nothing, at the end", source.Chunk{From: 12, Next: 12, LastStable: 12}, then},
	} {
		p.state, p.taken = newState(p.rules, 1, 0, 1, c.chunk.From), c.chunk.From
		p.reader.pos = c.chunk.From
		if err := errors.Join(p.received(p.reader.begin(chunkRead{&c.chunk, nil, then})), p.advance()); err != nil || !p.caughtUp.Equal(c.want) {
			t.Errorf("%s: caught up %v, %v, want %v: what Kafka said when it answered", c.name, p.caughtUp, err, c.want)
		}
	}
}

// A hole between two chunks would lose records without a trace.
func TestPartition_HolesInTheLogPanic(t *testing.T) {
	p := testPartition(newFakeLog(), newMemory())
	p.taken = 5
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "I7") {
			t.Errorf("a chunk from 7 after 5: recovered %v, want invariant I7", r)
		}
	}()
	_ = p.received(slabOf(7, 9))
}

// While the answer of a commit is unknown every checkpoint stays, but not for
// ever: the generation ends.
func TestPartition_AmbiguousCommitEndsTheGeneration(t *testing.T) {
	l := newFakeLog()
	p := testPartition(l, newMemory())
	p.state = newState(p.rules, 1, 0, 1, 0)
	l.committing = fmt.Errorf("answer lost: %w", source.ErrTransient)
	if err := p.checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.committing = nil
	for range keptAmbiguous - 1 {
		if err := p.checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if l.ended != 0 || len(l.checkpoints) != keptAmbiguous {
		t.Fatalf("ended %d times with %d checkpoints, want all of %d kept", l.ended, len(l.checkpoints), keptAmbiguous)
	}
	if err := p.checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l.ended != 1 {
		t.Errorf("with %d checkpoints the generation was ended %d times, want once", len(l.checkpoints), l.ended)
	}
	l.committing = fmt.Errorf("answer lost: %w", source.ErrTransient) // for hours
	if err := p.checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l.ended != 2 {
		t.Errorf("checkpoints pile up while no commit is answered: the generation was ended %d times", l.ended)
	}
}

// A checkpoint that could not be read for now is not a damaged one: an older
// one, or a cold start, would repeat hours.
func TestRestore_WaitsForKafka(t *testing.T) {
	l := newFakeLog()
	p := testPartition(l, newMemory())
	p.state = newState(p.rules, 1, 0, 1, 0)
	if err := p.checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.reading = fmt.Errorf("read: %w", source.ErrTransient)
	r, err := p.restore(t.Context(), source.Committed{Offset: 0, Metadata: p.pointer.String()})
	if !errors.Is(err, source.ErrTransient) {
		t.Errorf("restore gave %+v, %v, want the transient error", r, err)
	}
}

// What is dropped is cut off the topic with everything before it, so the order
// of writing counts, not the order of positions: the last three stay.
func TestRestore_KeepsTheLastThreeWritten(t *testing.T) {
	l := newFakeLog()
	p := testPartition(l, newMemory())
	for _, pos := range []int64{100, 90} { // 90 is a zombie's
		p.state = newState(p.rules, 1, 0, 1, pos)
		if err := p.checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	r, err := p.restore(t.Context(), source.Committed{Offset: -1})
	if err != nil || r.state.pos != 100 {
		t.Fatalf("restored %+v, %v, want the state at 100", r, err)
	}
	p.state, p.pointer, p.kept = r.state, r.pointer, r.kept
	for range 2 {
		if err := p.checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.checkpoints) != 3 || len(p.kept) != 3 {
		t.Errorf("%d checkpoints are left, %d are thought of as kept, want 3", len(l.checkpoints), len(p.kept))
	}
}

// withAcme gives the partition a state that knows one network.
func withAcme(p *partition) *network {
	p.state = newState(p.rules, 1, 0, 1, 0)
	n, c := p.state.network("acme"), acme
	n.set(&c)
	return n
}

// The ids of a partition have a bound, also those that late events bring in
// while the horizon stands still, and those of a flood within one hour.
func TestPartition_IDsAreBounded(t *testing.T) {
	for name, step := range map[string]int64{"history after a cold start": -3_600_000, "a flood within one hour": 0} {
		t.Run(name, func(t *testing.T) {
			p := testPartition(newFakeLog(), newMemory())
			p.cfg.MaxRepeatIDs = 2000
			n := withAcme(p)
			now := int64(1_700_000_000_000)
			n.greatest, n.horizon = now, now+1+p.rules.MaxGap
			if step == 0 {
				n.horizon = never
			}
			none := func([]schemas.EventsWindow, func(*schemas.StoredEvent) error) error { return nil }
			most := 0
			for range 100 {
				s := slabOf(p.state.pos, p.state.pos)
				for range 200 {
					now += step
					r := record{offset: s.next, timeMs: now, receivedMs: now, device: webDevice, class: schemas.ClassWeb}
					r.event = schemas.Event{Network: []byte("acme"), User: []byte("u"), ID: fmt.Append(nil, s.next), TimeMs: now}
					s.records = append(s.records, r)
					s.next++
				}
				if err := p.state.apply(s, none); err != nil {
					t.Fatal(err)
				}
				p.boundMemory()
				if err := p.flush(t.Context(), true); err != nil {
					t.Fatal(err)
				}
				most = max(most, n.ids.Len())
			}
			if most > 2*p.cfg.MaxRepeatIDs+32*200 { // an hour of milliseconds is halved 22 times
				t.Errorf("kept %d ids, the limit is %d", most, p.cfg.MaxRepeatIDs)
			}
		})
	}
}

// Above the limit not every flush looks at all ids: one that may go since the
// last look stays until a sixteenth of the limit has come in.
func TestPartition_LooksAtAllIDsOnlyAfterMany(t *testing.T) {
	p := testPartition(newFakeLog(), newMemory())
	p.cfg.MaxRepeatIDs = 1600
	n := withAcme(p)
	n.greatest, n.horizon = 1_700_000_000_000, 1_700_000_000_000
	id := uint64(0)
	add := func(count int, timeMs int64) {
		for range count {
			id++
			n.ids.Add(dedupe.Entry{ID: [2]uint64{id * 0x9e3779b97f4a7c15, id}, TimeMs: timeMs})
		}
	}
	for _, step := range []struct{ old, live, left int }{
		{1, 1600, 1600}, // over the limit: all are looked at
		{1, 49, 1650},   // half of a sixteenth
		{1, 50, 1699},   // more than a sixteenth: both old ones go
		{1, 1601, 3300}, // over twice the limit, at once
		{1, 0, 3300},
	} {
		add(step.old, 1_600_000_000_000)
		add(step.live, 1_700_000_000_000)
		if p.boundMemory(); n.ids.Len() != step.left {
			t.Fatalf("%d ids are left, want %d", n.ids.Len(), step.left)
		}
	}
}

// gaugeOf gives the value of a gauge of the one partition.
func gaugeOf(t *testing.T, reg prometheus.Registerer, name string) float64 {
	t.Helper()
	families, err := reg.(*prometheus.Registry).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no gauge %s", name)
	return 0
}

// While storage is down the gauges go on: what waits gets older, and the last
// checkpoint, which failed again, does too.
func TestPartition_AgesShowAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		l.control(t, acme)
		l.event("u", "a")
		p := testPartition(l, newMemory())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.run(ctx, source.Committed{Offset: -1}, nil) }()
		time.Sleep(time.Minute) // a checkpoint was taken
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		const outage = 40 * time.Second
		p.lastRead, p.lastCheck = time.Now().UnixMilli(), time.Now()
		end := time.Now().Add(outage)
		err := p.retry(t.Context(), "write", func() error {
			if time.Now().Before(end) {
				return errors.New("storage is down")
			}
			return nil
		}, p.waits)
		if err != nil {
			t.Fatal(err)
		}
		l.committing = fmt.Errorf("no answer: %w", source.ErrTransient)
		if err := p.checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.ages()
		for _, name := range []string{"daybook_worker_lag_seconds", "daybook_worker_checkpoint_age_seconds"} {
			if got := gaugeOf(t, p.cfg.Registerer, name); got < outage.Seconds() {
				t.Errorf("%s is %v after an outage of %v", name, got, outage)
			}
		}
	})
}

// States of partitions that went to another worker are not held on to.
func TestWorker_ForgetsWhatItDoesNotOwn(t *testing.T) {
	w := New(Config{}, nil, nil, nil)
	for id := range int32(4) {
		w.warm[id] = &restored{}
	}
	w.forgetWarm([]int32{1, 3})
	if len(w.warm) != 2 || w.warm[1] == nil || w.warm[3] == nil {
		t.Errorf("kept %v, want those of 1 and 3", w.warm)
	}
}

// Offsets of two epochs say nothing about each other: what was committed for
// the topic before would skip the beginning of the new one.
func TestRestore_NewEpochBeginsAtZero(t *testing.T) {
	l := newFakeLog()
	p := testPartition(l, newMemory())
	p.state = newState(p.rules, 1, 0, 1, 20_000)
	if err := p.checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.cfg.Epoch = 2
	r, err := p.restore(t.Context(), source.Committed{Offset: 20_000, Metadata: p.pointer.String()})
	if err != nil || r.state.pos != 0 || r.state.epoch != 2 {
		t.Errorf("restored %+v, %v, want epoch 2 from its beginning", r, err)
	}
}

// down is a store that refuses everything until it is up again.
type down struct {
	*memory

	up atomic.Bool
}

func (d *down) WriteRows(ctx context.Context, rows schemas.Rows) error {
	if !d.up.Load() {
		return errors.New("storage is down")
	}
	return d.memory.WriteRows(ctx, rows)
}

// Storage that is down for minutes holds the partition still: nothing is
// committed, nothing is lost, and a partition that is taken away meanwhile is
// let go in time, without a state to resume from.
func TestPartition_StorageDownForMinutes(t *testing.T) {
	for _, back := range []bool{true, false} {
		t.Run(fmt.Sprintf("back=%t", back), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, store := newFakeLog(), &down{memory: newMemory()}
				l.control(t, acme)
				p := testPartition(l, store)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- p.run(ctx, source.Committed{Offset: -1}, nil) }()
				for i := range 300 {
					l.event(fmt.Sprint("u", i%7), fmt.Sprint("e", i))
					time.Sleep(time.Second)
				}
				if len(l.commits) > 0 {
					t.Fatalf("committed %v while nothing was durable", l.commits)
				}
				store.up.Store(back)
				if back {
					time.Sleep(time.Minute)
				}
				begin := time.Now()
				cancel()
				err := <-done
				if took := time.Since(begin); took > p.cfg.Drain {
					t.Errorf("letting the partition go took %v, the drain is %v", took, p.cfg.Drain)
				}
				if !back {
					if err == nil || !p.unwritten || len(l.commits) > 0 {
						t.Errorf("let go with %v, unwritten %t, committed %v", err, p.unwritten, l.commits)
					}
					return
				}
				if n := len(store.of(0).events); err != nil || n != 300 || l.commits[len(l.commits)-1] != 301 {
					t.Errorf("%d events are stored, committed %v, %v, want 300 and 301", n, l.commits, err)
				}
			})
		})
	}
}

// A checkpoint that takes long is not taken after every burst, but as often as
// is configured (ARCHITECTURE.md section 4.7: at least every 30 s).
func TestPartition_CheckpointsWhenDue(t *testing.T) {
	p := testPartition(newFakeLog(), newMemory())
	now := time.UnixMilli(1_700_000_000_000)
	p.cfg.Now = func() time.Time { return now }
	p.state = newState(p.rules, 1, 0, 1, p.cfg.CheckpointIdle)
	for _, c := range []struct {
		name    string
		age     time.Duration
		took    time.Duration
		atEnd   bool
		came    int   // records in this turn
		records int64 // since the last checkpoint
		bytes   int64
		want    bool
	}{
		{"nothing new", time.Hour, 0, true, 0, 0, 0, false},
		{"a burst that has ended", time.Second, 0, true, 0, p.cfg.CheckpointIdle, 0, true},
		{"a burst that has ended, while checkpoints take long", time.Second, time.Minute, true, 0, p.cfg.CheckpointIdle, 0, true},
		{"a steady load", 9 * time.Second, 0, true, 100, p.cfg.CheckpointIdle, 0, false},
		{"a steady load, a while later", 10 * time.Second, time.Second, true, 100, p.cfg.CheckpointIdle, 0, true},
		{"a steady load, a while later, while checkpoints take long", 10 * time.Second, 2 * time.Second, true, 100, p.cfg.CheckpointIdle, 0, false},
		{"a few records", 9 * time.Second, 0, true, 0, 1, 0, false},
		{"a few records, a while later", 10 * time.Second, 0, true, 0, 1, 0, true},
		{"behind", 29 * time.Second, 0, false, 100, p.cfg.CheckpointIdle, p.cfg.CheckpointBytes - 1, false},
		{"behind, after 64 MB", time.Second, 100 * time.Millisecond, false, 100, 1, p.cfg.CheckpointBytes, true},
		{"behind, after 64 MB, while checkpoints take long", time.Second, time.Second, false, 100, 1, p.cfg.CheckpointBytes, false},
		{"behind, in due time", 30 * time.Second, time.Minute, false, 100, 1, 0, true},
	} {
		p.batch.records = c.came
		p.triedTo, p.checkTook, p.caughtUp, p.sinceBytes = now.Add(-c.age), c.took, time.Time{}, c.bytes
		if c.atEnd {
			p.caughtUp = now
		}
		p.pointer.Next = p.state.pos - c.records
		if got := p.checkpointDue(); got != c.want {
			t.Errorf("%s: got %t, want %t", c.name, got, c.want)
		}
	}
}
