package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"daybook/pipeline/enrich"
	"daybook/pipeline/source"
	"daybook/schemas"
)

// partition works off one partition for as long as a generation owns it. One
// goroutine (run) owns the state, without a lock; a second one fetches ahead
// by one chunk. See DESIGN.md, "The path".
type partition struct {
	id      int32
	cfg     *Config
	rules   *Rules
	log     Log
	store   Store
	group   committer
	metrics *metrics
	logger  *slog.Logger

	state   *state
	poison  *poison
	again   bool // the generation has had this partition before: it may have committed
	decoder *decoder
	batch   batch
	pace    pace
	rest    *source.Chunk // not wholly in a batch yet

	pointer    source.Pointer   // of the last commit
	kept       []source.Pointer // checkpoints that exist, newest first
	ambiguous  bool             // a commit of this generation may or may not have been applied
	tried      bool             // a commit was tried: another state of this generation must not commit less (I4)
	lastCheck  time.Time        // of the last checkpoint; before the first one, of the beginning
	triedTo    time.Time        // checkpoint: the last attempt
	chunkLast  bool             // what next gave last, while a checkpoint was under way, was a chunk
	saving     *saving          // the checkpoint under way
	sinceBytes int64            // of records since then
	checkTook  time.Duration    // packing and writing the last checkpoint
	caughtUp   time.Time        // when the last fetch was answered, if it read to the end; zero while behind
	complete   time.Time        // caughtUp when every changed session was last written; zero while behind
	logEnd     int64
	lastRead   int64 // last record's timestamp, ms
	published  int64 // every changed session is written up to here
	lastFlush  time.Time
	lastTopUp  time.Time
	observed   time.Time // observe looked last
	observedTo int64     // … and saw this position
	rate       float64   // records taken a second, lately
	status     atomic.Pointer[schemas.PartitionStatus]
	unwritten  bool // a flush was taken and is not durable: the state must be dropped
}

func newPartition(id int32, cfg *Config, log Log, store Store, group committer, m *metrics) *partition {
	rules, poison := cfg.rules(), newPoison(cfg, id)
	return &partition{
		id: id, cfg: cfg, rules: &rules, log: log, store: store, group: group, metrics: m,
		pace:   newPace(cfg.BatchRecords),
		logger: cfg.Logger.With(slog.Int("partition", int(id))), poison: poison,
		decoder: &decoder{
			rules: &rules, controlKey: cfg.ControlKey, partition: id, partitions: cfg.Partitions, classes: enrich.New(classCache),
			epoch: cfg.Epoch, poison: poison,
		},
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
	fetched := make(chan fetched) // unbuffered: back-pressure reaches Kafka by itself
	fetchCtx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.fetch(fetchCtx, p.state.pos, fetched)
	}()
	work, cancel := p.outlive(ctx)
	defer cancel()
	err := p.guarded(func() error { return p.loop(ctx, work, fetched) })
	stop()
	<-done
	if err == nil {
		err = p.letGo(work)
	}
	if lost := p.abandon(work); lost != nil {
		err = errors.Join(err, lost)
	}
	return p.countPanic(work, err)
}

// fetched is what the fetching goroutine hands over.
type fetched struct {
	chunk *source.Chunk
	err   error
	at    time.Time // when Kafka answered: the turn in hand may keep it waiting for long
}

// fetch reads ahead by one chunk.
func (p *partition) fetch(ctx context.Context, pos int64, out chan<- fetched) {
	for {
		c, err := p.log.Fetch(ctx, p.id, pos)
		if err == nil {
			pos = c.Next // before the chunk is handed over: its owner may release it at once
		}
		select {
		case out <- fetched{c, err, p.cfg.Now()}:
		case <-ctx.Done():
			return
		}
		if err != nil && !errors.Is(err, source.ErrTransient) {
			return
		}
	}
}

