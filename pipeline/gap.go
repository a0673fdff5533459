package pipeline

import (
	"context"
	"fmt"
	"log/slog"

	"daybook/pipeline/sessionize"
	"daybook/schemas"
)

// skippedGap is why offsets hold no event that a person gave up (daybook skip).
const skippedGap = "gap"

// enterLog checks that the log holds the state's position. What retention took
// unread is passed over only where a person has recorded it as a gap
// (daybook skip); else the partition halts (ARCHITECTURE.md section 4.8). It
// halts too if the state is older than the committed offset: what was read in
// between is in the tables, but can be neither read again nor told from the
// ledger.
func (p *partition) enterLog(ctx context.Context, committed int64) error {
	for {
		start, end, err := p.log.ListOffsets(ctx, p.id)
		if err != nil {
			return fmt.Errorf("list offsets of partition %d: %w", p.id, err)
		}
		pos := p.state.pos
		switch {
		case pos > end:
			return &HaltError{p.id, fmt.Sprintf("the log ends at %d, the next record to read is %d: it lost records or is another topic", end, pos), "restore the log, or start a new epoch with daybook migrate --new-epoch"}
		case pos >= start:
			return nil
		case pos < committed:
			return &HaltError{p.id, fmt.Sprintf("the log begins at %d, and no checkpoint of the committed offset %d can be read", start, committed), "restore the log or the topic of checkpoints, or start a new epoch with daybook migrate --new-epoch"}
		}
		to, err := p.store.GapEnd(ctx, p.cfg.Epoch, p.id, pos)
		if err != nil {
			return fmt.Errorf("look for a gap of partition %d: %w", p.id, err)
		}
		if to <= pos {
			return &HaltError{p.id, fmt.Sprintf("the log begins at %d, the next record to read is %d: retention took unread records", start, pos), fmt.Sprintf("restore the log, or give them up: daybook skip --partition %d --reason TEXT", p.id)}
		}
		if err := p.passGap(ctx, min(to, end)); err != nil {
			return err
		}
	}
}

// passGap takes the state over records that cannot be read any more. Some of
// them may have been read before: their rows are stored, although their position
// was never committed. What the ledger accounts for is adopted, the rest is
// skipped; and sessions of which rows were held back by whoever read that far,
// or are owed by the snapshot, are derived anew from the stored events.
func (p *partition) passGap(ctx context.Context, to int64) error {
	pos := p.state.pos
	ahead, err := p.store.Ahead(ctx, p.cfg.Epoch, p.id, pos)
	if err != nil {
		return fmt.Errorf("read what is stored of partition %d above offset %d: %w", p.id, pos, err)
	}
	spans := append(p.state.owedSpans(), ahead.Spans...)
	p.state.account(ahead.Ledger)
	// What is stored of records that will be read now is not in force yet.
	stored, err := p.store.ColdState(ctx, p.cfg.Epoch, p.id, max(p.state.pos, to))
	if err != nil {
		return fmt.Errorf("read stored state of partition %d: %w", p.id, err)
	}
	p.state.adopt(stored)
	p.logger.WarnContext(ctx, "gap passed", slog.Int64("from", pos), slog.Int64("stored_to", p.state.pos), slog.Int64("to", to))
	p.state.skipGap(ahead.Offsets, to)
	err = p.state.recall(spans, func(ws []schemas.EventsWindow, yield func(*schemas.StoredEvent) error) error {
		return p.store.StoredEvents(ctx, schemas.EventsQuery{Epoch: p.cfg.Epoch, Partition: p.id, BelowOffset: p.state.pos, Windows: ws}, yield)
	})
	if err != nil {
		return fmt.Errorf("read stored events of partition %d: %w", p.id, err)
	}
	return p.flush(ctx, true)
}

// adopt puts what is stored in force, whoever stored it, and moves the horizons
// above all of it: every event near a stored one then re-enters.
func (s *state) adopt(stored *schemas.ColdState) {
	for i := range stored.Settings {
		c := &stored.Settings[i].Control
		s.network(c.Network).set(c)
	}
	for _, f := range stored.Facts {
		s.network(f.Network).facts[f.User] = fact{zone: f.Zone, name: f.Name}
	}
	for _, x := range stored.Networks {
		n := s.network(x.Network)
		n.horizon = max(n.horizon, x.GreatestMs+1+max(s.rules.MaxGap, s.rules.Repeat))
		n.greatest = max(n.greatest, x.WatermarkMs)
	}
}

// account takes the state to where the stored ledger ends.
func (s *state) account(ledger []schemas.LedgerRow) {
	for i := range ledger {
		l := ledger[i]
		if l.Block != s.pos-s.pos%s.rules.LedgerBlock || l.Next <= s.pos {
			return
		}
		s.pos, s.from = l.Next, l.Next
		delete(s.ledger, l.Block)
		s.lastBlock = nil
		if l.Next < l.Block+int64(l.Size) {
			s.ledger[l.Block] = &l
		}
	}
}

// skipGap accounts for the offsets up to the gap's end. Events of a flush that
// was torn are stored all the same.
func (s *state) skipGap(stored []int64, to int64) {
	for _, offset := range stored {
		if offset < s.pos || offset >= to {
			continue
		}
		s.skip(s.pos, offset, skippedGap)
		l := s.block(offset)
		l.Accepted++
		s.pos, l.Next = offset+1, offset+1
	}
	s.skip(s.pos, to, skippedGap)
	s.pos = max(s.pos, to)
}

// owedSpans gives the times of the sessions whose rows are held back, and drops
// them: what the state knows of them may be less than what is stored.
func (s *state) owedSpans() []schemas.EventsWindow {
	var spans []schemas.EventsWindow
	for k := range s.allTouched {
		segs := k.Segs()
		spans = append(spans, schemas.EventsWindow{Network: k.net().id, User: k.user.name(), FromMs: segs[0].First, ToMs: segs[len(segs)-1].Last()})
		k.touched, k.list = false, listNone
		for ps, i := k.sessions(), 0; i < len(ps); i++ {
			ps[i].wrote(ps[i].written())
		}
	}
	for _, n := range s.order {
		n.waiting = waiting{}
	}
	s.touched, s.owed = 0, 0
	return spans
}

// recall lets users re-enter and has their sessions in a span written anew.
func (s *state) recall(spans []schemas.EventsWindow, read readBack) error {
	for i := range spans {
		w := &spans[i]
		n := s.network(w.Network)
		x := n.late[w.User]
		if x == nil {
			x = &reentry{net: n, id: w.User, user: s.user(n, []byte(w.User)), wanted: true, idsTo: n.horizon}
			n.late[x.id] = x
			s.reentered = append(s.reentered, x)
		}
		x.windows = append(x.windows, sessionize.Window{From: s.window(w.FromMs).From, To: s.window(w.ToMs).To})
	}
	if len(s.reentered) == 0 {
		return nil
	}
	if err := s.reenter(s.reentered, read); err != nil {
		return err
	}
	for i := range spans {
		w := &spans[i]
		u := s.user(s.network(w.Network), []byte(w.User))
		if u == nil {
			continue // his events make no sessions
		}
		for k := range u.keys {
			s.before = s.rules.Session.Build(s.before[:0], k.Segs())
			for j := range s.before {
				if x := &s.before[j]; x.StartMs <= w.ToMs && x.EndMs >= w.FromMs {
					s.rewrite(k, x.StartMs)
				}
			}
		}
	}
	return nil
}
