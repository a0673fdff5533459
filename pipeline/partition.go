package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"daybook/pipeline/enrich"
	"daybook/pipeline/source"
	"daybook/schemas"
)

// partition works off one partition for as long as a generation owns it. One
// goroutine (run) owns the state, without a lock; one fetches and decodes ahead of
// it (reader), one makes the rows of the batch before durable (write). See
// DESIGN.md, "The path".
type partition struct {
	id      int32
	cfg     *Config
	rules   *Rules
	log     Log
	store   Store
	group   committer
	metrics *metrics
	logger  *slog.Logger

	state  *state
	poison *poison
	again  bool // the generation has had this partition before: it may have committed
	reader *reader
	queue  []*slab // not applied yet
	taken  int64   // offset up to which slabs were received
	batch  batch
	pace   pace

	batchBytes int      // of the records of a batch
	writing    *writing // the flush under way; nil if every one is durable

	pointer    source.Pointer   // of the last commit
	kept       []source.Pointer // checkpoints that exist, newest first
	ambiguous  bool             // a commit of this generation may or may not have been applied
	tried      bool             // a commit was tried: another state of this generation must not commit less (I4)
	lastCheck  time.Time        // of the last checkpoint; before the first one, of the beginning
	triedTo    time.Time        // checkpoint: the last attempt
	chunkLast  bool             // what next gave last, while a checkpoint was under way, ended a chunk
	saving     *saving          // the checkpoint under way
	sinceBytes int64            // of records since then
	checkTook  time.Duration    // packing and writing the last checkpoint
	caughtUp   time.Time        // when the last fetch was answered, if it read to the end; zero while behind
	complete   time.Time        // caughtUp when every changed session was last written; zero while behind
	logEnd     int64
	lastRead   int64 // last record's timestamp, ms
	published  int64 // every changed session is written up to here
	lastFlush  time.Time
	idsLeft    int // when all ids were last looked at
	lastTopUp  time.Time
	observed   time.Time // observe looked last
	observedTo int64     // … and saw this position
	rate       float64   // records taken a second, lately
	status     atomic.Pointer[schemas.PartitionStatus]
	unwritten  bool // a flush was taken and is not durable: the state must be dropped
	broken     bool // a batch was applied in part: likewise
}

func newPartition(id int32, cfg *Config, log Log, store Store, group committer, m *metrics) *partition {
	rules, poison := cfg.rules(), newPoison(cfg, id)
	return &partition{
		id: id, cfg: cfg, rules: &rules, log: log, store: store, group: group, metrics: m,
		pace: newPace(cfg.BatchRecords), batchBytes: cfg.BatchBytes,
		logger: cfg.Logger.With(slog.Int("partition", int(id))), poison: poison,
		reader: newReader(cfg, log, id, &decoder{
			rules: &rules, controlKey: cfg.ControlKey, partition: id, partitions: cfg.Partitions, classes: enrich.New(classCache),
			epoch: cfg.Epoch, hand: hand{poison: poison},
		}),
	}
}

// classCache is how many user agents a partition remembers. A platform sees a
// few thousand; 558 are in the sample of 10,000 requests.
const classCache = 4096

// run works until ctx ends or an error that a retry does not mend. It returns
// nil when the partition was let go in order; *HaltError if a person must
// decide; source.ErrFenced if the group has moved on.
func (p *partition) run(ctx context.Context, committed source.Committed, warm *restored) error {
	if err := p.cfg.Failpoint(PointAssigned); err != nil {
		return err
	}
	if err := p.readAsides(ctx); err != nil {
		return err
	}
	r := warm
	if r == nil {
		var err error
		if r, err = p.restore(ctx, committed); err != nil {
			return err
		}
	}
	p.state, p.pointer, p.kept = r.state, r.pointer, r.kept
	if p.again && p.state.pos < committed.Offset {
		return errBehind
	}
	p.forgetHandled(ctx)
	now := p.cfg.Now()
	p.published, p.lastCheck, p.triedTo, p.lastFlush = p.state.pos, now, now, now
	p.logger.InfoContext(ctx, "resume", slog.Int64("offset", p.state.pos), slog.String("checkpoint", p.pointer.ID), slog.Bool("warm", warm != nil))
	if err := p.enterLog(ctx, committed.Offset); err != nil {
		return err
	}
	if err := p.cfg.Failpoint(PointRestored); err != nil {
		return err
	}
	p.newBatch()
	p.taken, p.reader.pos = p.state.pos, p.state.pos
	reading, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.reader.run(reading, p.taken)
	}()
	work, cancel := p.outlive(ctx)
	defer cancel()
	err := p.guarded(func() error { return p.loop(ctx, work) })
	stop()
	<-done
	if lost := p.durable(work); lost != nil && err == nil {
		err = lost
	}
	if err == nil {
		err = p.letGo(work)
	}
	if lost := p.abandon(work); lost != nil {
		err = errors.Join(err, lost)
	}
	return p.countPanic(work, err)
}

