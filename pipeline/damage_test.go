package pipeline

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"daybook/pipeline/source"
	"daybook/schemas"
)

// packed gives the checkpoint of a state.
func packed(tb testing.TB, s *state) []byte {
	tb.Helper()
	c := s.begin()
	c.step(math.MaxInt)
	blocks := make(chan []byte, 1)
	blocks <- c.take()
	close(blocks)
	b, err := pack(tb.Context(), c.size(), blocks, c.rest)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// put writes a checkpoint to the topic, chunk by chunk, as a program would that
// is wrong, or a disk.
func (r *rig) put(p source.Pointer, chunks map[string][]byte, order ...string) source.Pointer {
	r.tb.Helper()
	c := r.foreign(kgo.DefaultProduceTopic(schemas.TopicCheckpoints))
	p.ID = fmt.Sprintf("p0-%d-%x", p.Next, r.produced[0]+int64(len(r.puts)))
	r.puts = append(r.puts, p.ID)
	for i, part := range order {
		record := &kgo.Record{Key: []byte(p.ID + "/" + part[:1]), Value: chunks[part]}
		if err := c.ProduceSync(r.ctx, record).FirstErr(); err != nil {
			r.tb.Fatal(err)
		}
		if i == 0 {
			p.TopicOffset = record.Offset
		}
	}
	return p
}

// dropAll empties the topic of checkpoints.
func (r *rig) dropAll() {
	r.tb.Helper()
	request := kmsg.NewPtrDeleteRecordsRequest()
	request.TimeoutMillis = 10_000
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic = schemas.TopicCheckpoints
	topic.Partitions = []kmsg.DeleteRecordsRequestTopicPartition{{Partition: 0, Offset: -1}}
	request.Topics = append(request.Topics, topic)
	if a := ask(r, request); a.Topics[0].Partitions[0].ErrorCode != 0 {
		r.tb.Fatalf("delete records: %+v", a)
	}
}

// pointsTo lets a partition restore from what a committed pointer names.
func (r *rig) pointsTo(p source.Pointer) (at *restored, refused float64) {
	r.tb.Helper()
	cfg := Config{Topic: schemas.TopicEvents, Epoch: 1, Partitions: 1, ControlKey: rigKey}.withDefaults()
	part := newPartition(0, &cfg, r.client, r.store, nil, newMetrics(cfg.Registerer))
	at, err := part.restore(r.ctx, source.Committed{Offset: p.Next, Metadata: p.String()})
	if err != nil {
		r.tb.Fatal(err)
	}
	return at, counterOf(r.tb, cfg.Registerer, "daybook_worker_checkpoints_refused_total")
}

// A damaged checkpoint is refused or read, never half: the one before it serves,
// and if there is none the partition starts cold.
func TestWorker_RefusesOrReadsACheckpointNeverHalf(t *testing.T) {
	r := worked(t, 100)
	before, err := r.client.Checkpoints(r.ctx, 0)
	if err != nil || len(before) != keptCheckpoints {
		t.Fatalf("kept %d checkpoints, %v, want the last %d", len(before), err, keptCheckpoints)
	}
	whole, err := r.client.ReadCheckpoint(r.ctx, 0, before[0])
	if err != nil {
		t.Fatal(err)
	}
	rules := Standard(0, 0)
	other := func(change func(*state)) []byte {
		s, err := unpack(&rules, whole)
		if err != nil {
			t.Fatal(err)
		}
		change(s)
		return packed(t, s)
	}
	flipped := func(at int) []byte {
		b := slices.Clone(whole)
		b[at] ^= 1 << (at % 8)
		return b
	}
	right := pointerTo(whole, before[0].Next)
	type damage struct {
		name    string
		pointer source.Pointer
		chunks  map[string][]byte
		order   []string
		read    bool
	}
	all := []damage{
		{"as it was", right, map[string][]byte{"0": whole}, []string{"0"}, true},
		{"a chunk twice", right, map[string][]byte{"0": whole}, []string{"0", "0"}, true},
		{"a chunk twice, the second damaged", right, map[string][]byte{"0": whole, "0x": flipped(9)}, []string{"0", "0x"}, true},
		{"cut short", right, map[string][]byte{"0": whole[:len(whole)-1]}, []string{"0"}, false},
		{"too long", right, map[string][]byte{"0": append(slices.Clone(whole), 0)}, []string{"0"}, false},
		{"a chunk is missing", right, map[string][]byte{"1": whole}, []string{"1"}, false},
		{"cut short, with a right checksum", pointerTo(whole[:len(whole)/2], right.Next), map[string][]byte{"0": whole[:len(whole)/2]}, []string{"0"}, false},
		{"noise, with a right checksum", pointerTo([]byte("noise"), right.Next), map[string][]byte{"0": []byte("noise")}, []string{"0"}, false},
		{"empty", pointerTo(nil, right.Next), map[string][]byte{"e": nil}, []string{"e"}, false},
	}
	for name, b := range map[string][]byte{
		"of another partition":               other(func(s *state) { s.partition = 1 }),
		"of another number of partitions":    other(func(s *state) { s.partitions = 2 }),
		"of another position":                other(func(s *state) { s.pos, s.from = s.pos-1, s.from-1 }),
		"of a version that is not known yet": withVersion(t, whole, snapshotVersion+1),
	} {
		all = append(all, damage{name, pointerTo(b, right.Next), map[string][]byte{"0": b}, []string{"0"}, false})
	}
	for at := 0; at < len(whole); at += max(1, len(whole)/64) {
		all = append(all, damage{fmt.Sprint("bit flipped in byte ", at), right, map[string][]byte{"0": flipped(at)}, []string{"0"}, false})
	}
	for _, d := range all {
		p := r.put(d.pointer, d.chunks, d.order...)
		got, refused := r.pointsTo(p)
		want := before[0].ID
		if d.read {
			want = p.ID
		}
		if got.pointer.ID != want || got.state.pos != 101 || (refused == 0) != d.read {
			t.Errorf("%s: resumes at %d from %q, %v refused, want 101 from %q", d.name, got.state.pos, got.pointer.ID, refused, want)
		}
	}
	// A pointer to a checkpoint of somebody else, which has another sum.
	swapped := before[0]
	swapped.ID, swapped.TopicOffset = before[1].ID, before[1].TopicOffset
	if got, refused := r.pointsTo(swapped); got.pointer.ID != before[0].ID || refused != 1 {
		t.Errorf("a pointer to another checkpoint: resumes from %q, want %q", got.pointer.ID, before[0].ID)
	}
	r.dropAll()
	if got, _ := r.pointsTo(before[0]); got.pointer.ID != "" || got.state.pos != 0 {
		t.Errorf("without any checkpoint it resumes at %d from %q, want a cold start at the ledger block", got.state.pos, got.pointer.ID)
	}
	if read := r.goesOn(100); read != 141 {
		t.Errorf("%d records were read after a cold start, want all 141", read)
	}
}

// pointerTo names a checkpoint of these bytes; put gives it its place.
func pointerTo(b []byte, next int64) source.Pointer {
	p := source.PointerTo(b)
	p.Next = next
	return p
}

// withVersion gives a checkpoint another version.
func withVersion(t *testing.T, whole []byte, version byte) []byte {
	t.Helper()
	raw := unzip(t, whole)
	raw[0] = version
	blocks := make(chan []byte, 1)
	blocks <- raw
	close(blocks)
	b, err := pack(t.Context(), 0, blocks, func(func([]byte)) {})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Bytes that a right checksum covers and that are no snapshot all the same, of
// a program that is wrong, give an error or a state: they never end the process.
func TestSnapshot_AnyFlippedBitIsAnErrorOrAState(t *testing.T) {
	w := &world{t: t, store: newTables(), rules: modelRules(4, 6), log: oldHistory().log}
	w.cur = w.resume(4, 0)
	for w.cur.s.pos < oldAt {
		w.advance(w.cur, 3, 6, 0, true, true)
	}
	for w.cur.s.pos != w.cur.s.from || w.cur.s.touched > 0 {
		w.advance(w.cur, 0, 6, 0, true, true)
	}
	raw := unzip(t, packed(t, w.cur.s))
	refused := 0
	try := func(b []byte) {
		if _, err := readSnapshot(w.rules, b); err != nil {
			refused++
		}
	}
	for at := range raw {
		for bit := range 8 {
			b := slices.Clone(raw)
			b[at] ^= 1 << bit
			try(b)
		}
	}
	flips := refused
	for n := range raw {
		try(raw[:n])
	}
	if refused-flips != len(raw) {
		t.Errorf("%d of %d snapshots that were cut short are refused, want all", refused-flips, len(raw))
	}
	if _, err := readSnapshot(w.rules, raw); err != nil || flips == 0 {
		t.Errorf("the snapshot itself: %v; %d flips are refused", err, flips)
	}
}

// unzip gives the bytes of a snapshot.
func unzip(t *testing.T, packed []byte) []byte {
	t.Helper()
	r, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	raw, err := r.DecodeAll(packed, nil)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// counterOf gives the value of a counter.
func counterOf(tb testing.TB, reg prometheus.Registerer, name string) float64 {
	tb.Helper()
	families, err := reg.(*prometheus.Registry).Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	tb.Fatalf("no counter %s", name)
	return 0
}
