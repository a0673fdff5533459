package source

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// metadataVersion is the first that may ask by name and tells the topic's id
// without the cluster's authorisation; kafka-go's own message ends at 8.
const metadataVersion = 12

// topicInfo is what the cluster says of a topic.
type topicInfo struct {
	id         string // 32 hexadecimal digits
	partitions int
}

// TopicID gives the id that Kafka gave a topic when it was created: 32
// hexadecimal digits. A topic that was deleted and made again has another one.
func (c *Client) TopicID(ctx context.Context, topic string) (string, error) {
	info, err := c.describe(ctx, topic)
	return info.id, err
}

// Partitions gives the number of partitions that a topic has now.
func (c *Client) Partitions(ctx context.Context, topic string) (int, error) {
	info, err := c.describe(ctx, topic)
	return info.partitions, err
}

// describe asks a broker, not the connection pool's cache.
func (c *Client) describe(ctx context.Context, topic string) (info topicInfo, err error) {
	err = c.retry(ctx, "describe topic "+topic, func(ctx context.Context) error {
		var err error
		info, err = c.describeOnce(ctx, topic)
		return err
	})
	return info, err
}

func (c *Client) describeOnce(ctx context.Context, topic string) (topicInfo, error) {
	x := &exchange{key: protocol.Metadata, version: metadataVersion, flexible: true, clientID: c.cfg.ClientID}
	x.body = appendMetadata(nil, topic)
	if _, err := c.roundTrip(ctx, x, 0); err != nil {
		return topicInfo{}, err
	}
	return readMetadata(x.answer, topic)
}

func appendMetadata(b []byte, topic string) []byte {
	b = append(b, 1+1)                 // one topic
	b = append(b, make([]byte, 16)...) // no id: by name
	b = binary.AppendUvarint(b, uint64(len(topic)+1))
	b = append(b, topic...)
	return append(b, 0, 0, 0, 0) // tags; do not create; no authorised operations; tags
}

func readMetadata(answer []byte, topic string) (topicInfo, error) {
	r := answerReader{rest: answer}
	r.tags()
	r.int32() // throttle
	for range r.uvarint() - 1 {
		r.int32()
		r.compactString()
		r.int32()
		r.compactString()
		r.tags()
		if r.err != nil {
			return topicInfo{}, r.err
		}
	}
	r.compactString() // cluster
	r.int32()         // controller
	for range r.uvarint() - 1 {
		code, name, id := r.int16(), r.compactString(), r.take(16)
		r.take(1)
		info := topicInfo{id: hex.EncodeToString(id)}
		for range r.uvarint() - 1 {
			r.take(2 + 4 + 4 + 4)
			for range 3 {
				r.take(4 * (max(r.uvarint(), 1) - 1))
			}
			r.tags()
			if r.err != nil {
				return topicInfo{}, r.err
			}
			info.partitions++
		}
		r.int32()
		r.tags()
		switch {
		case r.err != nil:
			return topicInfo{}, r.err
		case string(name) != topic:
			continue
		case kafka.Error(code) == kafka.UnknownTopicOrPartition:
			return topicInfo{}, fmt.Errorf("%s: %w", topic, ErrUnknownTopic)
		case code != 0:
			return topicInfo{}, kafka.Error(code)
		}
		return info, nil
	}
	return topicInfo{}, fmt.Errorf("answer lacks topic %s", topic)
}
