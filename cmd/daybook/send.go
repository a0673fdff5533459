package main

import (
	"context"
	"sync/atomic"

	"golang.org/x/time/rate"

	"daybook/pipeline/source"
)

// producer is what bringing records into Kafka needs of it.
type producer interface {
	Produce(ctx context.Context, records []source.Outgoing) error
}

// Sizes of a batch: a dozen partitions get near a megabyte each.
const (
	sendRecords = 20_000
	paceRecords = 10_000 // of a paced one: what may wait is a small number of these, and a produce takes 0.1 s on a busy disk
	sendBytes   = 8 << 20
)

// sender batches records and produces a batch while the next one is filled.
// The order is kept: one batch is in flight at a time. One goroutine owns it.
type sender struct {
	to      producer
	acked   *atomic.Int64 // records that Kafka has
	limiter *rate.Limiter // nil: as fast as it goes
	pace    *pacer        // nil: whatever the workers do
	most    int

	batch  []source.Outgoing
	bytes  int
	flight chan error // of the batch in flight; nil if there is none
	sent   int64
}

// newSender limits to perSecond records if that is not 0, and to what the
// workers take if pace is not nil.
func newSender(to producer, acked *atomic.Int64, perSecond int, pace *pacer) *sender {
	s := &sender{to: to, acked: acked, most: sendRecords, pace: pace}
	if pace != nil {
		s.most = paceRecords
	}
	if perSecond > 0 {
		// Ten batches a second, so that a slow rate is smooth.
		s.most = min(s.most, max(1, perSecond/10))
		s.limiter = rate.NewLimiter(rate.Limit(perSecond), s.most)
	}
	return s
}

// add takes a record; its bytes are the sender's from now on.
func (s *sender) add(ctx context.Context, r source.Outgoing) error {
	r.Partition = -1
	s.batch = append(s.batch, r)
	s.bytes += len(r.Key) + len(r.Value)
	if len(s.batch) < s.most && s.bytes < sendBytes {
		return nil
	}
	return s.push(ctx)
}

// push waits for the batch before, then sends this one.
func (s *sender) push(ctx context.Context) error {
	if err := s.wait(); err != nil {
		return err
	}
	if len(s.batch) == 0 {
		return nil
	}
	if s.limiter != nil {
		if err := s.limiter.WaitN(ctx, len(s.batch)); err != nil {
			return err
		}
	}
	s.pace.wait(len(s.batch))
	batch, flight := s.batch, make(chan error, 1) // one result, whether anyone waits or not
	s.batch, s.bytes, s.flight = make([]source.Outgoing, 0, len(batch)), 0, flight
	s.sent += int64(len(batch))
	go func() {
		err := s.to.Produce(ctx, batch)
		if err == nil {
			s.acked.Add(int64(len(batch)))
		}
		flight <- err
	}()
	return nil
}

func (s *sender) wait() error {
	if s.flight == nil {
		return nil
	}
	err := <-s.flight
	s.flight = nil
	return err
}

// finish sends the rest and returns when everything is acknowledged, or the
// first error. It always waits for what is in flight.
func (s *sender) finish(ctx context.Context) error {
	err := s.push(ctx)
	if werr := s.wait(); err == nil {
		err = werr
	}
	return err
}
