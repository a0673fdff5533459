package broker_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"daybook/pipeline/broker"
)

// rawClient speaks to the broker without a client's own opinion of groups.
type rawClient struct {
	t     *testing.T
	conn  net.Conn
	group string
}

func dialRaw(t *testing.T, b *broker.Broker, group string) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", b.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return &rawClient{t, conn, group}
}

func (c *rawClient) send(req kmsg.Request) {
	c.t.Helper()
	if _, err := c.conn.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *rawClient) receive(answer kmsg.Response) {
	c.t.Helper()
	var head [8]byte
	if _, err := io.ReadFull(c.conn, head[:]); err != nil {
		c.t.Fatal(err)
	}
	raw := make([]byte, binary.BigEndian.Uint32(head[:])-4)
	if _, err := io.ReadFull(c.conn, raw); err != nil {
		c.t.Fatal(err)
	}
	if err := answer.ReadFrom(raw); err != nil {
		c.t.Fatal(err)
	}
}

func (c *rawClient) join(member string) {
	c.t.Helper()
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.ProtocolType = 1, c.group, member, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 500, 1000
	protocol := kmsg.NewJoinGroupRequestProtocol()
	protocol.Name = "sticky"
	req.Protocols = append(req.Protocols, protocol)
	c.send(req)
}

func (c *rawClient) joined() *kmsg.JoinGroupResponse {
	c.t.Helper()
	answer := &kmsg.JoinGroupResponse{Version: 1}
	c.receive(answer)
	if answer.ErrorCode != 0 {
		c.t.Fatalf("join: error %d", answer.ErrorCode)
	}
	return answer
}

// sync hands in an assignment for every member, as a leader does.
func (c *rawClient) sync(j *kmsg.JoinGroupResponse) {
	c.t.Helper()
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.Generation, req.MemberID = 0, c.group, j.Generation, j.MemberID
	for _, m := range j.Members {
		one := kmsg.NewSyncGroupRequestGroupAssignment()
		one.MemberID, one.MemberAssignment = m.MemberID, []byte{1}
		req.GroupAssignment = append(req.GroupAssignment, one)
	}
	c.send(req)
	c.receive(&kmsg.SyncGroupResponse{Version: 0})
}

func (c *rawClient) beat(j *kmsg.JoinGroupResponse) int16 {
	c.t.Helper()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.Generation, req.MemberID = 0, c.group, j.Generation, j.MemberID
	c.send(req)
	answer := &kmsg.HeartbeatResponse{Version: 0}
	c.receive(answer)
	return answer.ErrorCode
}

// A worker that is killed while it waits to join is a member of the generation
// that begins then, and must lose its session like any other: its partitions
// would be nobody's for ever.
func TestBroker_TimesOutAMemberThatDiedWhileItJoined(t *testing.T) {
	b, err := broker.Start(context.Background(), broker.Config{Dir: t.TempDir(), MinSession: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	// Without the remedy chance decides each time.
	for i := range 12 {
		dieWhileJoining(t, b, fmt.Sprintf("group-%d", i))
	}
}

func dieWhileJoining(t *testing.T, b *broker.Broker, group string) {
	t.Helper()
	living, dying := dialRaw(t, b, group), dialRaw(t, b, group)
	living.join("")
	first := living.joined()
	living.sync(first)

	dying.join("")
	const rebalance = 27 // REBALANCE_IN_PROGRESS
	for living.beat(first) != rebalance {
	}
	// It has joined, for that is what the rebalance is for; now it dies.
	_ = dying.conn.Close()
	living.join(first.MemberID)
	second := living.joined()
	if len(second.Members) != 2 {
		t.Fatalf("%d members, want the dead one among 2", len(second.Members))
	}
	living.sync(second)
	begin := time.Now()
	for living.beat(second) != rebalance {
		if time.Since(begin) > 20*time.Second {
			t.Fatal("the dead member stays")
		}
	}
	living.join(second.MemberID)
	if third := living.joined(); len(third.Members) != 1 {
		t.Errorf("%d members after its session", len(third.Members))
	}
}