// loop collects batches and flushes them until ctx ends. The turn in hand then
// has until work ends.
func (p *partition) loop(ctx, work context.Context, in <-chan fetched) error {
	timer := time.NewTimer(p.cfg.FlushAge)
	defer timer.Stop()
	for {
		due := p.rest != nil && p.take(p.rest) // what did not fit the last batch
		for !due {
			switch t := p.next(ctx, in, timer.C); t.what {
			case toEnd:
				return nil
			case toSaved:
				if err := p.checkpointed(work, t.saved); err != nil {
					return err
				}
			case toFlush:
				due = true
			case toChunk:
				if err := p.received(t.chunk); err != nil {
					if ctx.Err() != nil {
						return nil // the fetch was told to end
					}
					return err
				}
				if t.chunk.err == nil {
					due = p.take(t.chunk.chunk)
				}
				due = due || p.cfg.Now().Sub(p.lastFlush) >= p.cfg.FlushAge
			case toCapture:
				p.stepCheckpoint(p.cfg.CaptureUsers)
			}
		}
		if err := p.turn(work); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		if p.state.owed > 0 {
			timer.Reset(p.cfg.FlushAge / owedPace)
			continue
		}
		timer.Reset(p.cfg.FlushAge)
	}
}

// owedPace is how much sooner a flush follows while a checkpoint waits for rows
// that are held back: their writing takes as long as the waiting. Not measured.
const owedPace = 8

// received notes what a fetch says about the log.
func (p *partition) received(f fetched) error {
	if f.err != nil {
		var gone *source.OffsetOutOfRangeError
		var damaged *source.BatchError
		switch {
		case errors.As(f.err, &gone):
			return &HaltError{p.id, f.err.Error(), "retention took unread records, or the topic is another one: raise its retention, or start a new epoch with daybook migrate --new-epoch"}
		case errors.As(f.err, &damaged):
			return &HaltError{p.id, f.err.Error(), "restore the broker's log"}
		case errors.Is(f.err, source.ErrTransient):
			p.caughtUp = time.Time{}
			p.logger.Warn("fetch failed, trying again", slog.String("error", f.err.Error()))
			return nil
		}
		return f.err
	}
	if err := p.cfg.Failpoint(PointFetched); err != nil {
		return err
	}
	p.logEnd, p.caughtUp = f.chunk.LastStable, time.Time{}
	if f.chunk.Next >= f.chunk.LastStable {
		p.caughtUp = f.at
	}
	if n := len(f.chunk.Records); n > 0 {
		p.lastRead = f.chunk.Records[n-1].TimestampMs
	}
	return nil
}

// take puts a chunk into the batch and reports whether the batch is due: it is
// full, or the log is read to its end and a flush has not been for a while.
func (p *partition) take(c *source.Chunk) bool {
	if c.Next == c.From {
		c.Release()
		return false
	}
	if c.From > p.batch.next {
		panic("invariant I7: the log was read with a hole")
	}
	p.rest = nil
	if !p.decoder.add(&p.batch, c, p.pace.limit) {
		p.rest = c
	}
	return p.rest != nil || p.batch.full || len(p.batch.records) >= p.pace.limit || p.batch.bytes >= p.cfg.BatchBytes
}

// newBatch begins the next batch where the state ends.
func (p *partition) newBatch() {
	p.batch.reset(p.state.pos)
	p.decoder.json.Reset()
}

// turn applies the batch in hand, makes it durable, and begins a checkpoint if
// one is due. The order is the delivery guarantee (I2): rows, snapshot, commit.
func (p *partition) turn(ctx context.Context) error {
	n, read, begin := len(p.batch.records), int64(p.batch.bytes), p.cfg.Now()
	if p.batch.next > p.state.pos {
		p.state.storedRows = func(q schemas.RowsQuery, yield func(*schemas.StoredRow) error) error {
			return p.retry(ctx, "read stored rows", func() error { return p.store.StoredRows(ctx, q, yield) })
		}
		err := p.state.apply(&p.batch, func(ws []schemas.EventsWindow, yield func(*schemas.StoredEvent) error) error {
			return p.retry(ctx, "read stored events", func() error {
				return p.store.StoredEvents(ctx, schemas.EventsQuery{Epoch: p.cfg.Epoch, Partition: p.id, BelowOffset: p.batch.from, Windows: ws}, yield)
			})
		})
		if err != nil {
			p.unwritten = true // applied in part
			return err
		}
		p.boundMemory()
		if err := p.learnAsides(ctx); err != nil {
			p.unwritten = true
			return err
		}
		if err := p.cfg.Failpoint(PointApplied); err != nil {
			p.unwritten = true
			return err
		}
	}
	check := p.checkpointDue()
	if err := p.flush(ctx, check); err != nil {
		return err
	}
	p.metrics.records.Add(float64(n))
	p.sinceBytes += read
	p.pace.after(n, p.cfg.Now().Sub(begin))
	p.newBatch()
	if check {
		p.beginCheckpoint(ctx)
	}
	p.observe()
	p.topUp(ctx)
	return p.saveBefore(ctx)
}

