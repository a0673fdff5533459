package broker

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// adminTimeout bounds one exchange with the broker in this process.
const adminTimeout = 10 * time.Second

// admin speaks to the broker as any client does, because kfake has no calls
// for what is needed here: deleting records and reading committed offsets.
type admin struct {
	conn net.Conn
}

func (b *Broker) admin(ctx context.Context) (*admin, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", b.addr)
	if err != nil {
		return nil, fmt.Errorf("reach broker %s: %w", b.addr, err)
	}
	return &admin{conn: conn}, nil
}

func (a *admin) close() { _ = a.conn.Close() } // nothing is under way

// exchange sends a request of a version without flexible headers and reads its
// answer.
func (a *admin) exchange(req kmsg.Request) (kmsg.Response, error) {
	if err := a.conn.SetDeadline(time.Now().Add(adminTimeout)); err != nil {
		return nil, err
	}
	raw := kmsg.NewRequestFormatter(kmsg.FormatterClientID("daybook-broker")).AppendRequest(nil, req, 1)
	if _, err := a.conn.Write(raw); err != nil {
		return nil, err
	}
	var prefix [8]byte // size, correlation id
	if _, err := io.ReadFull(a.conn, prefix[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(prefix[:])
	const most = 64 << 20
	if size < 4 || size > most {
		return nil, fmt.Errorf("answer of %d bytes", size)
	}
	raw = make([]byte, size-4)
	if _, err := io.ReadFull(a.conn, raw); err != nil {
		return nil, err
	}
	answer := req.ResponseKind()
	return answer, answer.ReadFrom(raw)
}

// committed gives what a group has committed on a topic. Partitions without a
// commit are missing.
func (a *admin) committed(group, topic string, partitions int) (map[int32]int64, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group = 5, group
	asked := kmsg.NewOffsetFetchRequestTopic()
	asked.Topic = topic
	for p := range partitions {
		asked.Partitions = append(asked.Partitions, int32(p))
	}
	req.Topics = append(req.Topics, asked)
	answer, err := a.exchange(req)
	if err != nil {
		return nil, fmt.Errorf("read committed offsets: %w", err)
	}
	response := answer.(*kmsg.OffsetFetchResponse) //nolint:forcetypeassert // ResponseKind of the request.
	if err := kerr.ErrorForCode(response.ErrorCode); err != nil {
		return nil, fmt.Errorf("read committed offsets: %w", err)
	}
	offsets := make(map[int32]int64)
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode == 0 && p.Offset >= 0 {
				offsets[p.Partition] = p.Offset
			}
		}
	}
	return offsets, nil
}

// deleteRecords removes what lies before an offset. Segments that hold nothing
// else leave the disk at once.
func (a *admin) deleteRecords(topic string, partition int32, before int64) error {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.Version, req.TimeoutMillis = 1, int32(adminTimeout.Milliseconds())
	t, p := kmsg.NewDeleteRecordsRequestTopic(), kmsg.NewDeleteRecordsRequestTopicPartition()
	t.Topic, p.Partition, p.Offset = topic, partition, before
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	answer, err := a.exchange(req)
	if err != nil {
		return fmt.Errorf("delete records of %s/%d: %w", topic, partition, err)
	}
	for _, t := range answer.(*kmsg.DeleteRecordsResponse).Topics { //nolint:forcetypeassert // ResponseKind of the request.
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("delete records of %s/%d before %d: %w", topic, p.Partition, before, err)
			}
		}
	}
	return nil
}
