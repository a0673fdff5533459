package source

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/segmentio/kafka-go"
)

// Backoff between two attempts: doubled from the first to the second, each
// wait drawn from its upper half. Not measured: a leader moves in seconds.
const (
	firstBackoff = 20 * time.Millisecond
	lastBackoff  = time.Second
)

// retry runs try until it succeeds, fails for good, the context ends, or
// Config.RetryFor (FullFor, if a disk is full) has passed; then the error is ErrTransient. It is the one
// retry loop of this door.
func (c *Client) retry(ctx context.Context, op string, try func(context.Context) error) error {
	var (
		begin   = time.Now()
		backoff = firstBackoff
	)
	for {
		err := try(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case permanent(err):
			return fmt.Errorf("%s: %w", op, err)
		case time.Since(begin) > c.patience(err):
			return fmt.Errorf("%s: %w: %w", op, ErrTransient, err)
		}
		c.cfg.OnRetry(op, err)
		if err := pause(ctx, backoff/2+rand.N(backoff/2)); err != nil {
			return err
		}
		backoff = min(2*backoff, lastBackoff)
	}
}

// patience is how long an error is borne.
func (c *Client) patience(err error) time.Duration {
	if errors.Is(err, kafka.KafkaStorageError) {
		return max(c.cfg.FullFor, c.cfg.RetryFor)
	}
	return c.cfg.RetryFor
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