// outlive gives a context that ends a drain after ctx does: all that is still
// in hand, the last checkpoint included, is finished if that fits half the
// session timeout (ARCHITECTURE.md section 4.9).
func (p *partition) outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(p.cfg.Drain, cancel) })
	return work, func() { stop(); cancel() }
}

// flush makes durable what changed, then lets the horizons move.
func (p *partition) flush(ctx context.Context, force bool) error {
	now := p.cfg.Now()
	f := p.state.takeFlush(p.cfg.Topic, now.UnixMilli(), force)
	p.lastFlush = now
	if !empty(f) {
		p.unwritten = true
		if err := p.cfg.Failpoint(PointWriting); err != nil {
			return err
		}
		rows := p.store.NewRows()
		rows.Add(f)
		if err := p.retry(ctx, "write", func() error { return p.store.WriteRows(ctx, rows) }); err != nil {
			return err // the rows are not released: a request that was given up may still read them
		}
		rows.Release()
		if err := p.cfg.Failpoint(PointWritten); err != nil {
			return err
		}
		p.unwritten = false
		p.metrics.flushed(f)
	}
	p.state.settle()
	p.state.reuse(f)
	if err := p.cfg.Failpoint(PointSettled); err != nil {
		return err
	}
	if p.state.touched == 0 {
		p.published = p.state.pos
	}
	p.commit(ctx)
	return nil
}

// empty says whether a flush would write nothing.
func empty(f *schemas.Flush) bool {
	return f.From == f.Next && len(f.Sessions) == 0 && len(f.Slices) == 0 && len(f.Progress) == 0 && len(f.Users) == 0
}

// retry repeats what storage refuses until it works or ctx ends: consumption
// stands still meanwhile, with bounded memory, and the group's heartbeats go on.
func (p *partition) retry(ctx context.Context, what string, try func() error) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s partition %d: %w", what, p.id, err)
		}
		p.metrics.retries.Inc()
		p.caughtUp, p.complete = time.Time{}, time.Time{} // records wait, whatever the log's end was
		p.ages()
		p.logger.ErrorContext(ctx, "storage failed, trying again", slog.String("doing", what), slog.String("error", err.Error()), slog.Duration("after", wait))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("%s partition %d: %w", what, p.id, err)
		}
	}
}

// boundMemory keeps the ids of a partition below their limit. What may go at
// any time goes first; then the horizon of the network with the most ids moves
// half-way up to its watermark, and at twice the limit beyond it, so that even
// a flood within one hour has a bound. Rows do not depend on it; speed does.
func (p *partition) boundMemory() {
	total, largest := p.ids()
	if total > p.cfg.MaxRepeatIDs {
		for _, n := range p.state.networks {
			n.ids.ForgetAll(n.horizon - p.rules.Repeat)
		}
		total, largest = p.ids()
	}
	p.metrics.repeatIDs.WithLabelValues(label(p.id)).Set(float64(total))
	if total <= p.cfg.MaxRepeatIDs {
		return
	}
	top := largest.greatest + 1
	if total > 2*p.cfg.MaxRepeatIDs {
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
	if p.unwritten {
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
	return p.state != nil && !p.unwritten && p.state.from == p.state.pos && (err == nil || givenUp(err))
}

// givenUp says whether a partition ended because its drain did.
func givenUp(err error) bool {
	return errors.Is(err, context.Canceled) && !errors.Is(err, source.ErrFenced) && !isPanic(err)
}
