package source

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/zeebo/xxh3"
)

// A checkpoint is a run of records in the checkpoints topic, partition by
// partition the same as the events. Its chunks have the keys "ID/0", "ID/1" …;
// last comes "ID/end" with the pointer as value, so that a scan can find it
// when the committed offset is lost. Other checkpoints may lie between: a
// zombie writes, too.
const (
	chunkBytes = 900_000 // below the broker's limit of 1 MB with room for framing
	endKey     = "end"
)

// PointCheckpointHalf is the step between two records of a checkpoint: some of
// it is durable, and its last record, which makes it whole, is not.
const PointCheckpointHalf = "checkpoint.half"

// Points lists the steps of this package at which a test may kill, pause or
// fail the process (Config.Failpoint).
func Points() []string { return []string{PointCheckpointHalf} }

// WriteCheckpoint stores a snapshot that reflects the events of the partition
// below next, and returns when every chunk is acknowledged. The snapshot is
// opaque here; compress it before.
func (c *Client) WriteCheckpoint(ctx context.Context, partition int32, next int64, snapshot []byte) (Pointer, error) {
	p := PointerTo(snapshot)
	p.ID, p.Next = newCheckpointID(partition, next), next
	for i := range p.Chunks {
		offset, err := c.produceOne(ctx, c.cfg.CheckpointsTopic, partition, &Outgoing{
			Key: p.key(strconv.Itoa(i)), Value: snapshot[i*chunkBytes : min((i+1)*chunkBytes, len(snapshot))],
		})
		if err != nil {
			return Pointer{}, fmt.Errorf("write checkpoint %s: %w", p.ID, err)
		}
		if i == 0 {
			p.TopicOffset = offset
		}
		if err := c.cfg.Failpoint(PointCheckpointHalf); err != nil {
			return Pointer{}, fmt.Errorf("write checkpoint %s: %w", p.ID, err)
		}
	}
	// An empty snapshot has no chunk; then the last record is the first.
	offset, err := c.produceOne(ctx, c.cfg.CheckpointsTopic, partition, &Outgoing{Key: p.key(endKey), Value: []byte(p.String())})
	if err != nil {
		return Pointer{}, fmt.Errorf("write checkpoint %s: %w", p.ID, err)
	}
	if p.Chunks == 0 {
		p.TopicOffset = offset
	}
	return p, nil
}

// PointerTo says what a pointer says of a snapshot's bytes alone.
func PointerTo(snapshot []byte) Pointer {
	return Pointer{Sum: sumOf(snapshot), Bytes: int64(len(snapshot)), Chunks: (len(snapshot) + chunkBytes - 1) / chunkBytes}
}

func (p Pointer) key(part string) []byte { return []byte(p.ID + "/" + part) }

// newCheckpointID is unique over all workers; partition and position are there
// for people.
func newCheckpointID(partition int32, next int64) string {
	var unique [8]byte
	_, _ = rand.Read(unique[:]) // never fails
	return fmt.Sprintf("p%d-%d-%s", partition, next, hex.EncodeToString(unique[:]))
}

func sumOf(snapshot []byte) string {
	sum := xxh3.Hash128(snapshot).Bytes()
	return hex.EncodeToString(sum[:])
}

// maxCheckpointBytes bounds what a pointer may ask to be read. Snapshots are
// taken every 64 MB (ARCHITECTURE.md 4.7).
const maxCheckpointBytes = 4 << 30

// ReadCheckpoint gives the snapshot that a pointer names. Errors:
// ErrCheckpointDamaged if a chunk is missing or the checksum is another one.
func (c *Client) ReadCheckpoint(ctx context.Context, partition int32, p Pointer) ([]byte, error) {
	if p.Bytes > maxCheckpointBytes || int64(p.Chunks) != (p.Bytes+chunkBytes-1)/chunkBytes {
		return nil, fmt.Errorf("read checkpoint %s: %d bytes in %d chunks: %w", p.ID, p.Bytes, p.Chunks, ErrCheckpointDamaged)
	}
	snapshot, missing := []byte(nil), p.Chunks
	seen := make([]bool, p.Chunks)
	err := c.scan(ctx, place{c.cfg.CheckpointsTopic, partition, p.TopicOffset, true}, func(r *Record) (bool, error) {
		id, part, _ := strings.Cut(string(r.Key), "/")
		i, isChunk := chunkNumber(part)
		if id != p.ID || !isChunk || i >= p.Chunks || seen[i] {
			return missing > 0, nil
		}
		size := min(chunkBytes, p.Bytes-int64(i)*chunkBytes)
		if int64(len(r.Value)) != size {
			return false, fmt.Errorf("read checkpoint %s: chunk %d has %d bytes, want %d: %w", p.ID, i, len(r.Value), size, ErrCheckpointDamaged)
		}
		if snapshot == nil {
			snapshot = make([]byte, p.Bytes)
		}
		copy(snapshot[i*chunkBytes:], r.Value)
		seen[i] = true
		missing--
		return missing > 0, nil
	})
	switch {
	case err != nil:
		return nil, err
	case missing > 0:
		return nil, fmt.Errorf("read checkpoint %s: %d of %d chunks are missing: %w", p.ID, missing, p.Chunks, ErrCheckpointDamaged)
	case sumOf(snapshot) != p.Sum:
		return nil, fmt.Errorf("read checkpoint %s: checksum differs: %w", p.ID, ErrCheckpointDamaged)
	}
	return snapshot, nil
}