// loop applies what is read and makes it durable until ctx ends. What is in hand
// then has until work ends.
func (p *partition) loop(ctx, work context.Context) error {
	timer := time.NewTimer(p.untilTick(p.cfg.FlushAge))
	defer timer.Stop()
	for {
		if err := p.advance(); err != nil {
			if ctx.Err() != nil && !isPanic(err) {
				return nil // the fetch was told to end
			}
			return err
		}
		if (p.writing == nil || p.cfg.Hasty && p.batch.gathers) && (p.batch.full || p.batch.overdue) {
			if err := p.turn(work); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return nil
			}
			timer.Reset(p.untilTick(p.cfg.FlushAge / p.hurry()))
			continue
		}
		switch t := p.next(ctx, timer.C); t.what {
		case toEnd:
			return nil
		case toSaved:
			if err := p.checkpointed(work, t.saved); err != nil {
				return err
			}
		case toWritten:
			if err := p.written(work, t.err); err != nil {
				return err
			}
		case toFlush:
			if p.batch.overdue = true; p.writing != nil && p.writing.failing.Load() {
				p.waits()
			}
			timer.Reset(p.untilTick(p.cfg.FlushAge))
		case toSlab:
			if err := p.received(t.slab); err != nil {
				return err
			}
		case toCapture:
			p.stepCheckpoint(p.cfg.CaptureUsers)
		}
	}
}

// untilTick is how long to wait for the next multiple of a time since the worker
// began. All its partitions flush at the same instants, so that their rows travel
// together: an insert costs the storage much more than the few rows that a second
// brings. Nearly: one a little after the other, and none at a round time, so that in a
// simulated run, where computing takes no time, it is settled what comes first
// (pipeline/simtest, TestSimulator_RepeatsItself).
func (p *partition) untilTick(every time.Duration) time.Duration {
	return every - (time.Since(p.cfg.began)-time.Duration(p.id%64+1)*53*time.Microsecond)%every
}

// hurry is how much sooner a flush follows: while a checkpoint waits for rows that
// are held back, their writing takes as long as the waiting. Not measured.
func (p *partition) hurry() time.Duration {
	if p.state.owed > 0 {
		return 8
	}
	return 1
}

// outlive gives a context that ends a drain after ctx does: all that is still
// in hand, the last checkpoint included, is finished if that fits half the
// session timeout (ARCHITECTURE.md section 4.9).
func (p *partition) outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(p.cfg.Drain, cancel) })
	return work, func() { stop(); cancel() }
}

// boundMemory keeps the ids of a partition below their limit. What may go at
// any time goes first; then the horizon of the network with the most ids moves
// half-way up to its watermark, and at twice the limit beyond it, so that even
// a flood within one hour has a bound. Rows do not depend on it; speed does. As
// all ids are looked at for this, between once and twice the limit it is done
// after each sixteenth of it that came in.
func (p *partition) boundMemory() {
	total, largest := p.ids()
	limit := p.cfg.MaxRepeatIDs
	look := total > max(limit, p.idsLeft+limit/16) || total > 2*limit
	if look {
		for _, n := range p.state.networks {
			n.ids.ForgetAll(n.horizon - p.rules.Repeat)
		}
		total, largest = p.ids()
		p.idsLeft = total
	}
	p.idsLeft = min(p.idsLeft, total)
	p.metrics.repeatIDs.WithLabelValues(label(p.id)).Set(float64(total))
	if !look || total <= limit {
		return
	}
	top := largest.greatest + 1
	if total > 2*limit {
		top += p.rules.Repeat
	}
	from := max(largest.horizon, largest.greatest-p.rules.Lateness-p.rules.OutOfOrder)
	if from >= top {
		return
	}
	largest.wanted = max(largest.wanted, from+(top-from+1)/2)
	p.logger.Warn("too many ids kept, horizon moves up", slog.Int("ids", total), slog.String("network", largest.id))
}

// ids counts the ids kept, and tells which network has the most.
func (p *partition) ids() (total int, largest *network) {
	for _, n := range p.state.networks {
		total += n.ids.Len()
		if largest == nil || n.ids.Len() > largest.ids.Len() || n.ids.Len() == largest.ids.Len() && n.id < largest.id {
			largest = n
		}
	}
	return total, largest
}

// letGo finishes when the partition is taken away: the checkpoint under way,
// so that generations shorter than the pace of checkpoints make progress, then
// a last one, so that the next owner has nothing to repeat. What does not fit
// the drain is given up.
func (p *partition) letGo(ctx context.Context) error {
	if p.unwritten || p.broken {
		return nil
	}
	if err := p.finishCheckpoint(ctx); err != nil {
		return err
	}
	if p.pointer.Next == p.state.pos && p.state.clean() {
		return nil
	}
	if err := p.checkpoint(ctx); err != nil {
		return err
	}
	return p.cfg.Failpoint(PointReleased)
}

// whole says whether the state can be resumed with, should the same worker get
// the partition again: every batch that it has applied is durable, whether the
// last checkpoint fitted the drain or not.
func (p *partition) whole(err error) bool {
	return p.state != nil && !p.unwritten && !p.broken && p.state.from == p.state.pos && (err == nil || givenUp(err))
}

// givenUp says whether a partition ended because its drain did.
func givenUp(err error) bool {
	return errors.Is(err, context.Canceled) && !errors.Is(err, source.ErrFenced) && !isPanic(err)
}
