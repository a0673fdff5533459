package source_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"daybook/pipeline/broker/brokertest"
	"daybook/pipeline/source"
)

// TestGroup_ZombiesCommitIsFenced is ARCHITECTURE.md 4.7: the commit is the
// fence. The first member drains too long and wakes in a newer generation.
func TestGroup_ZombiesCommitIsFenced(t *testing.T) {
	c := openWithTopics(t, 4)
	_, first := join(t, c)
	if got := first.Partitions; !slices.Equal(got, []int32{0, 1, 2, 3}) {
		t.Fatalf("alone, a member owns %v", got)
	}
	release := make(chan struct{})
	first.Start(func(context.Context) { <-release }) // a drain that keeps the member from joining
	t.Cleanup(func() { close(release) })
	if err := first.Commit(t.Context(), 0, 10, "while owning"); err != nil {
		t.Fatal(err)
	}
	_, second := join(t, c) // waits until the first is thrown out
	if second.ID <= first.ID {
		t.Fatalf("generation %d after %d", second.ID, first.ID)
	}
	if !errors.Is(context.Cause(first.Context()), source.ErrGenerationEnded) {
		t.Fatalf("first context: %v", context.Cause(first.Context()))
	}
	if err := first.Commit(t.Context(), 0, 20, "as zombie"); !errors.Is(err, source.ErrFenced) {
		t.Fatalf("zombie: %v", err)
	}
	committed, err := second.Committed(t.Context())
	if err != nil || committed[0].Offset != 10 || committed[0].Metadata != "while owning" {
		t.Fatalf("committed %v, %v", committed, err)
	}
}

func TestGroup_RebalanceIsStickyAndWaitsForTheDrain(t *testing.T) {
	c := openWithTopics(t, 4)
	groupA, a := join(t, c)
	drained := make(chan struct{})
	a.Start(func(ctx context.Context) {
		<-ctx.Done()
		// A commit is accepted while the group prepares the rebalance.
		if err := a.Commit(context.WithoutCancel(ctx), 0, 5, "drained"); err != nil {
			t.Errorf("commit in drain: %v", err)
		}
		close(drained)
	})
	groupB, b := join(t, c)
	<-drained
	a2, err := groupA.Next(within(t, 20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	both := slices.Sorted(slices.Values(slices.Concat(a2.Partitions, b.Partitions)))
	if a2.ID != b.ID || len(a2.Partitions) != 2 || !slices.Equal(both, []int32{0, 1, 2, 3}) {
		t.Fatalf("generations %d and %d: %v and %v", a2.ID, b.ID, a2.Partitions, b.Partitions)
	}
	if err := groupB.Close(); err != nil {
		t.Fatal(err)
	}
	a3, err := groupA.Next(within(t, 20*time.Second))
	if err != nil || len(a3.Partitions) != 4 {
		t.Fatalf("after the other left: %+v, %v", a3, err)
	}
	if _, err := groupB.Next(t.Context()); !errors.Is(err, source.ErrClosed) {
		t.Fatalf("next of a closed group: %v", err)
	}
}

func TestGroup_EndedFunctionKeepsTheGeneration(t *testing.T) {
	c := openWithTopics(t, 2)
	group, gen := join(t, c)
	returned := make(chan struct{})
	gen.Start(func(context.Context) { close(returned) }) // a partition that halts
	<-returned
	if err := gen.Commit(t.Context(), 1, 1, ""); err != nil {
		t.Fatal(err)
	}
	if err := gen.Context().Err(); err != nil {
		t.Fatalf("generation ended: %v", err)
	}
	gen.End()
	next, err := group.Next(within(t, 20*time.Second))
	if err != nil || len(next.Partitions) != 2 {
		t.Fatalf("after End: %+v, %v", next, err)
	}
}

// TestGroup_PartitionGrowthEndsTheGeneration is ARCHITECTURE.md 4.11.
func TestGroup_PartitionGrowthEndsTheGeneration(t *testing.T) {
	brokers := brokertest.Start(t)
	var topic string
	c := open(t, brokers, func(cfg *source.Config) { topic = cfg.EventsTopic })
	if err := c.EnsureTopics(t.Context(), source.TopicsConfig{Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	group, gen := join(t, c)
	if gen.PartitionCount != 2 {
		t.Fatalf("count %d", gen.PartitionCount)
	}
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	admin := &kafka.Client{Addr: kafka.TCP(brokers...), Transport: transport}
	answer, err := admin.CreatePartitions(t.Context(), &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: 5}}})
	if err != nil || answer.Errors[topic] != nil {
		t.Fatalf("grow: %v, %v", err, answer)
	}
	<-gen.Context().Done()
	gen, err = group.Next(within(t, 20*time.Second))
	if err != nil || gen.PartitionCount != 5 || len(gen.Partitions) != 5 {
		t.Fatalf("after growth: %+v, %v", gen, err)
	}
}

func TestGeneration_CommitNeverGoesBack(t *testing.T) { // I4
	c := openWithTopics(t, 2)
	_, gen := join(t, c)
	if err := gen.Commit(t.Context(), 0, 10, ""); err != nil {
		t.Fatal(err)
	}
	for name, commit := range map[string]func(){
		"back":       func() { _ = gen.Commit(t.Context(), 0, 9, "") },
		"negative":   func() { _ = gen.Commit(t.Context(), 1, -1, "") },
		"not its":    func() { _ = gen.Commit(t.Context(), 7, 1, "") },
		"still back": func() { _ = gen.Commit(t.Context(), 0, 0, "") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			commit()
		}()
	}
	if err := gen.Commit(t.Context(), 0, 10, "again"); err != nil {
		t.Fatal(err)
	}
}

func TestGroup_CloseLeavesAtOnce(t *testing.T) {
	c := openWithTopics(t, 1)
	a, _ := join(t, c)
	begin := time.Now()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	join(t, c)
	// Half the session timeout of join: a member that had not left would hold
	// the second one up for all of it.
	if took := time.Since(begin); took > 3*time.Second {
		t.Fatalf("the next member waited %s", took)
	}
}
