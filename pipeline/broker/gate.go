package broker

import (
	"bytes"
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"daybook/schemas"
)

// gate refuses events while the disk is full. What frees room goes through:
// checkpoints, settings, commits, and the control records that a worker may have
// to append before it reads on.
type gate struct {
	topic   string
	topicID [16]byte // newer clients name the topic so
	open    atomic.Bool
}

// gateFor closes the events when the disk is full, and opens them again.
func (b *Broker) gateFor(ctx context.Context, level DiskLevel) {
	switch {
	case level == DiskFull && b.gate == nil:
		g := &gate{topic: b.cfg.Topic}
		if info := b.cluster.TopicInfo(b.cfg.Topic); info != nil {
			g.topicID = info.TopicID
		}
		b.gate = g
		// It removes itself once it is open: kfake keeps the last request of
		// every connection for as long as there is such a function.
		b.cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
			if g.open.Load() {
				b.cluster.DropControl()
				return nil, nil, false
			}
			b.cluster.KeepControl()
			answer, refused := g.refuse(req)
			return answer, nil, refused
		})
		b.cfg.Logger.LogAttrs(ctx, slog.LevelError, "broker refuses events until there is room")
	case level != DiskFull && b.gate != nil:
		b.gate.open.Store(true)
		b.gate = nil
		b.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "broker takes events again")
	}
}

// refuse answers a request that would write events with KAFKA_STORAGE_ERROR for
// all its partitions, which clients repeat.
func (g *gate) refuse(req kmsg.Request) (kmsg.Response, bool) {
	produce, ok := req.(*kmsg.ProduceRequest)
	if !ok || !g.writesEvents(produce) {
		return nil, false
	}
	if produce.Acks == 0 {
		return nil, true
	}
	response := produce.ResponseKind().(*kmsg.ProduceResponse) //nolint:forcetypeassert // its kind.
	for _, t := range produce.Topics {
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic, topic.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			partition := kmsg.NewProduceResponseTopicPartition()
			partition.Partition, partition.ErrorCode, partition.BaseOffset = p.Partition, kerr.KafkaStorageError.Code, -1
			topic.Partitions = append(topic.Partitions, partition)
		}
		response.Topics = append(response.Topics, topic)
	}
	return response, true
}

// maxControlBytes bounds what passes as a control record. One is a setting of a
// network, some hundred bytes.
const maxControlBytes = 64 << 10

func (g *gate) writesEvents(produce *kmsg.ProduceRequest) bool {
	for _, t := range produce.Topics {
		if t.Topic != g.topic && (t.Topic != "" || t.TopicID != g.topicID) {
			continue
		}
		for _, p := range t.Partitions {
			if len(p.Records) > maxControlBytes || !bytes.Contains(p.Records, []byte(schemas.HeaderControl)) {
				return true
			}
		}
	}
	return false
}
