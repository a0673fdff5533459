package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"daybook/pipeline/source"
	"daybook/schemas"
)

// ask sends an administrator's request.
func ask[A kmsg.Response](r *rig, request interface {
	RequestWith(ctx context.Context, k kmsg.Requestor) (A, error)
},
) A {
	r.tb.Helper()
	answer, err := request.RequestWith(r.ctx, r.foreign(kgo.MaxVersions(kversion.V3_0_0()))) // later ones name topics by id
	if err != nil {
		r.tb.Fatal(err)
	}
	return answer
}

// deleteGroup forgets the group and its offsets.
func (r *rig) deleteGroup() {
	r.tb.Helper()
	request := kmsg.NewPtrDeleteGroupsRequest()
	request.Groups = []string{"daybook"}
	if a := ask(r, request); a.Groups[0].ErrorCode != 0 {
		r.tb.Fatalf("delete group: %+v", a)
	}
}

// expireOffsets does what the broker does to a group that was empty for longer
// than its offsets are kept: the group stays, its offsets go.
func (r *rig) expireOffsets() {
	r.tb.Helper()
	request := kmsg.NewPtrOffsetDeleteRequest()
	request.Group = "daybook"
	topic := kmsg.NewOffsetDeleteRequestTopic()
	topic.Topic = schemas.TopicEvents
	for p := range r.partitions {
		topic.Partitions = append(topic.Partitions, kmsg.OffsetDeleteRequestTopicPartition{Partition: p})
	}
	request.Topics = append(request.Topics, topic)
	a := ask(r, request)
	if a.ErrorCode != 0 || a.Topics[0].Partitions[0].ErrorCode != 0 {
		r.tb.Fatalf("delete offsets: %+v", a)
	}
}

// cutHead moves the start of the events log, as retention does.
func (r *rig) cutHead(start int64) {
	r.tb.Helper()
	request := kmsg.NewPtrDeleteRecordsRequest()
	request.TimeoutMillis = 10_000
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic = schemas.TopicEvents
	topic.Partitions = []kmsg.DeleteRecordsRequestTopicPartition{{Partition: 0, Offset: start}}
	request.Topics = append(request.Topics, topic)
	if a := ask(r, request); a.Topics[0].Partitions[0].ErrorCode != 0 {
		r.tb.Fatalf("delete records: %+v", a)
	}
}

// remakeEvents deletes the events topic and makes it again, empty.
func (r *rig) remakeEvents() {
	r.tb.Helper()
	before, err := r.client.TopicID(r.ctx, schemas.TopicEvents)
	if err != nil {
		r.tb.Fatal(err)
	}
	request := kmsg.NewPtrDeleteTopicsRequest()
	request.TimeoutMillis = 10_000
	request.TopicNames = []string{schemas.TopicEvents}
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = kmsg.StringPtr(schemas.TopicEvents)
	request.Topics = append(request.Topics, topic)
	if a := ask(r, request); a.Topics[0].ErrorCode != 0 {
		r.tb.Fatalf("delete topic: %+v", a)
	}
	r.client = r.connect()
	for r.ctx.Err() == nil { // a cluster forgets it node by node
		if err := r.client.EnsureTopics(r.ctx, rigTopics(r.partitions)); err != nil {
			continue
		}
		if id, err := r.client.TopicID(r.ctx, schemas.TopicEvents); err == nil && id != before {
			clear(r.produced)
			return
		}
	}
	r.tb.Fatal("the topic was not made again")
}

// halted waits until a worker says that it does not go on, and gives why.
func (r *rig) halted(name string) (why string) {
	r.tb.Helper()
	halt := make(chan string, 1)
	run := r.launch(name, func(cfg *Config, _ *Join, _ *Store) { cfg.Logger = slog.New(haltHandler{halt: halt}) })
	defer func() {
		if err := run.stop(); err != nil {
			r.tb.Error(err)
		}
	}()
	select {
	case why = <-halt:
	case <-r.ctx.Done():
		r.tb.Fatal("the partition was not halted")
	}
	return why
}

// haltHandler takes from a worker's log why a partition is halted.
type haltHandler struct {
	slog.Handler

	halt chan string
}

func (haltHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h haltHandler) WithAttrs([]slog.Attr) slog.Handler     { return h }

func (h haltHandler) Handle(_ context.Context, line slog.Record) error {
	if line.Message != "partition halted" {
		return nil
	}
	var all []string
	line.Attrs(func(a slog.Attr) bool { all = append(all, a.Value.String()); return true })
	select {
	case h.halt <- strings.Join(all, "; "):
	default:
	}
	return nil
}

// delayedCommit is a group whose first commit gets no answer: it hangs in the
// net until apply lets it through.
type delayedCommit struct {
	Group
	*source.Generation

	mu        sync.Mutex
	offset    int64
	metadata  string
	afterward int
}

func (d *delayedCommit) Close() error { return d.Group.Close() }

func (d *delayedCommit) Next(ctx context.Context) (Generation, error) {
	gen, err := d.Group.Next(ctx)
	if err != nil {
		return nil, err
	}
	d.Generation, _ = gen.(*source.Generation)
	return d, nil
}

func (d *delayedCommit) Commit(ctx context.Context, partition int32, offset int64, metadata string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.metadata == "" {
		d.offset, d.metadata = offset, metadata
		return fmt.Errorf("no answer: %w", source.ErrTransient)
	}
	d.afterward++
	return d.Generation.Commit(ctx, partition, offset, metadata)
}

// apply lets the first commit through, under the generation that sent it.
func (d *delayedCommit) apply(r *rig) int64 {
	r.tb.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.afterward < 4 {
		r.tb.Fatalf("%d commits came after it, want at least four", d.afterward)
	}
	request := kmsg.NewPtrOffsetCommitRequest()
	request.Group, request.Generation, request.MemberID = "daybook", d.ID, d.Member
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic = schemas.TopicEvents
	one := kmsg.NewOffsetCommitRequestTopicPartition()
	one.Offset, one.Metadata, one.LeaderEpoch = d.offset, &d.metadata, -1
	topic.Partitions = append(topic.Partitions, one)
	request.Topics = append(request.Topics, topic)
	if a := ask(r, request); a.Topics[0].Partitions[0].ErrorCode != 0 {
		r.tb.Fatalf("commit late: %+v", a)
	}
	return d.offset
}

// rejects is a store that keeps what it is given of rejects.
type rejects struct {
	*memory

	rows []schemas.RejectRow
}

func (s *rejects) WriteRows(ctx context.Context, rows schemas.Rows) error {
	s.mu.Lock()
	s.rows = append(s.rows, flushOf(rows).Rejects...)
	s.mu.Unlock()
	return s.memory.WriteRows(ctx, rows)
}

func (s *rejects) last() schemas.RejectRow {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows[len(s.rows)-1]
}
