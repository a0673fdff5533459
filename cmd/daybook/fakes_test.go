package main

import (
	"context"
	"errors"

	"daybook/pipeline/source"
)

var errBroken = errors.New("the broker is gone")

// failingProducer takes some records, then fails.
type failingProducer struct{ after, taken int64 }

func (f *failingProducer) Send(context.Context, *source.Outgoing) error {
	if f.taken == f.after {
		return errBroken
	}
	f.taken++
	return nil
}

func (f *failingProducer) Acked() int64 { return f.taken }

func (f *failingProducer) Close(context.Context) error {
	if f.taken == f.after {
		return errBroken
	}
	return nil
}
