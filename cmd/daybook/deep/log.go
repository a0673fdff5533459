package deep

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"daybook/clickhouse/query"
	"daybook/clickhouse/verify"
	"daybook/pipeline"
	"daybook/pipeline/reference"
	"daybook/pipeline/source"
	"daybook/schemas"
)

// history is a partition's log, as far as the tables reflect it, with what the
// tables must hold because of it.
type history struct {
	*reference.Result

	place   *verify.Place
	start   int64 // the log's: what is below it is given, not compared
	records []reference.Record
	given   map[int64]reference.Decoded // by offset, below start
	earlier map[verify.UserKey]struct{} // users with events of an earlier epoch
	flying  map[verify.UserKey]struct{} // users with events that are not published yet
	gaps    []gap
	aside   map[int64]bool // records that one behind the stored position sets aside
}

// read reads a partition's log and derives the tables from it.
func (r *run) read(ctx context.Context, p *verify.Place) (*history, error) {
	start, _, err := r.Log.ListOffsets(ctx, p.Partition)
	if err != nil {
		return nil, err
	}
	h := &history{
		place: p, start: min(start, p.Stored), given: map[int64]reference.Decoded{},
		earlier: map[verify.UserKey]struct{}{}, flying: map[verify.UserKey]struct{}{}, aside: map[int64]bool{},
	}
	if h.start > 0 {
		r.note("partition %d: the log begins at offset %d; what the tables say of the offsets below is taken as given", p.Partition, h.start)
	}
	for _, head := range []func(context.Context, *history) error{r.earlierEpochs, r.head, r.readGaps} {
		if err := head(ctx, h); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(h.records, func(a, b reference.Record) int { return cmp.Compare(a.Offset, b.Offset) })
	if err := r.fetch(ctx, h); err != nil {
		return nil, err
	}
	worker := r.Worker
	if p.OutOfOrderMs >= 0 { // what the workers had in force, not what is in ours
		worker.OutOfOrder = time.Duration(p.OutOfOrderMs) * time.Millisecond
	}
	rules := pipeline.Reference(worker, p.Partition)
	decode := rules.Decode
	if err := r.asides(ctx, h, decode); err != nil {
		return nil, err
	}
	rules.Decode = func(in *reference.Record) reference.Decoded {
		if h.aside[in.Offset] {
			return reference.Decoded{Reject: reference.Reject{Reason: schemas.HandlerPanic.String()}}
		}
		if d, ok := h.given[in.Offset]; ok && in.Offset < h.start {
			return d
		}
		return decode(in)
	}
	h.Result = reference.Tables(h.records, rules)
	return h, nil
}

// fetch appends the records of [start, stored). A record's bytes belong to the
// chunk, so they are copied.
func (r *run) fetch(ctx context.Context, h *history) error {
	for next := h.start; next < h.place.Stored; {
		c, err := r.Log.Fetch(ctx, h.place.Partition, next)
		if err != nil {
			return err
		}
		if c.Next == c.From {
			return fmt.Errorf("the log ends at offset %d, rows are stored up to %d", c.Next, h.place.Stored)
		}
		skips := c.Skips
		for i := range c.Records {
			in := &c.Records[i]
			for ; len(skips) > 0 && skips[0].From < in.Offset; skips = skips[1:] {
				h.skip(skips[0])
			}
			h.add(in)
		}
		for _, s := range skips {
			h.skip(s)
		}
		r.Read(min(c.Next, h.place.Stored) - next)
		next = c.Next
		c.Release()
	}
	return nil
}

// asides looks behind the stored position for records that set aside what is
// before it: a worker acts on one before it has read it.
func (r *run) asides(ctx context.Context, h *history, decode func(*reference.Record) reference.Decoded) error {
	_, end, err := r.Log.ListOffsets(ctx, h.place.Partition)
	if err != nil {
		return err
	}
	for next := h.place.Stored; next < end; {
		c, err := r.Log.Fetch(ctx, h.place.Partition, next)
		if err != nil {
			return err
		}
		for i := range c.Records {
			if in := &c.Records[i]; reference.IsControl(in.Headers) {
				if a := decode(&reference.Record{Offset: in.Offset, TimestampMs: in.TimestampMs, Key: in.Key, Value: in.Value, Headers: in.Headers}).SetAside; a != nil {
					h.aside[a.Offset] = true
				}
			}
		}
		if c.Next == c.From {
			return nil
		}
		next = c.Next
		c.Release()
	}
	return nil
}

func (h *history) add(in *source.Record) {
	if in.Offset >= h.place.Stored {
		return
	}
	if h.passed(in.Offset) {
		h.records = append(h.records, reference.Record{Offset: in.Offset, Skip: "gap"})
		return
	}
	out := reference.Record{Offset: in.Offset, TimestampMs: in.TimestampMs, Key: bytes.Clone(in.Key), Value: bytes.Clone(in.Value)}
	for _, header := range in.Headers {
		out.Headers = append(out.Headers, source.Header{Key: bytes.Clone(header.Key), Value: bytes.Clone(header.Value)})
	}
	h.records = append(h.records, out)
}

func (h *history) skip(s source.Skip) {
	for o := s.From; o < min(s.To, h.place.Stored); o++ {
		why := s.Why
		if h.passed(o) {
			why = "gap"
		}
		h.records = append(h.records, reference.Record{Offset: o, Skip: why})
	}
}

// record gives the record at an offset.
func (h *history) record(offset int64) *reference.Record {
	i, ok := slices.BinarySearchFunc(h.records, offset, func(r reference.Record, o int64) int { return cmp.Compare(r.Offset, o) })
	if !ok {
		return nil
	}
	return &h.records[i]
}

// at names a place's rows in a condition.
func at(p *verify.Place) []query.Arg {
	return []query.Arg{
		{Name: "topic", Value: p.Topic},
		{Name: "epoch", Value: p.Epoch},
		{Name: "partition", Value: p.Partition},
		{Name: "stored", Value: p.Stored},
		{Name: "published", Value: p.Published},
	}
}

// here is the condition on a place's rows.
const here = "topic = {topic:String} AND epoch = {epoch:UInt16} AND partition = {partition:Int32}"
