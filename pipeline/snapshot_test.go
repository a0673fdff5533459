package pipeline

import (
	"os"
	"testing"

	"daybook/schemas"
)

// oldHistory is the log that testdata/snapshot-v1.bin was taken of, at record 12.
func oldHistory() *history {
	h := new(history).gap(2).signals(10, 11, 13).at(14, schemas.KindLoggedOut).
		set(schemas.Control{GapMs: 3, Zone: "east", Title: "Acme", Dark: []schemas.Dark{{FromMs: 3, ToMs: 4}}}).
		signals(16, 20, 21, 21).at(25, schemas.KindBackgrounded)
	return h.signals(23, 12, 27, 9, 40, 41, 14, 26)
}

// oldAt is the position of the snapshots in testdata.
const oldAt = 12

// A snapshot of the version before is read, and the state goes on from it as if
// it had been its own (TRUST.md section 2, rolling upgrade).
func TestSnapshot_OfTheVersionBeforeIsRead(t *testing.T) {
	raw, err := os.ReadFile("testdata/snapshot-v1.bin")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: newTables(), rules: modelRules(4, 6), log: oldHistory().log}
	w.cur = w.resume(4, 0)
	w.advance(w.cur, 5, 6, 0, true, true)
	for w.cur.s.pos < oldAt {
		w.advance(w.cur, 3, 6, 0, true, true)
	}
	if w.cur.s.pos != oldAt {
		t.Fatalf("the history is at %d, the snapshot was taken at %d", w.cur.s.pos, oldAt)
	}
	s, err := readSnapshot(w.rules, raw)
	if err != nil {
		t.Fatal(err)
	}
	w.cur = &incarnation{s: s}
	for w.cur.s.pos < int64(len(w.log)) {
		w.advance(w.cur, 2, 6, 0, true, true)
	}
	if diff := compare(w.store, modelReference(w.log, 4)); diff != "" {
		t.Error(diff)
	}
}

// begun plays batches up to 12, so that the row of the session 10–12 is held back,
// and begins a snapshot.
func begun(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: 100, store: newTables(), rules: modelRules(3, 30), log: new(history).gap(2).signals(10, 12, 30).log}
	w.cur = w.resume(4, 0)
	w.advance(w.cur, 1, 6, 0, true, false) // the setting
	w.advance(w.cur, 1, 6, 0, true, false) // 10 is written at once
	w.advance(w.cur, 1, 6, 0b11, true, false)
	if w.cur.capture == nil || w.cur.s.owed != 1 {
		t.Fatalf("the snapshot owes %d keys, want 1", w.cur.s.owed)
	}
	return w
}

// finish reads the rest and compares.
func (w *world) finish(t *testing.T) {
	t.Helper()
	for first := true; first || w.cur.s.pos < int64(len(w.log)) || w.cur.s.touched > 0; first = false {
		w.advance(w.cur, 1, 6, 0, true, true)
	}
	if diff := compare(w.store, modelReference(w.log, w.rules.LedgerBlock)); diff != "" {
		t.Error(diff)
	}
}

// A row that was held back when a snapshot was begun would be lost with it (the
// specification's model: "a throttled row lost with its snapshot").
func TestSnapshot_IsNotCommittedBeforeWhatItOwes(t *testing.T) {
	w := begun(t)
	w.capture(w.cur, 9)
	w.advance(w.cur, 0, 2, 0, true, false) // the flush with the row is planned, not written
	if w.commits != 0 {
		t.Fatal("committed before the row was written")
	}
	w.advance(w.cur, 0, 6, 0, true, false)
	if w.commits != 1 || w.committed != 3 {
		t.Fatalf("%d commits, of %d; want one, of 3", w.commits, w.committed)
	}
	w.snaps, w.all = nil, nil // lost: a cold start at the committed offset does not read 12 again
	w.cur = w.resume(3, 0)
	w.finish(t)
}

// Who finds a snapshot that was never committed writes what it owes.
func TestSnapshot_FoundUncommittedStillOwes(t *testing.T) {
	w := begun(t)
	w.capture(w.cur, 9)
	w.cur = w.resume(2, 0)
	w.finish(t)
}

// A flush may write an owed row before the snapshot comes to its user; if the
// flush is lost, the snapshot must still owe the row.
func TestSnapshot_OwesWhatAFlushOnlyPlanned(t *testing.T) {
	w := begun(t)
	w.advance(w.cur, 0, 1, 0, true, false) // planned
	w.capture(w.cur, 9)
	w.cur = w.resume(2, 0) // killed
	w.finish(t)
}
