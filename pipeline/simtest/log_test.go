package simtest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"daybook/pipeline/source"
)

// partitionLog is one partition of the events topic: index is offset.
type partitionLog struct {
	entries []entry
	grown   chan struct{} // closed when something is added
}

// entry is a record, or an offset without one.
type entry struct {
	record source.Record
	skip   string
}

type setting struct {
	network  string
	value    []byte
	position int64
}

// checkpoint is one in the checkpoints topic; pointers count from the topic's
// start.
type checkpoint struct {
	partition int32
	pointer   source.Pointer
	data      []byte
	complete  bool
	damaged   bool
}

// append adds to a partition's log; the caller holds the lock.
func (w *world) append(partition int32, e entry) int64 {
	l := w.logs[partition]
	e.record.Offset = int64(len(l.entries))
	l.entries = append(l.entries, e)
	close(l.grown)
	l.grown = make(chan struct{})
	return e.record.Offset
}

// simLog is pipeline.Log as one incarnation sees it.
type simLog struct{ inc *incarnation }

func transient(what string) error {
	return fmt.Errorf("simulated: %s: %w", what, source.ErrTransient)
}

// call lets a request take its time and befall it what the plan says; the
// caller holds the lock afterwards, unless it gets an error.
func (a *actor) call(ctx context.Context, point string, lo, hi time.Duration) (do string, err error) {
	w := a.inc.w
	if err := a.nap(ctx, lo, hi); err != nil {
		return "", transient(point + ": " + err.Error())
	}
	w.mu.Lock()
	f := w.hit(a, point)
	if err := w.befall(a, f); err != nil {
		w.mu.Unlock()
		return "", transient(point + ": " + err.Error())
	}
	if f != nil {
		do = f.Do
		a.inc.faultFor = f.For
	}
	if paused := time.Until(a.inc.pausedUntil) > 0; paused {
		w.mu.Unlock()
		if err := a.stand(); err != nil {
			return "", transient(point + ": " + err.Error())
		}
		w.mu.Lock()
	}
	return do, nil
}

