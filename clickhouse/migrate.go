package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"daybook/clickhouse/ddl"
)

// Progress is told of each migration: before it is applied (done false) and
// after.
type Progress func(m ddl.Migration, done bool)

// Migrate brings the tables up to date: it makes the database if it is missing
// and applies, in order, the files that are not yet recorded. Forward only.
// Statements are idempotent (IF NOT EXISTS), so a run that was interrupted, or
// two runs at once, end in the same tables. An applied file whose text has
// changed is refused with ErrMigration before anything is done. It returns how
// many files it applied. progress may be nil.
func (s *Store) Migrate(ctx context.Context, progress Progress) (int, error) {
	all, err := ddl.All()
	if err != nil {
		return 0, err
	}
	if err := s.createDatabase(ctx); err != nil {
		return 0, err
	}
	if err := s.apply(ctx, all[0]); err != nil {
		return 0, err
	}
	pending, err := s.pending(ctx, all)
	if err != nil {
		return 0, err
	}
	for i, m := range pending {
		if progress != nil {
			progress(m, false)
		}
		if err := s.apply(ctx, m); err != nil {
			return i, err
		}
		if err := s.record(ctx, m); err != nil {
			return i, err
		}
		s.log.LogAttrs(ctx, slog.LevelInfo, "migration applied", slog.String("name", m.Name))
		if progress != nil {
			progress(m, true)
		}
	}
	return len(pending), nil
}

// createDatabase makes the database unless it is there: a user who may only work
// inside it need not be allowed to make one.
func (s *Store) createDatabase(ctx context.Context) error {
	var there uint64
	row := s.server.QueryRow(ctx, "SELECT count() FROM system.databases WHERE name = {name:String}", named("name", s.database))
	if err := row.Scan(&there); err != nil {
		return wrap(ctx, "look for database "+s.database, err)
	}
	if there > 0 {
		return nil
	}
	return wrap(ctx, "create database "+s.database, s.server.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+ddl.Quote(s.database)))
}

// pending compares the files with the table migrations.
func (s *Store) pending(ctx context.Context, all []ddl.Migration) ([]ddl.Migration, error) {
	rows, err := s.conn.Query(ctx, "SELECT version, name, checksum FROM migrations FINAL ORDER BY version LIMIT 100000")
	if err != nil {
		return nil, wrap(ctx, "read migrations", err)
	}
	applied := map[int]string{}
	newest := -1
	for rows.Next() {
		var (
			version        uint32
			name, checksum string
		)
		if err := rows.Scan(&version, &name, &checksum); err != nil {
			return nil, wrap(ctx, "read migrations", errors.Join(err, rows.Close()))
		}
		applied[int(version)], newest = checksum, int(version)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, wrap(ctx, "read migrations", err)
	}
	if newest >= len(all) {
		return nil, fmt.Errorf("migrate %s: %w: migration %d is applied but unknown here; a newer daybook made these tables, use that one",
			s.database, ErrMigration, newest)
	}
	var pending []ddl.Migration
	for _, m := range all {
		switch checksum, ok := applied[m.Version]; {
		case !ok:
			pending = append(pending, m)
		case checksum != m.Checksum:
			return nil, fmt.Errorf("migrate %s: %w: %s was applied with checksum %.12s and is now %.12s; restore the file and put the change into a new one",
				s.database, ErrMigration, m.Name, checksum, m.Checksum)
		}
	}
	return pending, nil
}

func (s *Store) apply(ctx context.Context, m ddl.Migration) error {
	statements, err := m.Statements(ddl.Vars{Database: s.database})
	if err != nil {
		return err
	}
	for i, statement := range statements {
		if err := s.conn.Exec(ctx, statement); err != nil {
			return wrap(ctx, fmt.Sprintf("apply migration %s statement %d", m.Name, i+1), err)
		}
	}
	return nil
}

func (s *Store) record(ctx context.Context, m ddl.Migration) error {
	// Applied after its statements: a crash between the two applies it again, which
	// changes nothing.
	err := s.conn.Exec(ctx, "INSERT INTO migrations SELECT {version:UInt32}, {name:String}, {checksum:String}, fromUnixTimestamp64Milli({at:Int64}, 'UTC')",
		named("version", uint32(m.Version)), named("name", m.Name), named("checksum", m.Checksum), named("at", time.Now().UnixMilli()))
	return wrap(ctx, "record migration "+m.Name, err)
}
