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
	if diff := compare(w.store, reference(w.log, 4)); diff != "" {
		t.Error(diff)
	}
}
