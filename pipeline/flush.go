package pipeline

import (
	"maps"

	"daybook/schemas"
)

// takeRows gives the rows of the records since it was last asked: what is final
// when a record is decided. Their memory is used again by the next records.
func (s *state) takeRows(topic string) *schemas.Flush {
	s.part = schemas.Flush{
		Topic: topic, Epoch: s.epoch, Partition: s.partition, From: s.from, Next: s.pos,
		Events: s.rows, Rejects: s.rejects, Settings: s.settings, UserFacts: s.facts,
	}
	s.rows, s.rejects, s.settings, s.facts = s.rows[:0], s.rejects[:0], s.settings[:0], s.facts[:0]
	return &s.part
}

// takeFlush gives everything that the records since the last flush changed, as
// rows of the version that the state's position is, and forgets that it was to
// be written. Throttled are only rows of open sessions that were written less
// than Rewrite ago; force writes those too (before a snapshot). now is the wall
// clock in milliseconds: it decides when a row is written, never what it says.
//
// The horizons move after the flush (settle); sessions of chains that will
// leave then are written with it.
func (s *state) takeFlush(topic string, now int64, force bool) *schemas.Flush {
	s.now = now
	f := &schemas.Flush{
		Topic: topic, Epoch: s.epoch, Partition: s.partition, From: s.from, Next: s.pos,
		Events: s.rows, Rejects: s.rejects, Settings: s.settings, UserFacts: s.facts,
		Sessions: s.sessionRows, Slices: s.sliceRows,
	}
	f.Sessions, f.Slices = append(f.Sessions, s.strays...), append(f.Slices, s.straySlices...)
	s.sessionRows, s.sliceRows, s.strays, s.straySlices = nil, nil, nil, nil
	for _, n := range s.order {
		n.wanted = max(n.wanted, n.horizon)
		if n.greatest > never {
			n.wanted = max(n.wanted, n.watermark(s.rules)-s.rules.Lateness)
		}
		if n.greatest != n.written {
			f.Progress = append(f.Progress, schemas.ProgressRow{Network: n.id, WatermarkMs: n.watermark(s.rules)})
			n.written = n.greatest
		}
	}
	s.tellUsers(f)
	budget := s.rules.ForceKeys
	for _, n := range s.order {
		s.publish(f, n, force, &budget)
	}
	for first, b := range s.ledger {
		row := *b
		row.NotRecorded, row.Rejected, row.Skipped = clone(b.NotRecorded), clone(b.Rejected), clone(b.Skipped)
		f.Ledger = append(f.Ledger, row)
		if b.Next == first+int64(b.Size) {
			delete(s.ledger, first)
		}
	}
	s.from = s.pos
	s.rows, s.rejects, s.settings, s.facts = nil, nil, nil, nil
	return f
}

// clone copies the counts of a ledger row: the block goes on counting while
// the flush is written.
func clone(m map[string]uint32) map[string]uint32 {
	c := make(map[string]uint32, len(m))
	maps.Copy(c, m)
	return c
}

// clean says whether everything that changed has been handed to a flush, and
// no row is held back.
func (s *state) clean() bool { return s.touched == 0 && s.from == s.pos }

// settle moves the horizons after a flush is durable, and lets go what no
// event at or after them can touch.
func (s *state) settle() {
	s.note()
	s.examined = 0
	for _, n := range s.order {
		n.horizon = max(n.horizon, n.wanted)
	}
	for _, k := range s.expanded {
		k.Collapse(s.rules.Session)
		s.leave(k)
		s.enqueue(k)
	}
	s.expanded = s.expanded[:0]
	for _, n := range s.order {
		n.ids.Forget(n.horizon - s.rules.Repeat)
		s.expire(n)
	}
	s.turnPast()
}

// maxReuse is how many rows' memory is kept for the next flush: a batch makes
// fewer, a checkpoint may write every open session at once.
const maxReuse = 65_536

// reuse takes back the memory of a flush that is durable.
func (s *state) reuse(f *schemas.Flush) {
	if len(s.rows) == 0 {
		clear(f.Events)
		s.rows = f.Events[:0]
	}
	if cap(f.Sessions) <= maxReuse {
		clear(f.Sessions)
		s.sessionRows = f.Sessions[:0]
	}
	if cap(f.Slices) <= maxReuse {
		clear(f.Slices)
		s.sliceRows = f.Slices[:0]
	}
	if s.runs = s.runs[:0]; cap(s.runs) > maxReuse {
		s.runs = nil
	}
}
