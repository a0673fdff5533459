package source

import (
	"context"
	"encoding/binary"
	"math"
	"slices"
)

// Tape is the log of one partition in memory, in the record batches in which a
// broker would send it: for benchmarks of what follows a fetch.
type Tape struct {
	FetchBytes int // compressed, of one fetch

	log     []byte  // batches
	starts  []int   // of the batches in log
	offsets []int64 // first ones of the batches
	end     int64
	encoder encoder
	codecs  codecs
	chunks  chan *Chunk
}

// NewTape makes an empty tape.
func NewTape(fetchBytes int) *Tape {
	return &Tape{FetchBytes: fetchBytes, chunks: make(chan *Chunk, 4)}
}

// Append adds records as one batch.
func (t *Tape) Append(records []Outgoing, compression Compression) error {
	t.encoder.reset()
	for i := range records {
		t.encoder.add(&records[i], records[i].TimeMs)
	}
	batch, err := t.encoder.finish(compression)
	if err != nil {
		return err
	}
	t.starts, t.offsets = append(t.starts, len(t.log)), append(t.offsets, t.end)
	t.log = append(t.log, batch...)
	binary.BigEndian.PutUint64(t.log[len(t.log)-len(batch)+atBaseOffset:], uint64(t.end))
	t.end += int64(len(records))
	return nil
}

// End gives the offset behind the last record.
func (t *Tape) End() int64 { return t.end }

// Bytes gives the size of all batches.
func (t *Tape) Bytes() int { return len(t.log) }

// Fetch reads as Client.Fetch does. At the end it waits for ctx.
func (t *Tape) Fetch(ctx context.Context, _ int32, offset int64) (*Chunk, error) {
	if offset >= t.end {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	chunk := new(Chunk)
	select {
	case chunk = <-t.chunks:
	default:
	}
	chunk.reset(offset)
	i, found := slices.BinarySearch(t.offsets, offset)
	if !found {
		i--
	}
	from := t.starts[i]
	lim := limits{chunkBytes: 2 << 20, chunkRecords: 65_536, batchBytes: 64 << 20, end: math.MaxInt64}
	if _, err := chunk.parse(t.log[from:min(from+t.FetchBytes, len(t.log))], nil, lim, &t.codecs); err != nil {
		return nil, err
	}
	chunk.LastStable, chunk.release = t.end, func(c *Chunk) { t.chunks <- c }
	return chunk, nil
}
