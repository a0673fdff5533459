package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	chgo "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Store is the door to one database of ClickHouse. It is safe for concurrent
// use: each partition's worker writes through the same one.
type Store struct {
	conn     driver.Conn // in the database
	server   driver.Conn // without a database: creates it, and asks about the server
	database string
	log      *slog.Logger
	onInsert func(InsertStats)
	fail     func(point string) error
	encoders freeEncoders

	groupsMu sync.Mutex
	groups   map[string]*group // by table
	senders  sync.WaitGroup    // of the groups
	flows    flows
}

// oldestMajor is the first release whose ReplacingMergeTree, views with column
// comments and optimize_move_to_prewhere_if_final are what the tables need.
// Tested with 26.7 only.
const oldestMajor = 25

// Open connects, and asserts the server's version and the settings that
// writing relies on. It does not need the database to exist: Migrate makes it.
func Open(ctx context.Context, o Options) (*Store, error) {
	opts, database, err := o.driver()
	if err != nil {
		return nil, err
	}
	s := &Store{database: database, log: o.Log, onInsert: o.OnInsert, groups: map[string]*group{}, encoders: newFreeEncoders()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.fail = o.Failpoint; s.fail == nil {
		s.fail = func(string) error { return nil }
	}
	if s.server, err = chgo.Open(opts); err != nil {
		return nil, fmt.Errorf("open clickhouse: %w: %w", ErrAddress, err)
	}
	inside := *opts
	inside.Auth.Database = database
	if s.conn, err = chgo.Open(&inside); err != nil {
		return nil, fmt.Errorf("open clickhouse: %w", errors.Join(fmt.Errorf("%w: %w", ErrAddress, err), s.server.Close()))
	}
	if err := s.check(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close lets the connections go. Inserts must have returned.
func (s *Store) Close() error {
	s.senders.Wait()
	return errors.Join(s.conn.Close(), s.server.Close())
}

// Database gives the name of the database.
func (s *Store) Database() string { return s.database }

// check asserts what the rest relies on, as the server sees it. async_insert is
// on by default since 26.3: an acknowledged insert would not be durable.
func (s *Store) check(ctx context.Context) error {
	v, err := s.server.ServerVersion()
	if err != nil {
		return wrap(ctx, "ask clickhouse for its version", err)
	}
	if int(v.Version.Major) < oldestMajor {
		return fmt.Errorf("check clickhouse: %w: version %d.%d, want %d.1 or newer", ErrPermanent, v.Version.Major, v.Version.Minor, oldestMajor)
	}
	rows, err := s.server.Query(chgo.Context(ctx, chgo.WithSettings(insertSettings())),
		"SELECT name, value FROM system.settings WHERE name IN ('async_insert', 'max_partitions_per_insert_block', 'optimize_move_to_prewhere_if_final')")
	if err != nil {
		return wrap(ctx, "ask clickhouse for its settings", err)
	}
	found := map[string]string{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return wrap(ctx, "read settings", errors.Join(err, rows.Close()))
		}
		found[name] = value
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return wrap(ctx, "read settings", err)
	}
	for _, name := range []string{"async_insert", "max_partitions_per_insert_block"} {
		if found[name] != "0" {
			return fmt.Errorf("check clickhouse: %w: setting %s is %q for this user, want 0; allow the user to change it", ErrPermanent, name, found[name])
		}
	}
	if _, ok := found["optimize_move_to_prewhere_if_final"]; !ok {
		return fmt.Errorf("check clickhouse: %w: setting optimize_move_to_prewhere_if_final is unknown to this server", ErrPermanent)
	}
	return nil
}

// insertSettings hold for every insert of this package.
func insertSettings() chgo.Settings {
	return chgo.Settings{
		"async_insert":                    0, // else "acknowledged" does not mean durable
		"max_partitions_per_insert_block": 0, // history of many years may come in one flush
		"insert_deduplicate":              0, // tokens and windows carry no guarantee here
		// Merging a block with itself at insert cost the engine 4 µs a row more
		// (BenchmarkIngest: 6.7 against 2.5). FINAL and merges do it anyway.
		"optimize_on_insert": 0,
	}
}
