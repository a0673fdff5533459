package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
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
// to repeat. A burst has ended when nothing came for a turn: a steady load reaches the
// log's end in each. Then a checkpoint keeps nothing waiting, however long it takes.
func (p *partition) checkpointDue() bool {
	since := p.state.pos - p.pointer.Next
	if p.saving != nil || since == 0 && p.state.clean() {
		return false
	}
	age := p.cfg.Now().Sub(p.triedTo)
	idle := !p.caughtUp.IsZero() && len(p.queue) == 0
	if age >= p.cfg.CheckpointEvery || idle && p.batch.records == 0 && since >= p.cfg.CheckpointIdle {
		return true
	}
	if age < checkpointShare*p.checkTook {
		return false
	}
	return p.sinceBytes >= p.cfg.CheckpointBytes || idle && age >= time.Duration(p.rules.Rewrite)*time.Millisecond
}

// saving is a checkpoint under way. Consumption goes on meanwhile:
//
//	capture ─ blocks ─► pack, write to the topic ─► wait until nothing is owed ─► commit, drop old ones
//	(partition's goroutine,   (a goroutine)           (partition's flushes)         (a goroutine)
//	 a few users at a time)
type saving struct {
	pos     int64
	begun   time.Time
	capture *capture        // nil when every user is written down
	blocks  chan []byte     // to the packer; closed after the last one
	done    chan saved      // of size one: the goroutine's answer
	cancel  func()          // gives it up
	pointer *source.Pointer // nil until it is written
	commits bool            // the commit is under way
	durable chan struct{}   // closed when the flush at pos is: a snapshot that could be found says that it is
	isOpen  bool            // durable
}

// settled notes that the flush at the position is durable.
func (sv *saving) settled() {
	if sv.isOpen {
		close(sv.durable)
		sv.isOpen = false
	}
}

// saved is what a goroutine of a checkpoint has to say.
type saved struct {
	pointer source.Pointer
	bytes   int
	took    time.Duration
	dropped bool
	err     error
}

// blockBytes is how much of a snapshot is handed to the packer at once.
const blockBytes = 1 << 20

// beginCheckpoint begins to save the state at its position. Everything below it
// has been handed to the writer but for rows of open sessions that are held back.
func (p *partition) beginCheckpoint(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	now := p.cfg.Now()
	p.triedTo, p.sinceBytes = now, 0
	sv := &saving{
		pos: p.state.pos, begun: now, capture: p.state.begin(), blocks: make(chan []byte), done: make(chan saved, 1), cancel: cancel,
		durable: make(chan struct{}), isOpen: true,
	}
	if p.saving = sv; p.writing == nil {
		sv.settled()
	}
	size, rest := sv.capture.size(), sv.capture.rest
	go func() { sv.done <- p.save(ctx, sv, size, rest) }()
}

// stepCheckpoint writes down some more users of the state that is being saved.
func (p *partition) stepCheckpoint(n int) {
	sv := p.saving
	done := sv.capture.step(n)
	if len(sv.capture.w.b) >= blockBytes || done {
		sv.blocks <- sv.capture.take() // the packer always takes
	}
	if done {
		sv.capture = nil
		close(sv.blocks)
	}
}

// save packs what it is given and writes it to the checkpoints topic.
func (p *partition) save(ctx context.Context, sv *saving, size int, rest func(func([]byte))) saved {
	begin := p.cfg.Now()
	packed, err := pack(ctx, size, sv.blocks, rest)
	if err == nil {
		err = p.cfg.Failpoint(PointCheckpointPacked)
	}
	if err != nil {
		return saved{err: err}
	}
	took := p.cfg.Now().Sub(begin)
	select {
	case <-sv.durable: // mostly the engine's time, and nobody waits for a checkpoint
	case <-ctx.Done():
		return saved{err: ctx.Err()}
	}
	begin = p.cfg.Now()
	pointer, err := p.log.WriteCheckpoint(ctx, p.id, sv.pos, packed)
	if err == nil {
		err = p.cfg.Failpoint(PointCheckpointWritten)
	}
	return saved{pointer: pointer, bytes: len(packed), took: took + p.cfg.Now().Sub(begin), err: err}
}

