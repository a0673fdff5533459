package main

import (
	"context"
	"errors"
	"sync/atomic"

	"daybook/pipeline/source"
)

var errBroken = errors.New("the broker is gone")

// failingProducer takes some batches, then fails.
type failingProducer struct {
	after int64
	calls atomic.Int64
}

func (f *failingProducer) Produce(context.Context, []source.Outgoing) error {
	if f.calls.Add(1) > f.after {
		return errBroken
	}
	return nil
}