// chunkNumber reads the part of a key that numbers a chunk.
func chunkNumber(part string) (i int, ok bool) {
	i, err := strconv.Atoi(part)
	return i, err == nil && i >= 0
}

// Checkpoints lists the complete checkpoints of a partition by reading the
// whole topic partition, the greatest Next first. Whether the content is intact
// only ReadCheckpoint tells.
func (c *Client) Checkpoints(ctx context.Context, partition int32) ([]Pointer, error) {
	type found struct {
		pointer Pointer
		ended   bool
		first   int64
		chunks  map[int]int // number to length
	}
	byID := make(map[string]*found)
	err := c.scan(ctx, place{c.cfg.CheckpointsTopic, partition, -1, true}, func(r *Record) (bool, error) {
		id, part, ok := strings.Cut(string(r.Key), "/")
		if !ok {
			return true, nil
		}
		f := byID[id]
		if f == nil {
			f = &found{first: r.Offset, chunks: make(map[int]int)}
			byID[id] = f
		}
		if i, isChunk := chunkNumber(part); isChunk {
			delete(f.chunks, i)
			if r.Value != nil {
				f.chunks[i] = len(r.Value)
			}
			return true, nil
		}
		pointer, err := ParsePointer(string(r.Value))
		f.pointer, f.ended = pointer, part == endKey && err == nil && pointer.ID == id
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	var pointers []Pointer
	for _, f := range byID {
		bytes := 0
		for _, n := range f.chunks {
			bytes += n
		}
		if f.ended && len(f.chunks) == f.pointer.Chunks && int64(bytes) == f.pointer.Bytes {
			f.pointer.TopicOffset = f.first
			pointers = append(pointers, f.pointer)
		}
	}
	slices.SortFunc(pointers, func(a, b Pointer) int {
		return cmp.Or(cmp.Compare(b.Next, a.Next), cmp.Compare(b.TopicOffset, a.TopicOffset))
	})
	return pointers, nil
}

// DropCheckpoints deletes checkpoints, and everything that lies before them in
// the partition: what is to be kept must be newer. So what a killed worker left
// behind goes, too, which no tombstone would ever name. Tombstones are written
// for what is not cut off, the last record first: a half-dropped checkpoint is
// never listed.
func (c *Client) DropCheckpoints(ctx context.Context, partition int32, pointers []Pointer) error {
	if len(pointers) == 0 {
		return nil
	}
	newest := slices.MaxFunc(pointers, func(a, b Pointer) int { return cmp.Compare(a.TopicOffset, b.TopicOffset) })
	cut := true
	if err := c.deleteRecords(ctx, c.cfg.CheckpointsTopic, partition, newest.TopicOffset); err != nil {
		if ctx.Err() != nil {
			return err
		}
		cut = false // a topic that somebody made may allow tombstones only
	}
	for _, p := range pointers {
		if cut && p != newest {
			continue
		}
		if err := c.bury(ctx, partition, p); err != nil {
			return fmt.Errorf("drop checkpoint %s: %w", p.ID, err)
		}
	}
	return nil
}

// bury writes the tombstones of a checkpoint, all in one batch.
func (c *Client) bury(ctx context.Context, partition int32, p Pointer) error {
	e := c.encoder()
	defer c.encoded.Put(e)
	e.add(&Outgoing{Key: p.key(endKey)}, nowMs())
	for i := range p.Chunks {
		e.add(&Outgoing{Key: p.key(strconv.Itoa(i))}, nowMs())
	}
	_, err := c.send(ctx, c.cfg.CheckpointsTopic, partition, e, CompressionNone)
	return err
}
