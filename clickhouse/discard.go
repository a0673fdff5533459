package clickhouse

import (
	"context"

	"daybook/schemas"
)

// Discard makes rows as a Store does, encodes them and drops them: for benchmarks
// of all that lies before an insert.
type Discard struct{ encoders freeEncoders }

// NewDiscard makes one.
func NewDiscard() *Discard { return &Discard{newFreeEncoders()} }

// NewRows is Store.NewRows.
func (d *Discard) NewRows() schemas.Rows { return d.encoders.get() }

// WriteRows encodes the blocks that a Store would send, and gives their rows and bytes.
func (d *Discard) WriteRows(_ context.Context, rows schemas.Rows) (events, all, bytes int, err error) {
	e := rows.(*flushEncoder) //nolint:forcetypeassert // NewRows makes no other
	for _, b := range e.blocks() {
		if b.rows == 0 {
			continue
		}
		if err := b.encode(); err != nil {
			return 0, 0, 0, err
		}
		all, bytes = all+b.rows, bytes+b.native.size()
	}
	return e.events.rows, all, bytes, nil
}
