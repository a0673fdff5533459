package pipeline

import (
	"context"
	"fmt"
	"math/rand"
	"slices"
	"sync"
	"testing"
	"time"

	"daybook/pipeline/broker/brokertest"
	"daybook/pipeline/source"
	"daybook/schemas"
)

// memory is a Store in memory; it tells waiters when something was written.
type memory struct {
	mu       sync.Mutex
	parts    map[int32]*tables
	statuses map[int32]schemas.PartitionStatus
	gap      [2]int64
	changed  chan struct{} // closed and replaced at each change
}

func newMemory() *memory {
	return &memory{parts: map[int32]*tables{}, statuses: map[int32]schemas.PartitionStatus{}, changed: make(chan struct{})}
}

func (m *memory) of(p int32) *tables {
	if m.parts[p] == nil {
		m.parts[p] = newTables()
	}
	return m.parts[p]
}

func (m *memory) notify() { close(m.changed); m.changed = make(chan struct{}) }

// collected are rows of memory: all that was added, as one flush.
type collected struct{ schemas.Flush }

// Add keeps a copy: what it is given aliases the worker's buffers.
func (c *collected) Add(f *schemas.Flush) {
	from, all := c.From, c.Flush
	if all.Next == 0 {
		from = f.From
	}
	c.Flush = *f
	c.From, c.Events, c.Rejects = from, all.Events, all.Rejects
	for _, e := range f.Events {
		x := *e.Event
		for _, b := range []*[]byte{&x.ID, &x.Source, &x.Network, &x.User, &x.Type} {
			*b = slices.Clone(*b)
		}
		e.Event, e.DeviceID = &x, slices.Clone(e.DeviceID)
		c.Events = append(c.Events, e)
	}
	for _, r := range f.Rejects {
		r.Key, r.Raw = slices.Clone(r.Key), slices.Clone(r.Raw)
		c.Rejects = append(c.Rejects, r)
	}
	c.Settings, c.UserFacts = slices.Concat(all.Settings, f.Settings), slices.Concat(all.UserFacts, f.UserFacts)
	c.Sessions, c.Slices = slices.Concat(all.Sessions, f.Sessions), slices.Concat(all.Slices, f.Slices)
	c.Users, c.Progress, c.Ledger = slices.Concat(all.Users, f.Users), slices.Concat(all.Progress, f.Progress), slices.Concat(all.Ledger, f.Ledger)
}

func (c *collected) Release() {}

// flushOf gives what rows of memory hold.
func flushOf(rows schemas.Rows) *schemas.Flush { return &rows.(*collected).Flush }

func (m *memory) NewRows() schemas.Rows { return &collected{} }

func (m *memory) WriteRows(_ context.Context, rows schemas.Rows) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := flushOf(rows)
	t := m.of(f.Partition)
	t.writeEvents(f)
	t.writeRows(f, func(string) bool { return true })
	for _, r := range f.Rejects {
		t.put("rejects", t.progress, fmt.Sprintf("reject %d", r.Offset), f.Next, r.Reason.String())
	}
	m.notify()
	return nil
}

func (m *memory) StoredEvents(_ context.Context, q schemas.EventsQuery, yield func(*schemas.StoredEvent) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of(q.Partition).read(q.BelowOffset)(q.Windows, yield)
}

func (m *memory) ColdState(_ context.Context, _ uint16, partition int32, below int64) (*schemas.ColdState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of(partition).cold(below), nil
}

func (m *memory) StoredRows(_ context.Context, _ schemas.RowsQuery, _ func(*schemas.StoredRow) error) error {
	return nil // the random histories repair (modelRows)
}

func (m *memory) Ahead(_ context.Context, _ uint16, partition int32, from int64) (*schemas.Ahead, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of(partition).ahead(from), nil
}

// GapEnd knows the gap that a test recorded.
func (m *memory) GapEnd(_ context.Context, _ uint16, _ int32, offset int64) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gap[0] <= offset && offset < m.gap[1] {
		return m.gap[1], nil
	}
	return 0, nil
}

func (m *memory) Report(_ context.Context, statuses []schemas.PartitionStatus) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range statuses {
		m.statuses[s.Partition] = s
	}
	m.notify()
	return nil
}

// await waits until the condition holds.
func (m *memory) await(ctx context.Context, tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for {
		m.mu.Lock()
		done, changed := ok(), m.changed
		m.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			tb.Fatalf("waiting for %s: %v", what, ctx.Err())
		}
	}
}

// rig is a broker with topics, a store, and workers that come and go.
type rig struct {
	tb         testing.TB
	ctx        context.Context //nolint:containedctx // the test's own
	client     *source.Client
	brokers    []string
	store      *memory
	partitions int32
	produced   map[int32]int64
	resumes    *resumes
	puts       []string // checkpoints that a test wrote by itself
}

var rigKey = []byte("installation key of the test")

func newRig(t *testing.T, partitions int32) *rig {
	t.Helper()
	return newRigOn(t, brokertest.Start(t), partitions)
}

func newRigOn(t *testing.T, brokers []string, partitions int32) *rig {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Second)
	t.Cleanup(cancel)
	r := &rig{tb: t, ctx: ctx, brokers: brokers, store: newMemory(), partitions: partitions, produced: map[int32]int64{}, resumes: new(resumes)}
	r.client = r.connect()
	if err := r.client.EnsureTopics(ctx, rigTopics(partitions)); err != nil {
		t.Fatal(err)
	}
	return r
}

func rigTopics(partitions int32) source.TopicsConfig {
	return source.TopicsConfig{Partitions: int(partitions), ReplicationFactor: brokertest.Replicas(), MinInSync: brokertest.Replicas()/2 + 1}
}

