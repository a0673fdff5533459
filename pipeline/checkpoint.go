package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"daybook/pipeline/source"
	"daybook/schemas"
)

// keptCheckpoints is how many are kept: a delayed commit that its retry
// overtook can set the offset back within one generation.
const keptCheckpoints = 3

// keptAmbiguous is how many may pile up while a commit with an unknown answer
// keeps all of them: a generation can last for weeks. Ending it makes the
// broker refuse that commit for good. 30 s apart, they are ten minutes.
const keptAmbiguous = 20

// checkpointShare keeps the time that checkpoints before the regular ones take
// below a tenth, however large the state and fast the log. Not measured.
const checkpointShare = 10

// checkpointDue says whether a checkpoint belongs to this turn: some time or
// some megabytes after the last one, or when a burst has been read to its end,
// so that every session shows its last state at once and a restart has nothing
// to repeat.
func (p *partition) checkpointDue() bool {
	since := p.state.pos - p.pointer.Next
	if since == 0 && p.state.clean() {
		return false
	}
	age := p.cfg.Now().Sub(p.triedTo)
	if age >= p.cfg.CheckpointEvery {
		return true
	}
	if age < checkpointShare*p.checkTook {
		return false
	}
	idle := !p.caughtUp.IsZero() && p.rest == nil
	return p.sinceBytes >= p.cfg.CheckpointBytes || idle && (since >= p.cfg.CheckpointIdle || age >= time.Duration(p.rules.Rewrite)*time.Millisecond)
}

// checkpoint writes the state, which is clean, and commits its position with
// a pointer to it. The broker refuses a commit of a stale generation: the
// commit is the fence.
func (p *partition) checkpoint(ctx context.Context) error {
	begin := p.cfg.Now()
	p.triedTo, p.sinceBytes = begin, 0
	packed, err := pack(p.state)
	if err != nil {
		return err
	}
	if err := p.cfg.Failpoint(PointCheckpointPacked); err != nil {
		return err
	}
	pointer, err := p.log.WriteCheckpoint(ctx, p.id, p.state.pos, packed)
	if err != nil {
		return p.uncommitted(ctx, err)
	}
	if err := p.cfg.Failpoint(PointCheckpointWritten); err != nil {
		return err
	}
	p.kept = append([]source.Pointer{pointer}, p.kept...)
	if err := p.group.Commit(ctx, p.id, p.state.pos, pointer.String()); err != nil {
		p.ambiguous = true
		return p.uncommitted(ctx, err)
	}
	p.pointer, p.lastCheck, p.checkTook = pointer, begin, p.cfg.Now().Sub(begin)
	p.metrics.checkpoint(p.id, len(packed), p.checkTook)
	if err := p.cfg.Failpoint(PointCommitted); err != nil {
		return err
	}
	if p.ambiguous { // a commit that may still be applied needs its snapshot
		if len(p.kept) > keptAmbiguous {
			p.logger.WarnContext(ctx, "a commit's answer was lost: the group is joined anew, so that old checkpoints can go", slog.Int("checkpoints", len(p.kept)))
			p.group.End()
		}
		return nil
	}
	if len(p.kept) <= keptCheckpoints {
		return nil
	}
	old := p.kept[keptCheckpoints:]
	if err := p.log.DropCheckpoints(ctx, p.id, old); err != nil {
		p.logger.WarnContext(ctx, "old checkpoints stay", slog.String("error", err.Error()))
		return nil
	}
	p.kept = p.kept[:keptCheckpoints]
	return p.cfg.Failpoint(PointDropped)
}

// uncommitted judges a checkpoint that failed: rows are durable, so going on
// is right unless the group has moved on.
func (p *partition) uncommitted(ctx context.Context, err error) error {
	if errors.Is(err, source.ErrFenced) || ctx.Err() != nil {
		return fmt.Errorf("checkpoint partition %d: %w", p.id, err)
	}
	p.triedTo = p.cfg.Now() // again in due time
	p.logger.WarnContext(ctx, "checkpoint failed", slog.String("error", err.Error()))
	return nil
}

// topUpEvery is how often the owner of a partition looks whether the catalogue
// holds a setting that the partition lacks: whoever changed it may have been
// killed before it reached every partition.
const topUpEvery = time.Minute

// topUp appends the control records that the partition lacks. It can only be
// told at the end of the log: what is missing in the state may come.
func (p *partition) topUp(ctx context.Context) {
	now := p.cfg.Now()
	if p.caughtUp.IsZero() || now.Sub(p.lastTopUp) < topUpEvery {
		return
	}
	p.lastTopUp = now
	settings, err := p.log.Settings(ctx)
	if err != nil {
		p.logger.WarnContext(ctx, "settings cannot be read", slog.String("error", err.Error()))
		return
	}
	for _, s := range settings {
		if n := p.state.networks[s.Network]; n != nil && n.control.Position >= s.Position {
			continue
		}
		if err := p.appendControl(ctx, s); err != nil {
			p.logger.WarnContext(ctx, "setting cannot be added to the partition", slog.String("network", s.Network), slog.String("error", err.Error()))
		}
	}
}

func (p *partition) appendControl(ctx context.Context, s source.Setting) error {
	c, err := schemas.DecodeControl(s.Value)
	if err != nil {
		return fmt.Errorf("read setting of network %s: %w", s.Network, err)
	}
	c.Position = s.Position
	value, err := schemas.EncodeControl(c)
	if err != nil {
		return err
	}
	_, err = p.log.AppendControl(ctx, p.id, value, schemas.SignControl(p.cfg.ControlKey, value))
	return err
}
