package apache

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/segmentio/kafka-go"
)

// Wipe removes every topic and every consumer group, as if the cluster were new,
// and returns when they are gone. A group whose members were killed goes when
// their session has expired.
func (c *Cluster) Wipe(ctx context.Context) error {
	return c.until(ctx, c.nodes[0], "wipe", func(ctx context.Context, client *kafka.Client) error {
		if err := deleteGroups(ctx, client); err != nil {
			return err
		}
		return deleteTopics(ctx, client)
	})
}

// deleteTopics fails until there is none left.
func deleteTopics(ctx context.Context, client *kafka.Client) error {
	answer, err := client.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return err
	}
	var topics []string
	for _, t := range answer.Topics {
		if !t.Internal && !strings.HasPrefix(t.Name, "__") && t.Name != readyTopic {
			topics = append(topics, t.Name)
		}
	}
	if len(topics) == 0 {
		return nil
	}
	deleted, err := client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: topics})
	if err != nil {
		return err
	}
	for topic, err := range deleted.Errors {
		if err != nil && !errors.Is(err, kafka.UnknownTopicOrPartition) {
			return fmt.Errorf("delete topic %s: %w", topic, err)
		}
	}
	return fmt.Errorf("%d topics are being deleted", len(topics))
}

func deleteGroups(ctx context.Context, client *kafka.Client) error {
	listed, err := client.ListGroups(ctx, &kafka.ListGroupsRequest{})
	if err != nil {
		return err
	}
	for _, g := range listed.Groups { // one request each: kafka-go sends all to the first one's coordinator
		deleted, err := client.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{g.GroupID}})
		if err != nil {
			return err
		}
		if err := deleted.Errors[g.GroupID]; err != nil && !errors.Is(err, kafka.GroupIdNotFound) {
			return fmt.Errorf("delete group %s: %w", g.GroupID, err)
		}
	}
	return nil
}
