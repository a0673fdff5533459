package pipeline

import (
	"context"
	"fmt"

	"daybook/pipeline/source"
	"daybook/schemas"
)

// Store is where the rows go and where the state of a partition can be had
// again. The read side implements it; cmd hands it over.
type Store interface {
	// NewRows begins the rows of a flush.
	NewRows() schemas.Rows
	// WriteRows makes rows of NewRows durable and visible: all of them, or it gives
	// an error, and may be called again with the same rows, which changes nothing.
	WriteRows(ctx context.Context, rows schemas.Rows) error
	// StoredEvents yields the accepted events in the windows below an offset.
	StoredEvents(ctx context.Context, q schemas.EventsQuery, yield func(*schemas.StoredEvent) error) error
	// StoredRows yields what the tables show of sessions and slices, for a repair.
	StoredRows(ctx context.Context, q schemas.RowsQuery, yield func(*schemas.StoredRow) error) error
	// ColdState tells what is stored of a partition below an offset.
	ColdState(ctx context.Context, epoch uint16, partition int32, below int64) (*schemas.ColdState, error)
	// GapEnd gives the end of the recorded gap that an offset lies in; 0 if none.
	GapEnd(ctx context.Context, epoch uint16, partition int32, offset int64) (int64, error)
	// Ahead tells what is stored of a partition at or above an offset.
	Ahead(ctx context.Context, epoch uint16, partition int32, from int64) (*schemas.Ahead, error)
	// Report publishes what this worker knows of its partitions now.
	Report(ctx context.Context, statuses []schemas.PartitionStatus) error
}

// Log is what a partition's worker needs of Kafka; *source.Client has it.
type Log interface {
	Fetch(ctx context.Context, partition int32, offset int64) (*source.Chunk, error)
	ListOffsets(ctx context.Context, partition int32) (start, end int64, err error)
	WriteCheckpoint(ctx context.Context, partition int32, next int64, snapshot []byte) (source.Pointer, error)
	ReadCheckpoint(ctx context.Context, partition int32, p source.Pointer) ([]byte, error)
	Checkpoints(ctx context.Context, partition int32) ([]source.Pointer, error)
	DropCheckpoints(ctx context.Context, partition int32, pointers []source.Pointer) error
	Settings(ctx context.Context) ([]source.Setting, error)
	AppendControl(ctx context.Context, partition int32, value, signature []byte) (offset int64, err error)
	Marks(ctx context.Context, prefix string) ([]source.Mark, error)
	PutMark(ctx context.Context, key string, value []byte) error
}

// committer fences: a Generation has it.
type committer interface {
	Commit(ctx context.Context, partition int32, offset int64, metadata string) error
	// End gives the generation up: what was sent under it is refused from then on.
	End()
}

// Join makes the worker a member of the consumer group.
type Join func() (Group, error)

// Group is a membership: Next waits for the next generation, Close ends the
// present one, waits for its functions and leaves the group.
type Group interface {
	Next(ctx context.Context) (Generation, error)
	Close() error
}

// Generation is a time in which the member owns partitions; *source.Generation
// has it, and says what each method promises.
type Generation interface {
	committer
	Assignment() source.Assignment
	Context() context.Context
	Start(fn func(ctx context.Context))
	Committed(ctx context.Context) (map[int32]source.Committed, error)
}

// JoinGroup is the Join of a real group.
func JoinGroup(client *source.Client, cfg source.GroupConfig) Join {
	return func() (Group, error) {
		g, err := client.NewGroup(cfg)
		if err != nil {
			return nil, fmt.Errorf("join group: %w", err)
		}
		return kafkaGroup{g}, nil
	}
}

type kafkaGroup struct{ *source.Group }

func (g kafkaGroup) Next(ctx context.Context) (Generation, error) {
	gen, err := g.Group.Next(ctx)
	if err != nil {
		return nil, err
	}
	return gen, nil
}
