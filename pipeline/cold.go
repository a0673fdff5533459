package pipeline

import "daybook/schemas"

// coldStart makes the state of a partition from what storage says, without a
// checkpoint (ARCHITECTURE.md section 4.8). pos must be the start of a ledger
// block at or below the committed offset; stored tells of the rows below pos.
//
// Nothing of the sessions is known, so the horizon of every network lies above
// everything stored, by more than any gap and the span of repeats: every event
// near a stored one is late, and its surroundings re-enter. Slower, never wrong.
func coldStart(rules *Rules, epoch uint16, partition, partitions int32, pos int64, stored *schemas.ColdState) *state {
	if pos%rules.LedgerBlock != 0 {
		panic("invariant: a cold start begins with a ledger block")
	}
	s := newState(rules, epoch, partition, partitions, pos)
	s.adopt(stored)
	return s
}
