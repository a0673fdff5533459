package apache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
)

// readyTopic is made to see that topics can be made. It stays, empty.
const readyTopic = "ready"

// lookEvery is the pause between two looks at a node that starts: it tells
// nobody when it is ready.
const lookEvery = 50 * time.Millisecond

// awaitUsable waits until a topic can be made on all nodes, and a group joined:
// the first join makes the topic of offsets, which takes a second.
func (c *Cluster) awaitUsable(ctx context.Context) error {
	if err := c.each(func(n *node) error { return c.awaitNode(ctx, n) }); err != nil {
		return err
	}
	return c.until(ctx, c.nodes[0], "make a topic", func(ctx context.Context, client *kafka.Client) error {
		answer, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{
			Topic: readyTopic, NumPartitions: 1, ReplicationFactor: len(c.nodes),
		}}})
		if err != nil {
			return err
		}
		if err := answer.Errors[readyTopic]; err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
			return err
		}
		for _, kind := range []kafka.CoordinatorKeyType{kafka.CoordinatorKeyTypeConsumer, kafka.CoordinatorKeyTypeTransaction} {
			found, err := client.FindCoordinator(ctx, &kafka.FindCoordinatorRequest{Key: readyTopic, KeyType: kind})
			if err != nil {
				return err
			}
			if found.Error != nil {
				return found.Error
			}
		}
		offsets, err := client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: readyTopic, Topics: map[string][]int{readyTopic: {0}}})
		if err != nil {
			return err
		}
		return offsets.Error // the coordinator may still be loading
	})
}

// awaitNode waits until the node says of itself that it is a member, which the
// controller grants when it has caught up with the metadata, and that it is in
// sync wherever it is a replica.
func (c *Cluster) awaitNode(ctx context.Context, n *node) error {
	return c.until(ctx, n, "join the cluster", func(ctx context.Context, client *kafka.Client) error {
		answer, err := client.Metadata(ctx, &kafka.MetadataRequest{})
		if err != nil {
			return err
		}
		own := func(b kafka.Broker) bool { return b.ID == n.id }
		if !slices.ContainsFunc(answer.Brokers, own) {
			return fmt.Errorf("the node is fenced: %d others are there", len(answer.Brokers))
		}
		for _, t := range answer.Topics {
			for _, p := range t.Partitions {
				if slices.ContainsFunc(p.Replicas, own) && !slices.ContainsFunc(p.Isr, own) {
					return fmt.Errorf("the node is not in sync with %s/%d", t.Name, p.ID)
				}
			}
		}
		return nil
	})
}

// until tries something at one node until it succeeds, the node ends, or the
// context does. Every try has a connection of its own: kafka-go would answer
// metadata from its cache.
func (c *Cluster) until(ctx context.Context, n *node, what string, try func(context.Context, *kafka.Client) error) error {
	for {
		transport := &kafka.Transport{DialTimeout: time.Second}
		once, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := try(once, &kafka.Client{Addr: kafka.TCP(n.addr), Transport: transport})
		cancel()
		transport.CloseIdleConnections()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(lookEvery):
		case <-n.gone():
			return fmt.Errorf("%s: kafka node %d ended:\n%s", what, n.id, n.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("%s: kafka node %d: %w (%w):\n%s", what, n.id, context.Cause(ctx), err, n.lastWords())
		}
	}
}
