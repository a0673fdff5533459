package simtest

import (
	"testing"
)

// mutant takes back a promise of Kafka or of storage, or a rule of the worker, on
// which the guarantee rests. The simulator must notice, or it proves nothing.
type mutant string

const (
	none       mutant = ""
	staleReads mutant = "reads do not see the newest inserts"
	lastWins   mutant = "the row that was written last counts, not the newest version"
	earlyAck   mutant = "an insert is acknowledged before it is durable"
	emptyCold  mutant = "a cold start is told of no settings"
	newestOnly mutant = "a cold start is told the newest setting, whatever its offset"
	restart    mutant = "a lost offset is taken for the end of the log"
	tornAck    mutant = "a torn insert is acknowledged"
	noTombs    mutant = "tombstones are forgotten"
	hastyReads mutant = "stored events are read while a flush is under way"
	reordered  mutant = "the log of one partition is read in another order by each worker"
)

// mutants lists all but none. Two promises are missing because no row rests on
// them: the fence (a commit of an old generation points to a checkpoint that is
// as true as any), and the lowest offset of an event (no two of one identity
// and time are ever accepted).
func mutants() []mutant {
	return []mutant{staleReads, lastWins, earlyAck, tornAck, noTombs, emptyCold, newestOnly, restart, hastyReads, reordered}
}

// TestMutants proves that the simulator sees what it is there to see: with any
// one promise taken back some pair fails, and soon.
func TestMutants(t *testing.T) {
	const most = 4000
	for _, m := range mutants() {
		t.Run(string(m), func(t *testing.T) {
			all := make([]pair, most)
			for i := range all {
				all[i] = pair{uint64(i), uint64(i)}
			}
			var runs counters
			bad := hunt(t, all, m, &runs)
			if bad == nil {
				t.Fatalf("%d pairs passed", most)
			}
			t.Logf("found after %d pairs by %v: %.300s", runs.done.Load(), bad.pair, bad.failure)
		})
	}
}
