package e2e

import (
	"context"
	bigendian "encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"daybook/pipeline/source"
)

// damageCheckpoints kills every worker, damages what the committed pointers
// lead to, and lets the workers find out: a bit that flipped on the broker's
// disk under a right batch checksum, a snapshot that is cut short, one that is
// no snapshot at all, or every checkpoint gone.
func (c *chaos) damageCheckpoints(rng *rand.Rand) error {
	for i := range c.workers {
		c.workers[i].Lock()
		defer c.workers[i].Unlock()
	}
	c.kafka.Lock()
	defer c.kafka.Unlock()
	var errs []error
	for _, w := range c.site.workers {
		errs = append(errs, w.end(syscall.SIGKILL))
	}
	how := []struct {
		name string
		do   func(context.Context, *rand.Rand, int32) (bool, error)
	}{
		{"flipped", c.flipCheckpoint}, {"cut", c.cutCheckpoint}, {"replaced by noise", c.noiseCheckpoint}, {"deleted, all", c.dropCheckpoints},
	}[rng.IntN(4)]
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if how.name == "flipped" && c.site.broker == nil {
		how.name, how.do = "cut", c.cutCheckpoint
	}
	if how.name == "flipped" {
		errs = append(errs, c.site.broker.end(syscall.SIGKILL))
	}
	for p := range c.site.cfg.partitions {
		done, err := how.do(ctx, rng, int32(p))
		if done {
			c.count("  checkpoints " + how.name)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s, partition %d: %w", how.name, p, err))
		}
	}
	if how.name == "flipped" {
		errs = append(errs, c.site.broker.start())
	}
	for _, w := range c.site.workers {
		errs = append(errs, w.start())
	}
	return errors.Join(errs...)
}

// committed gives what the partition's pointer leads to; false without one.
func (c *chaos) committed(ctx context.Context, partition int32) (p source.Pointer, found bool, err error) {
	all, err := c.site.client.Committed(ctx, []int32{partition})
	if err != nil || all[partition].Offset < 0 {
		return p, false, err
	}
	p, err = source.ParsePointer(all[partition].Metadata)
	return p, err == nil, err
}

// point commits a pointer from outside, when the killed workers' sessions have
// ended. An answer that was lost, by a connection that an earlier fault left
// behind, is asked for again: nobody else commits now.
func (c *chaos) point(ctx context.Context, partition int32, p source.Pointer) error {
	for {
		err := c.site.client.ResetCommitted(ctx, partition, p.Next, p.String())
		if !errors.Is(err, source.ErrFenced) && !errors.Is(err, source.ErrTransient) || ctx.Err() != nil {
			return err
		}
		wait(ctx, 100*time.Millisecond)
	}
}

// cutCheckpoint commits a pointer to the same snapshot of which only half was
// written.
func (c *chaos) cutCheckpoint(ctx context.Context, _ *rand.Rand, partition int32) (bool, error) {
	good, found, err := c.committed(ctx, partition)
	if !found {
		return false, err
	}
	snapshot, err := c.site.client.ReadCheckpoint(ctx, partition, good)
	if errors.Is(err, source.ErrCheckpointDamaged) {
		return false, nil // by the one before
	}
	if err != nil {
		return false, err
	}
	half, err := c.site.client.WriteCheckpoint(ctx, partition, good.Next, snapshot[:len(snapshot)/2])
	if err != nil {
		return false, err
	}
	good.ID, good.TopicOffset = half.ID, half.TopicOffset
	return true, c.point(ctx, partition, good)
}

// noiseCheckpoint commits a pointer to bytes whose checksum is right and that
// are no snapshot.
func (c *chaos) noiseCheckpoint(ctx context.Context, rng *rand.Rand, partition int32) (bool, error) {
	good, found, err := c.committed(ctx, partition)
	if !found {
		return false, err
	}
	noise := make([]byte, 1000+rng.IntN(2_000_000))
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	bad, err := c.site.client.WriteCheckpoint(ctx, partition, good.Next, noise)
	if err != nil {
		return false, err
	}
	return true, c.point(ctx, partition, bad)
}

// dropCheckpoints deletes every checkpoint of the partition.
func (c *chaos) dropCheckpoints(ctx context.Context, _ *rand.Rand, partition int32) (bool, error) {
	all, err := c.site.client.Checkpoints(ctx, partition)
	if err != nil || len(all) == 0 {
		return false, err
	}
	return true, c.site.client.DropCheckpoints(ctx, partition, all)
}

// flipCheckpoint changes a byte of the newest snapshot in the broker's file
// while the broker is down, and makes the batch's checksum right again, as a
// disk below the file system would not.
func (c *chaos) flipCheckpoint(_ context.Context, rng *rand.Rand, partition int32) (bool, error) {
	dir := filepath.Join(c.site.dir, "broker", "kafka", "partitions", "daybook.checkpoints-"+strconv.Itoa(int(partition)))
	files, err := filepath.Glob(filepath.Join(dir, "*.dat"))
	if err != nil || len(files) == 0 {
		return false, err
	}
	newest := files[0]
	for _, f := range files[1:] {
		if len(f) > len(newest) || len(f) == len(newest) && f > newest {
			newest = f
		}
	}
	raw, err := os.ReadFile(newest)
	if err != nil {
		return false, err
	}
	batch := largestOfLast(raw, 6)
	if batch == nil {
		return false, nil
	}
	// Behind the header (61 bytes), the record's own and its key: in the value.
	batch[200+rng.IntN(len(batch)-220)] ^= 1 << rng.IntN(8)
	bigendian.BigEndian.PutUint32(batch[17:], crc32.Checksum(batch[21:], crc32.MakeTable(crc32.Castagnoli)))
	return true, os.WriteFile(newest, raw, 0o600)
}

// largestOfLast finds the last n whole batches of a segment and gives the last
// one that is large enough to hold a snapshot.
func largestOfLast(raw []byte, n int) []byte {
	var batches [][]byte
	for rest := raw; len(rest) >= 61; {
		size := 12 + int(bigendian.BigEndian.Uint32(rest[8:]))
		if size > len(rest) {
			break // torn by the kill
		}
		batches = append(batches, rest[:size])
		rest = rest[size:]
	}
	for i := len(batches) - 1; i >= max(0, len(batches)-n); i-- {
		if len(batches[i]) > 400 {
			return batches[i]
		}
	}
	return nil
}
