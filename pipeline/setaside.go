package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"daybook/schemas"
)

// countPanic counts a panic of a record in the catalogue, and sets the record
// aside after the last one that it may have. It gives the error to go on with.
func (p *partition) countPanic(ctx context.Context, err error) error {
	var e *panicError
	if !errors.As(err, &e) {
		return err
	}
	p.metrics.panics.Inc()
	if e.offset < 0 {
		return err
	}
	a := p.poison.asides[e.offset]
	if a == nil {
		a = &Aside{Epoch: p.cfg.Epoch, Partition: p.id, Offset: e.offset}
	}
	if a.Panics+1 >= panicsToSetAside && p.stored(ctx, e.offset) {
		return &HaltError{p.id, fmt.Sprintf("%v, but an earlier program accepted that record and its row is stored", err), "run the program of before, and report this line to the authors of daybook"}
	}
	a.Panics++
	a.Reason = e.reason[:min(len(e.reason), maxReason)]
	a.SetAside = a.Panics >= panicsToSetAside
	step := PointPanicCounted
	if a.SetAside {
		step = PointAsideMarked
	}
	if putErr := p.putAside(ctx, a, step); putErr != nil {
		return fmt.Errorf("%w; it is not counted: %w", err, putErr)
	}
	if !a.SetAside {
		return err
	}
	if logErr := p.logAside(ctx, a); logErr != nil {
		return fmt.Errorf("%w; it is set aside, the log does not say so yet: %w", err, logErr)
	}
	return err
}

// stored says whether the record at an offset, which waits or is in hand, was accepted
// before: nothing that is stored is ever withdrawn. What is not decoded, or
// cannot be asked without another panic, counts as not stored.
func (p *partition) stored(ctx context.Context, offset int64) (found bool) {
	defer func() { _ = recover() }() // the panic that is counted may be the question's own
	for _, s := range p.queue {
		i, here := slices.BinarySearchFunc(s.records, offset, func(r record, offset int64) int { return cmp(r.offset, offset) })
		if !here {
			continue
		}
		r := &s.records[i]
		if r.control != nil || r.reject.Reason != schemas.Accepted || len(r.event.ID) == 0 {
			continue
		}
		q := schemas.EventsQuery{Epoch: p.cfg.Epoch, Partition: p.id, BelowOffset: offset + 1, Windows: []schemas.EventsWindow{
			{Network: string(r.event.Network), User: string(r.event.User), FromMs: r.timeMs, ToMs: r.timeMs},
		}}
		err := p.retry(ctx, "look for a stored row", func() error {
			return p.store.StoredEvents(ctx, q, func(e *schemas.StoredEvent) error {
				found = found || e.Offset == offset
				return nil
			})
		}, p.waits)
		if err != nil {
			p.logger.WarnContext(ctx, "it is not known whether the record is stored", slog.Int64("offset", offset), slog.String("error", err.Error()))
		}
	}
	return found
}

// maxReason bounds what is kept of a panic's text.
const maxReason = 1024

// putAside makes a mark durable.
func (p *partition) putAside(ctx context.Context, a *Aside, step string) error {
	value, err := a.encode()
	if err != nil {
		return err
	}
	if err := p.log.PutMark(ctx, a.key(), value); err != nil {
		return fmt.Errorf("mark offset %d of partition %d: %w", a.Offset, a.Partition, err)
	}
	return p.cfg.Failpoint(step)
}

// logAside writes the control record of a record that is set aside. A process
// that is killed before it is marked writes a second one, which changes nothing.
func (p *partition) logAside(ctx context.Context, a *Aside) error {
	value, err := schemas.EncodeSetAside(schemas.SetAside{Epoch: a.Epoch, Partition: a.Partition, Offset: a.Offset, Reason: a.Reason})
	if err != nil {
		return err
	}
	if _, err := p.log.AppendControl(ctx, p.id, value, schemas.SignControl(p.cfg.ControlKey, value)); err != nil {
		return fmt.Errorf("set offset %d of partition %d aside: %w", a.Offset, a.Partition, err)
	}
	if err := p.cfg.Failpoint(PointAsideLogged); err != nil {
		return err
	}
	a.Logged = true
	p.logger.ErrorContext(ctx, "record set aside", slog.Int64("offset", a.Offset), slog.String("why", a.Reason))
	return p.putAside(ctx, a, PointAsideLogged)
}

// readAsides learns, before the first record is read, which ones panicked, and
// finishes what an owner before this one could not.
func (p *partition) readAsides(ctx context.Context) error {
	all, err := readAsides(ctx, p.log, fmt.Sprintf("%s%d/%d/", asidePrefix, p.cfg.Epoch, p.id))
	if err != nil {
		return err
	}
	for i := range all {
		a := &all[i]
		p.poison.asides[a.Offset] = a
		if a.SetAside && !a.Logged {
			if err := p.logAside(ctx, a); err != nil {
				return err
			}
		}
	}
	p.countAsides()
	return nil
}

// forgetHandled removes the marks of records that were handled after all. A
// mark that stays does no harm.
func (p *partition) forgetHandled(ctx context.Context) {
	for offset, a := range p.poison.asides {
		if a.SetAside || offset >= p.state.pos {
			continue
		}
		if err := p.log.PutMark(ctx, a.key(), nil); err != nil {
			p.logger.WarnContext(ctx, "mark of a handled record stays", slog.Int64("offset", offset), slog.String("error", err.Error()))
			continue
		}
		delete(p.poison.asides, offset)
	}
}

// learnAsides compares the control records of the batch with what is known. A
// catalogue that was lost gets its mark again, and the partition is restored: a
// record that was read as if it were good may still lie behind the checkpoint.
func (p *partition) learnAsides(ctx context.Context) error {
	var learnt error
	for i := range p.batch.asides {
		s := &p.batch.asides[i]
		if a := p.poison.asides[s.Offset]; a != nil && a.SetAside {
			continue
		}
		a := &Aside{Epoch: s.Epoch, Partition: s.Partition, Offset: s.Offset, Panics: panicsToSetAside, Reason: s.Reason, SetAside: true, Logged: true}
		if err := p.putAside(ctx, a, PointAsideMarked); err != nil {
			return err
		}
		learnt = fmt.Errorf("the log says that offset %d was set aside, the catalogue did not: %w", s.Offset, errLearnt)
	}
	return learnt
}

// errBehind says that an older state was restored than this generation has
// committed: the group is joined anew before it may commit (I4).
var errBehind = errors.New("the last checkpoint cannot be read again")

var errLearnt = errors.New("the partition is restored")

func (p *partition) countAsides() {
	n := 0
	for _, a := range p.poison.asides {
		if a.SetAside {
			n++
		}
	}
	p.poison.aside.Store(int64(n))
	p.metrics.setAside.WithLabelValues(label(p.id)).Set(float64(n))
}
