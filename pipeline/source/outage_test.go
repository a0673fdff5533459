package source_test

import (
	"errors"
	"testing"
	"time"

	"daybook/pipeline/broker"
	"daybook/pipeline/source"
)

// TestGroup_ComesBackAfterTheBrokerRestarted: what was committed is there, and
// the member works again without being made anew.
func TestGroup_ComesBackAfterTheBrokerRestarted(t *testing.T) {
	cfg := broker.Config{Dir: t.TempDir(), MinSession: 100 * time.Millisecond}
	b, err := broker.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Addr = b.Addrs()[0]
	c := open(t, b.Addrs(), nil)
	if err := c.EnsureTopics(t.Context(), source.TopicsConfig{Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	group, gen := join(t, c)
	if err := gen.Commit(t.Context(), 1, 7, "before"); err != nil {
		t.Fatal(err)
	}
	b.Close()
	<-gen.Context().Done()
	if b, err = broker.Start(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	next, err := group.Next(within(t, 30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	committed, err := next.Committed(t.Context())
	if err != nil || committed[1] != (source.Committed{Offset: 7, Metadata: "before"}) {
		t.Fatalf("committed %v, %v", committed, err)
	}
	if err := gen.Commit(t.Context(), 1, 8, "as before"); !errors.Is(err, source.ErrFenced) {
		t.Fatalf("the generation before commits: %v", err)
	}
	if err := next.Commit(t.Context(), 1, 8, "after"); err != nil {
		t.Fatal(err)
	}
	if err := group.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestProducer_FailsForGoodWhenTheBrokerIsGone(t *testing.T) {
	b, err := broker.Start(t.Context(), broker.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	c := open(t, b.Addrs(), func(cfg *source.Config) { cfg.RetryFor = 100 * time.Millisecond })
	if err := c.EnsureTopics(t.Context(), source.TopicsConfig{Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	p, err := c.NewProducer(t.Context(), source.ProducerConfig{BatchBytes: 1_000})
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	var failure error
	for failure == nil {
		failure = p.Send(t.Context(), &source.Outgoing{Value: make([]byte, 400)})
	}
	if !errors.Is(failure, source.ErrTransient) {
		t.Fatalf("send: %v", failure)
	}
	if err := p.Close(t.Context()); !errors.Is(err, source.ErrTransient) {
		t.Fatalf("close: %v", err)
	}
	if p.Acked() != 0 {
		t.Fatalf("acked %d", p.Acked())
	}
}
