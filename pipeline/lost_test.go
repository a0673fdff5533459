package pipeline

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/schemas"
)

// What an administrator, a retention or an accident does to the group's offsets
// and to the log (TRUST.md section 2). Each test runs on the embedded broker and
// on Apache Kafka.

// worked is a rig whose worker has read n events of one partition, with several
// checkpoints between them, and was stopped in order.
func worked(t *testing.T, n int) *rig {
	t.Helper()
	r := newRig(t, 1)
	r.network("acme")
	w := r.launch("a", nil)
	for i := 0; i < n; i += n / 4 {
		r.produce(brokersBase, upTo(n)[i:i+n/4]...)
		r.settled()
	}
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	return r
}

// goesOn runs a worker over 40 more events behind n, and checks that nothing was
// lost or repeated. It gives how many records the worker applied.
func (r *rig) goesOn(n int) int64 {
	r.tb.Helper()
	w := r.launch("b", nil)
	r.produce(brokersBase, upTo(n + 40)[n:]...)
	r.settled()
	if err := w.stop(); err != nil {
		r.tb.Error(err)
	}
	if sessions, events := r.count(); sessions != n+40 || events != n+40 {
		r.tb.Errorf("got %d sessions of %d events, want %d of each", sessions, events, n+40)
	}
	r.expectLedger(fmt.Sprintf("next %d: %d accepted, 0 duplicate (0 conflicts), map[] map[] map[control:1]", n+41, n+40))
	return w.counter(r.tb, "daybook_worker_records_total")
}

// Offsets that are gone are no reason to begin at the start, and none to skip to
// the end: the newest checkpoint says where the partition was.
func TestWorker_LostOffsetsResumeAtTheNewestCheckpoint(t *testing.T) {
	for name, lose := range map[string]func(*rig){"group deleted": (*rig).deleteGroup, "offsets expired": (*rig).expireOffsets} {
		t.Run(name, func(t *testing.T) {
			r := worked(t, 100)
			lose(r)
			if read := r.goesOn(100); read != 40 {
				t.Errorf("%d records were read, want the 40 new ones alone", read)
			}
		})
	}
}

// An offset of ours that is set back, with its pointer, is where the partition
// resumes; what it reads once more changes nothing.
func TestWorker_OffsetSetBackToOneOfOursResumesThere(t *testing.T) {
	r := worked(t, 100)
	pointers, err := r.client.Checkpoints(r.ctx, 0)
	if err != nil || len(pointers) < 3 {
		t.Fatalf("kept %v, %v, want three checkpoints", pointers, err)
	}
	old := pointers[len(pointers)-1]
	if err := r.client.ResetCommitted(r.ctx, 0, old.Next, old.String()); err != nil {
		t.Fatal(err)
	}
	if read, want := r.goesOn(100), 141-old.Next; read != want || want <= 40 {
		t.Errorf("%d records were read, want %d: those from %d on", read, want, old.Next)
	}
}

// Somebody else's commit is refused with instructions, and following them lets
// the partition go on where it was.
func TestWorker_ForeignCommitHaltsUntilItIsDeleted(t *testing.T) {
	for name, metadata := range map[string]string{"no pointer": "", "kcat": "set by hand", "pointer of another offset": "ours"} {
		t.Run(name, func(t *testing.T) {
			r := worked(t, 100)
			if metadata == "ours" {
				committed, err := r.client.Committed(r.ctx, []int32{0})
				if err != nil {
					t.Fatal(err)
				}
				metadata = committed[0].Metadata
			}
			if err := r.client.ResetCommitted(r.ctx, 0, 7, metadata); err != nil {
				t.Fatal(err)
			}
			why := r.halted("h")
			for _, want := range []string{"offset 7 was committed by somebody else", "--delete-offsets"} {
				if !strings.Contains(why, want) {
					t.Errorf("the halt says %q, want %q in it", why, want)
				}
			}
			r.expireOffsets()
			if read := r.goesOn(100); read != 40 {
				t.Errorf("%d records were read, want the 40 new ones alone", read)
			}
		})
	}
}

// Retention took records that nobody had read: nobody skips them silently. A
// recorded gap lets the partition go on, and the ledger says what is missing.
func TestWorker_LogCutAtItsHeadHaltsUntilAGapIsRecorded(t *testing.T) {
	r := worked(t, 100)
	r.produce(brokersBase, upTo(140)[100:]...)
	r.cutHead(121) // 101 to 120 are lost
	why := r.halted("h")
	for _, want := range []string{"the log begins at 121, the next record to read is 101", "daybook skip --partition 0 --reason"} {
		if !strings.Contains(why, want) {
			t.Errorf("the halt says %q, want %q in it", why, want)
		}
	}
	r.store.mu.Lock()
	r.store.gap = [2]int64{101, 121}
	r.store.mu.Unlock()
	w := r.launch("b", nil)
	r.settled()
	if err := w.stop(); err != nil {
		t.Error(err)
	}
	if sessions, events := r.count(); sessions != 120 || events != 120 {
		t.Errorf("got %d sessions of %d events, want 120 of each: 20 of 140 are given up", sessions, events)
	}
	r.expectLedger("next 141: 120 accepted, 0 duplicate (0 conflicts), map[] map[] map[control:1 gap:20]")
}