// Fetch implements pipeline.Log.
func (l simLog) Fetch(ctx context.Context, partition int32, offset int64) (*source.Chunk, error) {
	w, a := l.inc.w, l.inc.actor(partition, roleFetch)
	w.mu.Lock()
	grown := w.logs[partition].grown
	empty := offset >= int64(len(w.logs[partition].entries))
	w.mu.Unlock()
	if empty {
		timer := time.NewTimer(until(1500*time.Millisecond, a.residue))
		select {
		case <-grown:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	if _, err := a.call(ctx, pointFetch, time.Millisecond, 20*time.Millisecond); err != nil {
		return nil, err
	}
	defer w.mu.Unlock()
	return w.chunk(a, partition, offset), nil
}

// chunk cuts a chunk out of a log; the caller holds the lock.
func (w *world) chunk(a *actor, partition int32, offset int64) *source.Chunk {
	entries := w.logs[partition].entries
	end := int64(len(entries))
	c := &source.Chunk{From: offset, Next: offset, HighWatermark: end, LastStable: end}
	limit := 1 + int(a.draw()%uint64(w.plan.FetchRecords))
	if w.mutant == reordered && end-offset > 1 && a.draw()%8 == 0 {
		entries = slices.Clone(entries)
		x, y := &entries[offset], &entries[offset+1]
		*x, *y = *y, *x
		x.record.Offset, y.record.Offset = offset, offset+1
	}
	for ; c.Next < end && (len(c.Records) < limit || entries[c.Next].skip != ""); c.Next++ {
		e := &entries[c.Next]
		if e.skip == "" {
			c.Records = append(c.Records, e.record)
			continue
		}
		if n := len(c.Skips); n > 0 && c.Skips[n-1].To == c.Next && c.Skips[n-1].Why == e.skip {
			c.Skips[n-1].To++
			continue
		}
		c.Skips = append(c.Skips, source.Skip{From: c.Next, To: c.Next + 1, Why: e.skip})
	}
	return c
}

// ListOffsets implements pipeline.Log.
func (l simLog) ListOffsets(ctx context.Context, partition int32) (start, end int64, err error) {
	if _, err := l.inc.actor(partition, roleMain).call(ctx, pointListOffsets, time.Millisecond, 5*time.Millisecond); err != nil {
		return 0, 0, err
	}
	defer l.inc.w.mu.Unlock()
	return 0, int64(len(l.inc.w.logs[partition].entries)), nil
}

// WriteCheckpoint implements pipeline.Log. What is half written stays.
func (l simLog) WriteCheckpoint(ctx context.Context, partition int32, next int64, snapshot []byte) (source.Pointer, error) {
	w, a := l.inc.w, l.inc.actor(partition, roleSave)
	do, err := a.call(ctx, pointCheckpoint, time.Millisecond, 30*time.Millisecond)
	if err != nil {
		return source.Pointer{}, err
	}
	offset := w.topicEnd
	w.topicEnd += 2
	c := &checkpoint{partition: partition, data: snapshot, pointer: source.Pointer{
		ID: fmt.Sprintf("p%d-%d-%d", partition, next, offset), TopicOffset: offset, Chunks: 1, Bytes: 0, Sum: "x", Next: next,
	}}
	w.topic = append(w.topic, c)
	w.mu.Unlock()
	half, err := a.call(ctx, pointHalf, time.Millisecond, 30*time.Millisecond)
	if err != nil {
		return source.Pointer{}, err
	}
	defer w.mu.Unlock()
	c.complete = true
	w.note(a, "checkpoint %s", c.pointer.ID)
	if do == doAnswer || half == doAnswer {
		return source.Pointer{}, transient("the answer is lost")
	}
	return c.pointer, nil
}

// ReadCheckpoint implements pipeline.Log.
func (l simLog) ReadCheckpoint(ctx context.Context, partition int32, p source.Pointer) ([]byte, error) {
	w := l.inc.w
	if _, err := l.inc.actor(partition, roleMain).call(ctx, pointReadBack, time.Millisecond, 20*time.Millisecond); err != nil {
		return nil, err
	}
	defer w.mu.Unlock()
	for _, c := range w.topic {
		if c.pointer.ID == p.ID && c.complete && !c.damaged {
			return slices.Clone(c.data), nil
		}
	}
	return nil, fmt.Errorf("simulated: read %s: %w", p.ID, source.ErrCheckpointDamaged)
}

// Checkpoints implements pipeline.Log: the greatest Next first.
func (l simLog) Checkpoints(ctx context.Context, partition int32) ([]source.Pointer, error) {
	w := l.inc.w
	if _, err := l.inc.actor(partition, roleMain).call(ctx, pointList, time.Millisecond, 20*time.Millisecond); err != nil {
		return nil, err
	}
	defer w.mu.Unlock()
	var found []source.Pointer
	for _, c := range w.topic {
		if c.partition == partition && c.complete {
			found = append(found, c.pointer)
		}
	}
	slices.SortFunc(found, func(a, b source.Pointer) int {
		return cmp.Or(cmp.Compare(b.Next, a.Next), cmp.Compare(b.TopicOffset, a.TopicOffset))
	})
	return found, nil
}

// DropCheckpoints implements pipeline.Log: it cuts off everything up to the
// newest of them.
func (l simLog) DropCheckpoints(ctx context.Context, partition int32, pointers []source.Pointer) error {
	w := l.inc.w
	do, err := l.inc.actor(partition, roleSave).call(ctx, pointDrop, time.Millisecond, 10*time.Millisecond)
	if err != nil {
		return err
	}
	defer w.mu.Unlock()
	newest := slices.MaxFunc(pointers, func(a, b source.Pointer) int { return cmp.Compare(a.TopicOffset, b.TopicOffset) })
	w.topic = slices.DeleteFunc(w.topic, func(c *checkpoint) bool {
		return c.partition == partition && c.pointer.TopicOffset <= newest.TopicOffset
	})
	if do == doAnswer {
		return transient("the answer is lost")
	}
	return nil
}

// Settings implements pipeline.Log.
func (l simLog) Settings(ctx context.Context) ([]source.Setting, error) {
	w := l.inc.w
	if _, err := l.inc.here().call(ctx, pointSettings, time.Millisecond, 10*time.Millisecond); err != nil {
		return nil, err
	}
	defer w.mu.Unlock()
	var all []source.Setting
	for _, s := range w.settings {
		all = append(all, source.Setting{Network: s.network, Value: s.value, Position: s.position})
	}
	return all, nil
}

// AppendControl implements pipeline.Log.
func (l simLog) AppendControl(ctx context.Context, partition int32, value, signature []byte) (int64, error) {
	w, a := l.inc.w, l.inc.actor(partition, roleMain)
	do, err := a.call(ctx, pointControl, time.Millisecond, 10*time.Millisecond)
	if err != nil {
		return 0, err
	}
	defer w.mu.Unlock()
	offset := w.append(partition, entry{record: control(w.traffic.lastMs(), value, signature)})
	w.note(a, "appends control at %d", offset)
	if do == doAnswer {
		return 0, transient("the answer is lost")
	}
	return offset, nil
}

// Marks implements pipeline.Log.
func (l simLog) Marks(ctx context.Context, prefix string) ([]source.Mark, error) {
	w := l.inc.w
	if _, err := l.inc.here().call(ctx, pointMarks, time.Millisecond, 10*time.Millisecond); err != nil {
		return nil, err
	}
	defer w.mu.Unlock()
	var found []source.Mark
	for k, v := range w.marks {
		if strings.HasPrefix(k, prefix) {
			found = append(found, source.Mark{Key: k, Value: bytes.Clone(v)})
		}
	}
	slices.SortFunc(found, func(a, b source.Mark) int { return strings.Compare(a.Key, b.Key) })
	return found, nil
}

// PutMark implements pipeline.Log.
func (l simLog) PutMark(ctx context.Context, key string, value []byte) error {
	w := l.inc.w
	parts := strings.Split(key, "/")
	partition, err := strconv.Atoi(parts[2])
	if err != nil {
		return fmt.Errorf("a key without a partition: %w", err)
	}
	a := l.inc.actor(int32(partition), roleMain)
	do, err := a.call(ctx, pointMark, time.Millisecond, 10*time.Millisecond)
	if err != nil {
		return err
	}
	defer w.mu.Unlock()
	w.note(a, "marks %s %s", key, value)
	if value == nil {
		delete(w.marks, key)
	} else {
		w.marks[key] = bytes.Clone(value)
	}
	if do == doAnswer {
		return transient("the answer is lost")
	}
	return nil
}
