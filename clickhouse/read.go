package clickhouse

import (
	"context"
	"errors"
	"io"

	chgo "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"daybook/clickhouse/query"
)

// named makes a parameter that the server binds: never text of the statement.
func named(name string, value any) driver.NamedValue { return chgo.Named(name, value) }

// readSettings hold for every question of the read side. Large sorts and groups
// spill to disk, so that an export of any size stays within the engine's cap.
func readSettings() chgo.Settings {
	return chgo.Settings{
		"optimize_move_to_prewhere_if_final": 1,
		"max_bytes_before_external_sort":     200_000_000,
		"max_bytes_before_external_group_by": 200_000_000,
	}
}

// Query runs a question of package query. The answer must be closed. To give an
// answer up early cancel ctx: Close alone reads it to its end.
func (s *Store) Query(ctx context.Context, st query.Statement) (query.Rows, error) {
	settings, args := bind(st)
	rows, err := s.conn.Query(chgo.Context(ctx, chgo.WithSettings(settings)), st.Text, args...)
	if err != nil {
		return nil, wrap(ctx, "run query", err)
	}
	return answer{ctx: ctx, rows: rows}, nil
}

// bind gives a statement's settings and parameters as the driver takes them.
func bind(st query.Statement) (settings chgo.Settings, args []any) {
	for _, a := range st.Args {
		args = append(args, named(a.Name, a.Value))
	}
	settings = readSettings()
	if st.Threads > 0 {
		settings["max_threads"] = st.Threads
	}
	return settings, args
}

// Blocks runs a question and gives its answer in the format Native, not decoded: of
// the driver's revision, or of revision 0, if that is all that the server speaks. The
// answer must be closed. To give it up early cancel ctx.
func (s *Store) Blocks(ctx context.Context, st query.Statement) (io.ReadCloser, error) {
	settings, args := bind(st)
	stream, err := s.conn.QueryFormat(chgo.Context(ctx, chgo.WithSettings(settings)), "Native", st.Text, args...)
	if err != nil {
		return nil, wrap(ctx, "run query", err)
	}
	return &blocks{ctx: ctx, ReadCloser: stream}, nil
}

// blocks gives the driver's errors their kind.
type blocks struct {
	io.ReadCloser

	ctx context.Context //nolint:containedctx // as in answer
}

func (b *blocks) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = wrap(b.ctx, "read answer", err)
	}
	return n, err
}

func (b *blocks) Close() error { return wrap(b.ctx, "close answer", b.ReadCloser.Close()) }

// answer gives the driver's errors their kind.
type answer struct {
	ctx  context.Context //nolint:containedctx // tells a cancelled answer from a broken one; lives as long as the call
	rows driver.Rows
}

func (a answer) Next() bool             { return a.rows.Next() }
func (a answer) Scan(dest ...any) error { return wrap(a.ctx, "read answer", a.rows.Scan(dest...)) }
func (a answer) Err() error             { return wrap(a.ctx, "read answer", a.rows.Err()) }
func (a answer) Close() error           { return wrap(a.ctx, "close answer", a.rows.Close()) }

// Exec runs a statement without an answer, for maintenance and tests.
func (s *Store) Exec(ctx context.Context, sql string) error {
	return wrap(ctx, "run statement", s.conn.Exec(ctx, sql))
}
