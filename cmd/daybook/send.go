package main

import (
	"context"
	"sync/atomic"

	"golang.org/x/time/rate"

	"daybook/pipeline/source"
)

// producer is what bringing records into Kafka needs of it: records of one
// partition keep their order, and their bytes are copied.
type producer interface {
	Send(ctx context.Context, r *source.Outgoing) error
	Acked() int64
	Close(ctx context.Context) error
}

// bulk is how a command produces much: batches of which a broker takes some
// hundred a second, compressed. On one machine compressing costs as much CPU as
// it saves on the way into the embedded broker, and saves half of the way out of
// it (BenchmarkReplay), and three quarters of the disk.
func bulk() source.ProducerConfig {
	return source.ProducerConfig{BatchBytes: 512 << 10, Compression: source.CompressionLZ4}
}

// How many records are let go at once.
const (
	sendRecords = 20_000
	paceRecords = 10_000 // of a paced one: what may wait is a small number of these
)

// sender hands records to a producer, no faster than it may. One goroutine owns
// it.
type sender struct {
	to      producer
	acked   *atomic.Int64 // records that Kafka has, for a meter
	limiter *rate.Limiter // nil: as fast as it goes
	pace    *pacer        // nil: whatever the workers do
	most    int           // records that are let go at once
	left    int           // of these
}

// newSender limits to perSecond records if that is not 0, and to what the
// workers take if pace is not nil.
func newSender(to producer, acked *atomic.Int64, perSecond int, pace *pacer) *sender {
	s := &sender{to: to, acked: acked, most: sendRecords, pace: pace}
	if pace != nil {
		s.most = paceRecords
	}
	if perSecond > 0 {
		// Ten times a second, so that a slow rate is smooth.
		s.most = min(s.most, max(1, perSecond/10))
		s.limiter = rate.NewLimiter(rate.Limit(perSecond), s.most)
	}
	return s
}

// add sends a record to its key's partition.
func (s *sender) add(ctx context.Context, r *source.Outgoing) error {
	if s.left == 0 {
		if s.limiter != nil {
			if err := s.limiter.WaitN(ctx, s.most); err != nil {
				return err
			}
		}
		s.pace.wait(s.most)
		s.left = s.most
		s.acked.Store(s.to.Acked())
	}
	s.left--
	r.Partition = -1
	return s.to.Send(ctx, r)
}

// finish returns when everything is acknowledged, or the first error.
func (s *sender) finish(ctx context.Context) error {
	err := s.to.Close(ctx)
	s.acked.Store(s.to.Acked())
	return err
}