// checkpointed takes the answer of a checkpoint's goroutine.
func (p *partition) checkpointed(ctx context.Context, r saved) error {
	sv := p.saving
	if r.err != nil {
		p.dropSaving()
		p.ambiguous = p.ambiguous || sv.commits
		p.boundKept(ctx)
		return p.uncommitted(ctx, r.err)
	}
	if !sv.commits {
		sv.pointer = &r.pointer
		p.kept = append([]source.Pointer{r.pointer}, p.kept...)
		p.checkTook = r.took
		p.metrics.checkpoint(p.id, r.bytes, r.took)
		p.commit(ctx)
		return nil
	}
	p.dropSaving()
	p.pointer, p.lastCheck = *sv.pointer, sv.begun
	if r.dropped {
		p.kept = p.kept[:keptCheckpoints]
	}
	p.boundKept(ctx)
	return nil
}

// boundKept ends the generation when too many checkpoints are kept because a
// commit may still be applied that needs its snapshot.
func (p *partition) boundKept(ctx context.Context) {
	if p.ambiguous && len(p.kept) > keptAmbiguous {
		p.logger.WarnContext(ctx, "a commit's answer was lost: the group is joined anew, so that old checkpoints can go", slog.Int("checkpoints", len(p.kept)))
		p.group.End()
	}
}

// commit makes the position of a written snapshot the group's, with a pointer
// to it, as soon as nothing is owed any more: rows first (I2). The broker
// refuses a commit of a stale generation: the commit is the fence.
func (p *partition) commit(ctx context.Context) {
	sv := p.saving
	if sv == nil || sv.pointer == nil || sv.commits || p.state.owed > 0 || p.writing != nil {
		return
	}
	var old []source.Pointer
	if !p.ambiguous && len(p.kept) > keptCheckpoints {
		old = slices.Clone(p.kept[keptCheckpoints:])
	}
	sv.commits, p.tried = true, true
	go func() { sv.done <- p.publish(ctx, sv, old) }()
}

// publish commits, then drops checkpoints that nothing points to.
func (p *partition) publish(ctx context.Context, sv *saving, old []source.Pointer) saved {
	if err := p.group.Commit(ctx, p.id, sv.pos, sv.pointer.String()); err != nil {
		return saved{err: err}
	}
	if err := p.cfg.Failpoint(PointCommitted); err != nil {
		return saved{err: err}
	}
	if len(old) == 0 {
		return saved{}
	}
	if err := p.log.DropCheckpoints(ctx, p.id, old); err != nil {
		p.logger.WarnContext(ctx, "old checkpoints stay", slog.String("error", err.Error()))
		return saved{}
	}
	return saved{dropped: true, err: p.cfg.Failpoint(PointDropped)}
}

// saved is where a goroutine of the checkpoint answers; it blocks for ever if
// there is none.
func (p *partition) saved() <-chan saved {
	if p.saving == nil {
		return nil
	}
	return p.saving.done
}

// abandon gives up a checkpoint that is not committed yet, and waits for its
// goroutine. One that is being committed is seen to its end.
func (p *partition) abandon(ctx context.Context) error {
	sv := p.saving
	if sv == nil {
		return nil
	}
	if sv.commits {
		return p.checkpointed(ctx, <-sv.done)
	}
	sv.cancel()
	if sv.capture != nil {
		p.state.capture, sv.capture = nil, nil
		close(sv.blocks)
	}
	if sv.pointer == nil {
		<-sv.done
	}
	p.dropSaving()
	return nil
}

func (p *partition) dropSaving() {
	p.saving.cancel()
	p.saving = nil
}

// checkpoint saves the state at once, and waits for it: nothing is consumed
// any more.
func (p *partition) checkpoint(ctx context.Context) error {
	for first := true; first || p.state.touched > 0; first = false {
		if err := p.flush(ctx, true); err != nil {
			return err
		}
	}
	p.beginCheckpoint(ctx)
	return p.finishCheckpoint(ctx)
}

// finishCheckpoint sees the checkpoint under way to its end, if there is one.
func (p *partition) finishCheckpoint(ctx context.Context) error {
	for p.saving != nil && p.saving.capture != nil {
		p.stepCheckpoint(math.MaxInt)
	}
	for p.saving != nil && p.state.owed > 0 {
		if err := p.flush(ctx, true); err != nil {
			return err
		}
	}
	for p.saving != nil {
		if err := p.checkpointed(ctx, <-p.saving.done); err != nil {
			return err
		}
	}
	return nil
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
