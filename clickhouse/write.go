package clickhouse

import (
	"context"

	"golang.org/x/sync/errgroup"

	"daybook/schemas"
)

// flushEncoder holds the blocks of one flush; its memory is used again.
type flushEncoder struct {
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

func newFlushEncoder() *flushEncoder {
	return &flushEncoder{
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

// fill encodes the flush into columns; the bytes of its events are copied.
func (e *flushEncoder) fill(f *schemas.Flush) {
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

// keptBytes bounds what an idle encoder keeps of its largest block.
const keptBytes = 64 << 20

// The steps of Write at which a test may kill, pause or fail the process
// (Options.Failpoint).
const (
	PointStoreEvents   = "store.events"   // the events are durable, nothing else of the flush is sent
	PointStoreSessions = "store.sessions" // what the state says of them is durable; progress and ledger are not sent
)

// Points lists them.
func Points() []string { return []string{PointStoreEvents, PointStoreSessions} }

// Write makes every row of the flush durable and visible, then returns. It is
// idempotent: the same flush again, whole or in part, changes nothing.
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
func (s *Store) Write(ctx context.Context, f *schemas.Flush) error {
	e := s.encoders.Get().(*flushEncoder) //nolint:forcetypeassert // New makes no other
	e.reset()
	e.fill(f)
	err := s.writeSteps(ctx, e)
	if cap(e.events.buf.Buf) <= keptBytes {
		s.encoders.Put(e)
	}
	return err
}

func (s *Store) writeSteps(ctx context.Context, e *flushEncoder) error {
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
