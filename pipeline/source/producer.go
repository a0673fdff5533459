package source

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"daybook/schemas"
)

// ProducerConfig bounds a Producer. The zero value has defaults.
type ProducerConfig struct {
	BatchBytes  int           // of a batch before it is sent; 256 KB, at most MaxBatchBytes
	Linger      time.Duration // how long a record waits for company; 20 ms
	Compression Compression
}

// Producer writes many records to the events topic, batch after batch, with
// acks=all. Each partition has a lane: one batch that is being filled and one
// that is under way, so memory is at most 2 × BatchBytes × partitions and
// records of a partition keep their order. It is safe for concurrent use.
type Producer struct {
	client *Client
	cfg    ProducerConfig
	lanes  []*lane
	acked  atomic.Int64
	failed atomic.Pointer[error]
	stop   context.CancelCauseFunc
	ctx    context.Context //nolint:containedctx // the lifetime of the lanes; ends with Close or the context of NewProducer.
	done   sync.WaitGroup
}

// lane is one partition's way out. Two encoders go round: filling → full →
// (lane's goroutine) → empty → filling.
type lane struct {
	partition int32
	full      chan *encoder // unbuffered: a busy lane holds the sender back
	empty     chan *encoder // of size one: of two encoders, one is always being filled

	mu      sync.Mutex
	filling *encoder
	nowMs   int64 // when the batch that is being filled got its first record
}

var errProducerClosed = errors.New("producer is closed")

// NewProducer opens a producer on the events topic. When ctx ends, everything
// that was not acknowledged is given up.
func (c *Client) NewProducer(ctx context.Context, cfg ProducerConfig) (*Producer, error) {
	setDefault(&cfg.BatchBytes, 256<<10)
	setDefault(&cfg.Linger, 20*time.Millisecond)
	cfg.BatchBytes = min(cfg.BatchBytes, MaxBatchBytes)
	count, err := c.Partitions(ctx, c.cfg.EventsTopic)
	if err != nil {
		return nil, err
	}
	p := &Producer{client: c, cfg: cfg}
	p.ctx, p.stop = context.WithCancelCause(ctx)
	for i := range count {
		l := &lane{partition: int32(i), full: make(chan *encoder), empty: make(chan *encoder, 1), filling: c.encoder()}
		l.empty <- c.encoder()
		p.lanes = append(p.lanes, l)
		p.done.Go(func() { p.drain(l) })
	}
	p.done.Go(p.linger)
	return p, nil
}

// Partitions is how many partitions records are spread over.
func (p *Producer) Partitions() int { return len(p.lanes) }

// Acked counts the records that all replicas have acknowledged.
func (p *Producer) Acked() int64 { return p.acked.Load() }

// Send takes a record; its bytes are copied. It blocks while its partition's
// lane is busy. Errors: ErrRecordTooLarge, which concerns this record alone; or
// the first failure of any batch, after which the producer is useless.
func (p *Producer) Send(ctx context.Context, out *Outgoing) error {
	if err := p.failure(); err != nil {
		return err
	}
	partition := out.Partition
	if partition < 0 {
		partition = schemas.Partition(out.Key, len(p.lanes))
	}
	if int(partition) >= len(p.lanes) {
		return ErrUnknownPartition
	}
	if recordBytes(out) > maxRecordBytes {
		return ErrRecordTooLarge
	}
	l := p.lanes[partition]
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.filling.count > 0 && l.filling.size(out) > p.cfg.BatchBytes {
		if err := p.handOver(ctx, l); err != nil {
			return err
		}
	}
	if l.filling.count == 0 {
		l.nowMs = nowMs() // once a batch: asking costs as much as a short record
	}
	l.filling.add(out, timeOr(out.TimeMs, l.nowMs))
	return nil
}

// handOver gives the lane its batch and takes the empty one. The caller holds
// l.mu.
func (p *Producer) handOver(ctx context.Context, l *lane) error {
	select {
	case l.full <- l.filling:
		l.filling = <-l.empty // there: the lane's goroutine was idle
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-p.ctx.Done():
		return p.ended()
	}
}

// drain sends one lane's batches.
func (p *Producer) drain(l *lane) {
	for {
		select {
		case <-p.ctx.Done():
			return
		case e := <-l.full:
			count := int64(e.count)
			if _, err := p.client.send(p.ctx, p.client.cfg.EventsTopic, l.partition, e, p.cfg.Compression); err != nil {
				p.fail(err)
				return
			}
			p.acked.Add(count)
			e.reset()
			l.empty <- e
		}
	}
}

// linger sends what has waited long enough. A lane that is locked is being
// filled and needs no help.
func (p *Producer) linger() {
	ticker := time.NewTicker(p.cfg.Linger)
	defer ticker.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-ticker.C:
		}
		for _, l := range p.lanes {
			if !l.mu.TryLock() {
				continue
			}
			if l.filling.count > 0 {
				select {
				case l.full <- l.filling:
					l.filling = <-l.empty
				default:
				}
			}
			l.mu.Unlock()
		}
	}
}

// Flush returns when everything that was sent before is acknowledged.
func (p *Producer) Flush(ctx context.Context) error {
	for _, l := range p.lanes {
		if err := p.flushLane(ctx, l); err != nil {
			return err
		}
	}
	return p.failure()
}

func (p *Producer) flushLane(ctx context.Context, l *lane) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.filling.count > 0 {
		if err := p.handOver(ctx, l); err != nil {
			return err
		}
	}
	select { // the other batch comes back when it is acknowledged
	case e := <-l.empty:
		l.empty <- e
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-p.ctx.Done():
		return p.ended()
	}
}

// Close flushes and stops. After an error some records may not be in the log.
func (p *Producer) Close(ctx context.Context) error {
	err := p.Flush(ctx)
	p.stop(errProducerClosed)
	p.done.Wait()
	return err
}

func (p *Producer) fail(err error) {
	p.failed.CompareAndSwap(nil, &err)
	p.stop(err)
}

func (p *Producer) failure() error {
	if err := p.failed.Load(); err != nil {
		return *err
	}
	if p.ctx.Err() != nil {
		return context.Cause(p.ctx)
	}
	return nil
}

func (p *Producer) ended() error {
	if err := p.failure(); err != nil {
		return err
	}
	return errProducerClosed
}