// The log ends before the next record to read: an unclean election, or another
// log. What follows has offsets that were given already.
func TestWorker_LogThatEndsBeforeThePositionHalts(t *testing.T) {
	r := worked(t, 100)
	r.remakeEvents()
	r.network("acme")
	r.produce(brokersBase, upTo(40)...)
	why := r.halted("h")
	for _, want := range []string{"the log ends at 41, the next record to read is 101", "daybook migrate --new-epoch"} {
		if !strings.Contains(why, want) {
			t.Errorf("the halt says %q, want %q in it", why, want)
		}
	}
	if sessions, events := r.count(); sessions != 100 || events != 100 {
		t.Errorf("got %d sessions of %d events, want the 100 from before", sessions, events)
	}
}

// The topic was made anew and its epoch is registered: everything of the new
// log is read, whatever the group and the checkpoints say of the one before.
func TestWorker_NewEpochReadsTheNewTopicFromItsStart(t *testing.T) {
	r := worked(t, 100)
	r.remakeEvents()
	r.store = newMemory() // the rows of another epoch have other versions
	r.network("acme")
	r.produce(brokersBase, upTo(140)[100:]...)
	w := r.launch("b", func(cfg *Config, _ *Join, _ *Store) { cfg.Epoch = 2 })
	r.settled()
	if err := w.stop(); err != nil {
		t.Error(err)
	}
	if sessions, events := r.count(); sessions != 40 || events != 40 {
		t.Errorf("got %d sessions of %d events, want 40 of each", sessions, events)
	}
	committed, err := r.client.Committed(r.ctx, []int32{0})
	if err != nil || committed[0].Offset < 41 || committed[0].Offset > 42 { // one more setting from the catalogue, if the worker saw that it was missing
		t.Errorf("committed %+v, %v, want 41 of the new topic", committed, err)
	}
}

// kcat and other tools do not know where a user's events belong.
func TestWorker_WrongKeysAreRejectedNamingTheRightOne(t *testing.T) {
	r := newRig(t, 4)
	r.network("acme")
	kept := &rejects{memory: r.store}
	w := r.launch("a", func(_ *Config, _ *Join, store *Store) { *store = kept })
	c := r.foreign()
	value := []byte(`{"id":"x","network":"acme","user":"u","time":"2026-03-02T08:00:00Z"}`)
	right := schemas.Partition(schemas.AppendKey(nil, "acme", "u"), 4)
	for i, record := range []*kgo.Record{
		{Partition: right},                                    // kcat without -K
		{Partition: right, Key: []byte("u")},                  // the user alone
		{Partition: right, Key: []byte("acme:u")},             // another separator
		{Partition: right, Key: []byte("acme/v")},             // somebody else's
		{Partition: (right + 1) % 4, Key: []byte("acme/u")},   // another partitioner
		{Partition: (right + 2) % 4, Key: []byte("acme/u\n")}, // a line's end
	} {
		record.Value = value
		r.send(c, record)
		r.settled()
		last := kept.last()
		if last.Reason != schemas.WrongPartition || !strings.Contains(last.Detail, "needs the key acme/u") || string(last.Key) != string(record.Key) {
			t.Errorf("record %d with the key %q: rejected as %s, %q", i, record.Key, last.Reason, last.Detail)
		}
	}
	r.send(c, &kgo.Record{Partition: right, Key: []byte("acme/u"), Value: value})
	r.settled()
	if err := w.stop(); err != nil {
		t.Error(err)
	}
	if sessions, events := r.count(); sessions != 1 || events != 1 {
		t.Errorf("got %d sessions of %d events, want the one with the right key", sessions, events)
	}
}

// A commit whose answer is lost may be applied after later ones of the same
// generation. It sets the group back to a position whose checkpoint must exist.
func TestWorker_DelayedCommitIsAppliedAfterFourLaterOnes(t *testing.T) {
	r := newRig(t, 1)
	r.network("acme")
	delayed := &delayedCommit{}
	w := r.launch("a", func(_ *Config, join *Join, _ *Store) {
		inner := *join
		*join = func() (Group, error) {
			g, err := inner()
			delayed.Group = g
			return delayed, err
		}
	})
	for i := 0; i < 100; i += 10 {
		r.produce(brokersBase, upTo(100)[i:i+10]...)
		r.settled()
		r.store.await(r.ctx, t, "a commit", func() bool { return i == 0 || r.store.statuses[0].Committed == r.produced[0] })
	}
	late := delayed.apply(r)
	if err := w.stop(); err != nil {
		t.Error(err)
	}
	committed, err := r.client.Committed(r.ctx, []int32{0})
	if err != nil || committed[0].Offset != late {
		t.Fatalf("committed %+v, %v, want what came late: %d", committed, err, late)
	}
	if read, want := r.goesOn(100), 141-late; read != want || want <= 40 {
		t.Errorf("%d records were read, want %d: those from %d on", read, want, late)
	}
}