func (r *rig) connect() *source.Client {
	c, err := source.New(source.Config{Brokers: r.brokers, MaxWait: 50 * time.Millisecond})
	if err != nil {
		r.tb.Fatal(err)
	}
	r.tb.Cleanup(c.Close)
	return c
}

// network makes a network on every partition.
func (r *rig) network(id string) {
	value, err := schemas.EncodeControl(schemas.Control{Network: id, Zone: "UTC", GapMs: schemas.DefaultGapMs})
	if err != nil {
		r.tb.Fatal(err)
	}
	if _, err := r.client.PutSetting(r.ctx, id, value); err != nil {
		r.tb.Fatal(err)
	}
	for p := range r.partitions {
		if _, err := r.client.AppendControl(r.ctx, p, value, schemas.SignControl(rigKey, value)); err != nil {
			r.tb.Fatal(err)
		}
		r.produced[p]++
	}
}

// produce sends events of users at minutes after a start.
func (r *rig) produce(base time.Time, ids ...int) {
	var out []source.Outgoing
	for _, i := range ids {
		user := fmt.Sprintf("user-%d", i%7)
		e := fmt.Sprintf(`{"id":"e%d","network":"acme","user":%q,"time":%q}`, i, user, base.Add(time.Duration(i)*13*time.Minute).Format(time.RFC3339))
		key := schemas.AppendKey(nil, "acme", user)
		p := schemas.Partition(key, int(r.partitions))
		out = append(out, source.Outgoing{Key: key, Value: []byte(e), Partition: -1})
		r.produced[p]++
	}
	if err := r.client.Produce(r.ctx, out); err != nil {
		r.tb.Fatal(err)
	}
}

// start runs a worker; stop ends it in order.
func (r *rig) start(name string) (stop func()) {
	w := r.launch(name, nil)
	return func() {
		if err := w.stop(); err != nil {
			r.tb.Errorf("worker %s: %v", name, err)
		}
	}
}

// settled waits until every produced record is accounted for and visible.
func (r *rig) settled() {
	r.tb.Helper()
	r.store.await(r.ctx, r.tb, "every record to be published", func() bool {
		for p, n := range r.produced {
			if r.store.statuses[p].Published < n {
				return false
			}
		}
		return true
	})
}

// sessions counts the live session rows, and the events in the store.
func (r *rig) count() (sessions, events int) {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	for _, t := range r.store.parts {
		if t.conflict != "" {
			r.tb.Error(t.conflict)
		}
		events += len(t.events)
		for _, s := range t.sessions {
			if s.row != "" {
				sessions++
			}
		}
	}
	return sessions, events
}

func upTo(n int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = i
	}
	return ids
}

// A worker takes raw records from Kafka to rows; stopped and started again it
// resumes at its checkpoint, and repeats change nothing.
func TestWorker_ResumesWhereItStopped(t *testing.T) {
	r := newRig(t, 2)
	base := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	r.network("acme")
	stop := r.start("a")
	r.produce(base, upTo(100)...)
	r.settled()
	stop()
	committed, err := r.client.Committed(r.ctx, []int32{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	for p, n := range r.produced {
		if committed[p].Offset != n {
			t.Errorf("partition %d: committed %d after a stop in order, want %d", p, committed[p].Offset, n)
		}
	}
	r.produce(base, upTo(140)...) // 100 repeats, 40 new
	stop = r.start("b")
	r.settled()
	stop()
	// 7 users, an event every 91 minutes each: every event is a session.
	if sessions, events := r.count(); sessions != 140 || events != 140 {
		t.Errorf("got %d sessions of %d events, want 140 of 140", sessions, events)
	}
}

// Workers that come and go share the partitions and lose nothing.
func TestWorker_RebalanceLosesNothing(t *testing.T) {
	r := newRig(t, 4)
	base := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	r.network("acme")
	stops := map[string]func(){"a": r.start("a")}
	ids := upTo(600)
	rand.New(rand.NewSource(1)).Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	for i := range 6 {
		r.produce(base, ids[i*100:(i+1)*100]...)
		if i == 1 {
			stops["b"] = r.start("b")
		}
		if i == 3 {
			stops["a"]()
			delete(stops, "a")
		}
		if i == 4 {
			stops["c"] = r.start("c")
		}
		r.settled()
	}
	for _, stop := range stops {
		stop()
	}
	if sessions, events := r.count(); sessions != 600 || events != 600 {
		t.Errorf("got %d sessions of %d events, want 600 of 600", sessions, events)
	}
}

// A commit that is not ours is refused with instructions (TRUST.md section 2).
func TestWorker_HaltsOnAForeignCommit(t *testing.T) {
	r := newRig(t, 1)
	r.network("acme")
	r.produce(time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC), upTo(10)...)
	stop := r.start("a")
	r.settled()
	stop()
	if err := r.client.ResetCommitted(r.ctx, 0, 3, "set by hand"); err != nil {
		t.Fatal(err)
	}
	p := newPartition(0, &Config{Epoch: 1, Partitions: 1, Logger: discard(), Now: time.Now, Drain: time.Second}, r.client, r.store, nil, newMetrics(registry()))
	_, err := p.restore(r.ctx, source.Committed{Offset: 3, Metadata: "set by hand"})
	var halt *HaltError
	if !asHalt(err, &halt) {
		t.Fatalf("restore gave %v, want a halt", err)
	}
	// Lost offsets are no halt: the newest checkpoint serves.
	got, err := p.restore(r.ctx, source.Committed{Offset: -1})
	if err != nil || got.state.pos != r.produced[0] || got.pointer.ID == "" {
		t.Fatalf("restore without a commit gave %+v, %v, want the newest checkpoint at %d", got, err, r.produced[0])
	}
}
