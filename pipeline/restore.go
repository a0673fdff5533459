package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/klauspost/compress/zstd"

	"daybook/pipeline/source"
)

// HaltError means that a partition must not go on by itself: a person decides.
// It names the remedy.
type HaltError struct {
	Partition int32
	Why       string
	Remedy    string
}

// Error implements error.
func (e *HaltError) Error() string {
	return fmt.Sprintf("halt partition %d: %s; %s", e.Partition, e.Why, e.Remedy)
}

// restored is a state with the checkpoint that it came from.
type restored struct {
	state   *state
	pointer source.Pointer   // zero after a cold start
	kept    []source.Pointer // valid or not, of this partition, the last written first
}

// restore finds where a partition resumes (ARCHITECTURE.md section 4.8):
// pointer → snapshot; else the snapshot before it; else a cold start from the
// stored rows at the ledger block of the committed offset.
func (p *partition) restore(ctx context.Context, committed source.Committed) (*restored, error) {
	at := committed.Offset
	if at >= 0 {
		pointer, err := source.ParsePointer(committed.Metadata)
		if err != nil || pointer.Next != at {
			return nil, &HaltError{p.id, fmt.Sprintf("offset %d was committed by somebody else (%q)", at, committed.Metadata), fmt.Sprintf("stop the workers and delete the group's offsets (kafka-consumer-groups.sh --delete-offsets --topic %s): the newest checkpoint then serves", p.cfg.Topic)}
		}
		r, err := p.snapshot(ctx, pointer)
		switch {
		case errors.Is(err, errOtherEpoch):
			at = -1 // it was an offset of another topic: nothing of this one was read
		case r != nil || err != nil:
			return r, err
		}
	}
	pointers, err := p.log.Checkpoints(ctx, p.id)
	if err != nil {
		return nil, fmt.Errorf("list checkpoints of partition %d: %w", p.id, err)
	}
	// The order of writing: dropping one cuts off what was written before it.
	kept := slices.SortedFunc(slices.Values(pointers), func(a, b source.Pointer) int { return cmp(b.TopicOffset, a.TopicOffset) })
	for _, pointer := range pointers {
		if at >= 0 && pointer.Next > at {
			continue
		}
		r, err := p.snapshot(ctx, pointer)
		if r != nil {
			r.kept = kept
			return r, nil
		}
		if err != nil && !errors.Is(err, errOtherEpoch) {
			return nil, err
		}
	}
	pos := max(at, 0)
	pos -= pos % p.rules.LedgerBlock
	stored, err := p.store.ColdState(ctx, p.cfg.Epoch, p.id, pos)
	if err != nil {
		return nil, fmt.Errorf("read stored state of partition %d: %w", p.id, err)
	}
	p.logger.InfoContext(ctx, "cold start", slog.Int64("offset", pos), slog.Int("networks", len(stored.Networks)))
	return &restored{state: coldStart(p.rules, p.cfg.Epoch, p.id, p.cfg.Partitions, pos, stored), kept: kept}, nil
}

// errOtherEpoch says that a checkpoint was made of another topic.
var errOtherEpoch = errors.New("checkpoint is of another epoch")

// snapshot reads one checkpoint; nil if it is missing, damaged, or of another
// number of partitions. An error means that it is of another epoch or could not
// be read now.
func (p *partition) snapshot(ctx context.Context, pointer source.Pointer) (*restored, error) {
	packed, err := p.log.ReadCheckpoint(ctx, p.id, pointer)
	if err == nil {
		var s *state
		if s, err = unpack(p.rules, packed); err == nil {
			if s.epoch != p.cfg.Epoch {
				return nil, errOtherEpoch
			}
			if s.partition == p.id && s.partitions == p.cfg.Partitions && s.pos == pointer.Next {
				return &restored{state: s, pointer: pointer, kept: []source.Pointer{pointer}}, nil
			}
			err = errors.New("it is of another partition or position")
		}
	}
	if errors.Is(err, source.ErrTransient) || ctx.Err() != nil {
		return nil, fmt.Errorf("read checkpoint of partition %d: %w", p.id, err)
	}
	p.logger.WarnContext(ctx, "checkpoint not usable", slog.String("checkpoint", pointer.ID), slog.String("error", err.Error()))
	p.metrics.checkpointsRefused.Inc()
	return nil, nil
}

// packWindow is how far back a snapshot's compression looks: the encoder holds twice that.
const packWindow = 512 << 10

// pack compresses the blocks of a snapshot, and what rest yields after them,
// for the checkpoints topic. It takes all blocks, also when ctx has ended.
// size is about what comes out: a buffer that grows by doubling holds three times as
// much while it is copied.
func pack(ctx context.Context, size int, blocks <-chan []byte, rest func(yield func([]byte))) ([]byte, error) {
	out := bytes.NewBuffer(make([]byte, 0, size))
	// The window is small because most of a snapshot are hashes, which nothing compresses.
	w, err := zstd.NewWriter(out, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(packWindow))
	if err != nil {
		return nil, fmt.Errorf("pack snapshot: %w", err)
	}
	write := func(b []byte) { // a buffer takes everything; Close says what else went wrong
		_, _ = w.Write(b)
	}
	for b := range blocks {
		write(b)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("pack snapshot: %w", err)
	}
	rest(write)
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack snapshot: %w", err)
	}
	return out.Bytes(), nil
}

// unpack rebuilds a state from a checkpoint.
func unpack(rules *Rules, packed []byte) (*state, error) {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(16<<30))
	if err != nil {
		return nil, fmt.Errorf("unpack snapshot: %w", err)
	}
	defer r.Close()
	raw, err := r.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("unpack snapshot: %w", err)
	}
	return readSnapshot(rules, raw)
}
