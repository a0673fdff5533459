package clickhouse

import (
	"context"

	"golang.org/x/sync/errgroup"

	"daybook/schemas"
)

// flushEncoder holds the rows of one flush as columns, a block a table. Its
// memory is used again.
type flushEncoder struct {
	home      freeEncoders
	partition int32 // of the flush

	events   *eventsBlock
	rejects  *rejectsBlock
	settings *settingsBlock
	facts    *factsBlock
	sessions *sessionsBlock
	slices   *slicesBlock
	users    *usersBlock
	progress *progressBlock
	ledger   *ledgerBlock
}

func newFlushEncoder(home freeEncoders) *flushEncoder {
	return &flushEncoder{
		home:   home,
		events: newEventsBlock(), rejects: newRejectsBlock(), settings: newSettingsBlock(), facts: newFactsBlock(),
		sessions: newSessionsBlock(), slices: newSlicesBlock(), users: newUsersBlock(),
		progress: newProgressBlock(), ledger: newLedgerBlock(),
	}
}

func (e *flushEncoder) blocks() []*block {
	return []*block{
		&e.events.block, &e.rejects.block, &e.settings.block, &e.facts.block, &e.sessions.block, &e.slices.block,
		&e.users.block, &e.progress.block, &e.ledger.block,
	}
}

func (e *flushEncoder) reset() {
	for _, b := range e.blocks() {
		b.reset()
	}
}

// Add implements schemas.Rows.
func (e *flushEncoder) Add(f *schemas.Flush) {
	e.partition = f.Partition
	each(f, f.Events, e.events.append)
	each(f, f.Rejects, e.rejects.append)
	each(f, f.Settings, e.settings.append)
	each(f, f.UserFacts, e.facts.append)
	each(f, f.Sessions, e.sessions.append)
	each(f, f.Slices, e.slices.append)
	each(f, f.Users, e.users.append)
	each(f, f.Progress, e.progress.append)
	each(f, f.Ledger, e.ledger.append)
}

func each[R any](f *schemas.Flush, rows []R, add func(*schemas.Flush, *R)) {
	for i := range rows {
		add(f, &rows[i])
	}
}

// What an idle encoder keeps is bounded: rows of events, and bytes of their largest
// column. Of one that has grown with a backlog, and was filled to less than a
// sparseth of that, nothing is kept.
const (
	keptRows  = 1 << 19
	keptBytes = 64 << 20
	fewRows   = 1 << 12
	sparse    = 8
)

// Release implements schemas.Rows.
func (e *flushEncoder) Release() {
	rows := cap(*e.events.offset)
	if rows > keptRows || rows > fewRows && e.events.rows < rows/sparse || cap(e.events.props.buf) > keptBytes {
		return
	}
	e.reset()
	select {
	case e.home <- e:
	default:
	}
}

// freeEncoders are those whose memory waits for the next flush: two a partition of
// a worker that owns eight. A sync.Pool is emptied by the garbage collector several
// times while one flush is filled, and growing the columns anew was a tenth of the
// worker's CPU (pprof of a worker behind a backlog).
type freeEncoders chan *flushEncoder

const keptEncoders = 16

func newFreeEncoders() freeEncoders { return make(freeEncoders, keptEncoders) }

// get gives an empty one.
func (f freeEncoders) get() *flushEncoder {
	select {
	case e := <-f:
		return e
	default:
		return newFlushEncoder(f)
	}
}

// NewRows gives the rows of a flush, none yet.
func (s *Store) NewRows() schemas.Rows {
	return s.encoders.get()
}

// Write is WriteRows for a flush that is held as a whole.
func (s *Store) Write(ctx context.Context, f *schemas.Flush) error {
	rows := s.NewRows()
	rows.Add(f)
	if err := s.WriteRows(ctx, rows); err != nil {
		return err // not released: a request that was given up may still read them
	}
	rows.Release()
	return nil
}

// The steps of WriteRows at which a test may kill, pause or fail the process
// (Options.Failpoint).
const (
	PointStoreEvents   = "store.events"   // the events are durable, nothing else of the flush is sent
	PointStoreSessions = "store.sessions" // what the state says of them is durable; progress and ledger are not sent
)

// Points lists them.
func Points() []string { return []string{PointStoreEvents, PointStoreSessions} }

// WriteRows makes every row durable and visible, then returns. It is
// idempotent: the same rows again, whole or in part, change nothing.
//
// The order is part of the guarantee. Events come first: the state is a cache
// of what they say, so a session must never be stored whose events are not.
// Progress and ledger come last: they say that everything below is there. What
// lies between depends on nothing of its own step and travels at once. A
// session's tombstone and what replaces it are one block, and so visible
// together.
//
// Transient errors are tried again until ctx ends; any other is returned
// (ErrPermanent), and rows before it may have been written.
func (s *Store) WriteRows(ctx context.Context, rows schemas.Rows) error {
	e := rows.(*flushEncoder) //nolint:forcetypeassert // NewRows makes no other
	s.flows.begin(e.partition)
	defer s.flushed(e.partition)
	if err := s.insert(ctx, &e.events.block); err != nil {
		return err
	}
	if err := s.fail(PointStoreEvents); err != nil {
		return err
	}
	if err := s.insertAll(ctx, &e.rejects.block, &e.settings.block, &e.facts.block, &e.sessions.block, &e.slices.block, &e.users.block); err != nil {
		return err
	}
	if err := s.fail(PointStoreSessions); err != nil {
		return err
	}
	return s.insertAll(ctx, &e.progress.block, &e.ledger.block)
}

// flushed says that nobody has to wait for one flush of a partition any more.
func (s *Store) flushed(partition int32) {
	s.flows.end(partition)
	s.groupsMu.Lock()
	defer s.groupsMu.Unlock()
	for _, g := range s.groups {
		g.look()
	}
}

// insertAll inserts blocks side by side. Each waits mostly for the disk.
func (s *Store) insertAll(ctx context.Context, blocks ...*block) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, b := range blocks {
		if b.rows > 0 {
			group.Go(func() error { return s.insert(ctx, b) })
		}
	}
	return group.Wait()
}
