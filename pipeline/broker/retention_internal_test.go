package broker

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"daybook/schemas"
)

func TestPlanTrim_Table(t *testing.T) {
	old := time.Unix(1_000, 0)
	file := func(partition int32, base, next int64, age int) segment {
		return segment{partition: partition, base: base, next: next, bytes: 100, written: old.Add(time.Duration(age) * time.Second)}
	}
	for name, c := range map[string]struct {
		all       []segment
		committed map[int32]int64
		used      int64
		before    time.Time
		want      map[int32]int64
		freed     int64
	}{
		"within the budget": {
			all: []segment{file(0, 0, 10, 0)}, committed: map[int32]int64{0: 10}, used: 100, want: map[int32]int64{},
		},
		"the oldest first, as many as needed": {
			all: []segment{file(0, 0, 10, 0), file(1, 0, 7, 1), file(0, 10, 20, 2)}, committed: map[int32]int64{0: 30, 1: 30},
			used: 250, want: map[int32]int64{0: 10, 1: 7}, freed: 200,
		},
		"never what is being written": {
			all: []segment{file(0, 0, -1, 0)}, committed: map[int32]int64{0: 30}, used: 500, want: map[int32]int64{},
		},
		"never what is not read": {
			all: []segment{file(0, 0, 10, 0), file(0, 10, 20, 1), file(1, 0, 10, 2)}, committed: map[int32]int64{0: 19, 1: 10},
			used: 500, want: map[int32]int64{0: 10, 1: 10}, freed: 200,
		},
		"nothing without a commit": {
			all: []segment{file(0, 0, 10, 0)}, used: 500, want: map[int32]int64{},
		},
		"by age": {
			all: []segment{file(0, 0, 10, 0), file(0, 10, 20, 9)}, committed: map[int32]int64{0: 30}, used: 100, before: old.Add(5 * time.Second),
			want: map[int32]int64{0: 10}, freed: 100,
		},
	} {
		t.Run(name, func(t *testing.T) {
			to, freed := planTrim(c.all, c.committed, c.used, 100, c.before)
			if diff := cmp.Diff(c.want, to); diff != "" || freed != c.freed {
				t.Fatalf("freed %d, want %d: %s", freed, c.freed, diff)
			}
		})
	}
}

func TestLevelOf_Table(t *testing.T) {
	const gb, huge = 1 << 30, 1000 << 30
	for _, c := range []struct {
		name string
		disk Disk
		want DiskLevel
	}{
		{"room", Disk{UsedBytes: 79, BudgetBytes: 100, FreeBytes: 10 * gb, SizeBytes: huge}, DiskFine},
		{"80 % of the budget", Disk{UsedBytes: 80, BudgetBytes: 100, FreeBytes: 10 * gb, SizeBytes: huge}, DiskLow},
		{"95 % of the budget", Disk{UsedBytes: 95, BudgetBytes: 100, FreeBytes: 10 * gb, SizeBytes: huge}, DiskFull},
		{"no budget", Disk{UsedBytes: 95, FreeBytes: 10 * gb, SizeBytes: huge}, DiskFine},
		{"below 1 GB", Disk{FreeBytes: gb - 1, SizeBytes: huge}, DiskLow},
		{"below 256 MB", Disk{FreeBytes: gb/4 - 1, SizeBytes: huge}, DiskFull},
		{"small disk with 6 %", Disk{FreeBytes: 60 << 20, SizeBytes: 1000 << 20}, DiskFine},
		{"small disk with 4 %", Disk{FreeBytes: 40 << 20, SizeBytes: 1000 << 20}, DiskLow},
	} {
		if got := levelOf(c.disk); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// Checkpoints and events are cut, so however large they are nobody waits for a
// compaction.
func TestBroker_SettingsAloneCallForACompaction(t *testing.T) {
	b := &Broker{cfg: withDefaults(Config{Dir: t.TempDir()})}
	for name, size := range map[string]int{
		schemas.TopicEvents + "-0/0.dat": 1000, schemas.TopicEvents + "-11/0.idx": 1000,
		schemas.TopicCheckpoints + "-0/7.dat": 1000, schemas.TopicCheckpoints + "-11/7.idx": 1000,
		schemas.TopicSettings + "-0/0.dat": 10, schemas.TopicSettings + "-0/0.idx": 1, "other-0/0.dat": 100,
	} {
		path := filepath.Join(b.cfg.Dir, "partitions", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := b.settingsBytes(); err != nil || got != 111 {
		t.Errorf("%d bytes of settings, %v; want 111", got, err)
	}
}
