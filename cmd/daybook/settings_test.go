package main

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"daybook/clickhouse/readapi"
	"daybook/pipeline/source"
	"daybook/schemas"
)

// fakeCatalogue keeps settings in memory, as a log without compaction.
type fakeCatalogue struct {
	mu       sync.Mutex
	log      []source.Setting
	controls map[int32][][2][]byte // value and signature, by partition
	refuse   int32                 // partition that refuses; -1 none
}

func newFakeCatalogue() *fakeCatalogue {
	return &fakeCatalogue{controls: map[int32][][2][]byte{}, refuse: -1}
}

func (f *fakeCatalogue) Settings(context.Context) ([]source.Setting, error) {
	newest := map[string]source.Setting{}
	var order []string
	for _, s := range f.log {
		if _, known := newest[s.Network]; !known {
			order = append(order, s.Network)
		}
		newest[s.Network] = s
	}
	var all []source.Setting
	for _, network := range order {
		all = append(all, newest[network])
	}
	return all, nil
}

func (f *fakeCatalogue) PutSetting(_ context.Context, network string, value []byte) (int64, error) {
	f.log = append(f.log, source.Setting{Network: network, Value: value, Position: int64(len(f.log)) + 100})
	return f.log[len(f.log)-1].Position, nil
}

func (f *fakeCatalogue) AppendControl(_ context.Context, partition int32, value, signature []byte) (int64, error) {
	if partition == f.refuse {
		return 0, errors.New("refused")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.controls[partition] = append(f.controls[partition], [2][]byte{value, signature})
	return 0, nil
}

func (f *fakeCatalogue) Partitions(context.Context, string) (int, error) { return 3, nil }
func (f *fakeCatalogue) EventsTopic() string                             { return schemas.TopicEvents }

var testKey = []byte("0123456789abcdef0123456789abcdef")

// ARCHITECTURE.md 4.10: the catalogue first, then every partition, signed and
// with the position of the catalogue.
func TestNetworkSettings_ReachEveryPartition(t *testing.T) {
	f := newFakeCatalogue()
	n := &networkSettings{kafka: f, key: testKey, now: time.Now}
	got, err := n.PutNetwork(t.Context(), "acme", readapi.NetworkChange{Zone: new("Europe/Prague"), Gap: new(20 * time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	want := readapi.NetworkSettings{Zone: "Europe/Prague", Gap: 20 * time.Minute, Recording: true, Position: 100, Created: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for p := range int32(3) {
		if len(f.controls[p]) != 1 {
			t.Fatalf("partition %d holds %d records", p, len(f.controls[p]))
		}
		value, signature := f.controls[p][0][0], f.controls[p][0][1]
		if !schemas.VerifyControl(testKey, value, signature) {
			t.Errorf("partition %d: not signed", p)
		}
		control, err := schemas.DecodeControl(value)
		wantControl := schemas.Control{Network: "acme", Position: 100, Zone: "Europe/Prague", GapMs: 1_200_000}
		if diff := cmp.Diff(wantControl, control); err != nil || diff != "" {
			t.Error(err, diff)
		}
	}
	// Only what is named changes.
	got, err = n.PutNetwork(t.Context(), "acme", readapi.NetworkChange{Title: new("Acme")})
	want.Title, want.Position, want.Created = "Acme", 101, false
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestNetworkSettings_NotAcknowledgedWithoutEveryPartition(t *testing.T) {
	f := newFakeCatalogue()
	f.refuse = 2
	n := &networkSettings{kafka: f, key: testKey, now: time.Now}
	if _, err := n.PutNetwork(t.Context(), "acme", readapi.NetworkChange{}); err == nil {
		t.Fatal("acknowledged though a partition lacks it")
	}
	f.refuse = -1 // the same again repairs it
	if created, err := n.Ensure(t.Context(), "acme"); err != nil || created {
		t.Fatal(created, err)
	}
	if len(f.controls[2]) != 1 {
		t.Errorf("partition 2 holds %d records, want 1", len(f.controls[2]))
	}
}

func TestNetworkSettings_RefuseBadValues(t *testing.T) {
	n := &networkSettings{kafka: newFakeCatalogue(), key: testKey, now: time.Now}
	for name, change := range map[string]readapi.NetworkChange{
		"Acme": {}, "a": {Gap: new(time.Second)}, "b": {Gap: new(5 * time.Hour)}, "c": {Zone: new("Mars/Olympus")}, "d": {Zone: new("Local")},
	} {
		if _, err := n.PutNetwork(t.Context(), name, change); err == nil {
			t.Errorf("network %s with %+v was taken", name, change)
		}
	}
}

func TestSetRecording(t *testing.T) {
	const always = math.MaxInt64
	for name, c := range map[string]struct {
		dark  []schemas.Dark
		on    bool
		isNew bool
		now   int64
		want  []schemas.Dark
	}{
		"on stays on":                    {nil, true, false, 5, nil},
		"made dark has always been so":   {nil, false, true, 5, []schemas.Dark{{FromMs: math.MinInt64, ToMs: always}}},
		"off from now":                   {nil, false, false, 5, []schemas.Dark{{FromMs: 5, ToMs: always}}},
		"off stays as it was":            {[]schemas.Dark{{FromMs: 5, ToMs: always}}, false, false, 9, []schemas.Dark{{FromMs: 5, ToMs: always}}},
		"on again keeps the span":        {[]schemas.Dark{{FromMs: 5, ToMs: always}}, true, false, 9, []schemas.Dark{{FromMs: 5, ToMs: 9}}},
		"on within the millisecond":      {[]schemas.Dark{{FromMs: 5, ToMs: always}}, true, false, 5, []schemas.Dark{}},
		"off again":                      {[]schemas.Dark{{FromMs: 5, ToMs: 9}}, false, false, 12, []schemas.Dark{{FromMs: 5, ToMs: 9}, {FromMs: 12, ToMs: always}}},
		"off again in the same instant":  {[]schemas.Dark{{FromMs: 5, ToMs: 9}}, false, false, 9, []schemas.Dark{{FromMs: 5, ToMs: always}}},
		"off though the clock went back": {[]schemas.Dark{{FromMs: 5, ToMs: 9}}, false, false, 7, []schemas.Dark{{FromMs: 5, ToMs: always}}},
		"on after made dark: the opt-in": {[]schemas.Dark{{FromMs: math.MinInt64, ToMs: always}}, true, false, 9, []schemas.Dark{{FromMs: math.MinInt64, ToMs: 9}}},
	} {
		t.Run(name, func(t *testing.T) {
			control := schemas.Control{Network: "n", GapMs: schemas.DefaultGapMs, Dark: c.dark}
			setRecording(&control, c.on, c.isNew, c.now)
			if diff := cmp.Diff(c.want, control.Dark); diff != "" {
				t.Error(diff)
			}
			if recording(&control) != c.on {
				t.Errorf("recording is %v", recording(&control))
			}
			if err := control.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}
