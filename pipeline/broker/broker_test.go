package broker_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"daybook/pipeline/broker"
	"daybook/pipeline/source"
	"daybook/schemas"
)

// envChild makes the test binary a broker on the folder that it names, to be
// killed.
const envChild = "DAYBOOK_TEST_BROKER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envChild); dir != "" {
		b, err := broker.Start(context.Background(), broker.Config{Dir: dir, DiskBudget: 8 << 20, Partitions: 2, MinSession: 100 * time.Millisecond, CheckEvery: 10 * time.Millisecond})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(b.Addrs()[0])
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// child starts a broker in a process of its own.
func child(t *testing.T, dir string) (addr string, kill func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envChild+"="+dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
		_ = stdin.Close()
	}
}

func start(t *testing.T, cfg broker.Config) *broker.Broker {
	t.Helper()
	cfg.MinSession = 100 * time.Millisecond
	b, err := broker.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func client(t *testing.T, addr string) *source.Client {
	t.Helper()
	c, err := source.New(source.Config{Brokers: []string{addr}, RetryFor: 5 * time.Second, MaxWait: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// fill makes topics, one event and one commit, and tells what must survive.
func fill(t *testing.T, c *source.Client) (topicID string, pointer source.Pointer) {
	t.Helper()
	if err := c.EnsureTopics(t.Context(), source.TopicsConfig{Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	if err := c.Produce(t.Context(), []source.Outgoing{{Key: []byte("n/u"), Value: []byte("event"), Partition: 1}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutSetting(t.Context(), "n", []byte("setting")); err != nil {
		t.Fatal(err)
	}
	pointer, err := c.WriteCheckpoint(t.Context(), 1, 1, []byte("snapshot"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.ResetCommitted(t.Context(), 1, 1, pointer.String()); err != nil {
		t.Fatal(err)
	}
	topicID, err = c.TopicID(t.Context(), schemas.TopicEvents)
	if err != nil {
		t.Fatal(err)
	}
	return topicID, pointer
}

func survives(t *testing.T, c *source.Client, topicID string, pointer source.Pointer) {
	t.Helper()
	if id, err := c.TopicID(t.Context(), schemas.TopicEvents); err != nil || id != topicID {
		t.Fatalf("topic id %s, want %s: %v", id, topicID, err)
	}
	committed, err := c.Committed(t.Context(), []int32{0, 1})
	if err != nil || committed[0].Offset != -1 || committed[1] != (source.Committed{Offset: 1, Metadata: pointer.String()}) {
		t.Fatalf("committed %v: %v", committed, err)
	}
	if snapshot, err := c.ReadCheckpoint(t.Context(), 1, pointer); err != nil || string(snapshot) != "snapshot" {
		t.Fatalf("checkpoint %q: %v", snapshot, err)
	}
	if settings, err := c.Settings(t.Context()); err != nil || len(settings) != 1 || string(settings[0].Value) != "setting" {
		t.Fatalf("settings %v: %v", settings, err)
	}
	chunk, err := c.Fetch(t.Context(), 1, 0)
	if err != nil || len(chunk.Records) != 1 || string(chunk.Records[0].Value) != "event" {
		t.Fatalf("events %+v: %v", chunk, err)
	}
}

func TestBroker_KeepsEverythingOverARestart(t *testing.T) {
	dir := t.TempDir()
	b := start(t, broker.Config{Dir: dir})
	id, pointer := fill(t, client(t, b.Addrs()[0]))
	b.Close()
	b = start(t, broker.Config{Dir: dir})
	defer b.Close()
	survives(t, client(t, b.Addrs()[0]), id, pointer)
}

func TestBroker_KeepsEverythingOverSIGKILL(t *testing.T) {
	dir := t.TempDir()
	addr, kill := child(t, dir)
	id, pointer := fill(t, client(t, addr))
	for range 3 {
		kill()
		addr, kill = child(t, dir)
		survives(t, client(t, addr), id, pointer)
	}
	kill()
	b := start(t, broker.Config{Dir: dir})
	defer b.Close()
	survives(t, client(t, b.Addrs()[0]), id, pointer)
}

func TestBroker_NamesAnAddressInUse(t *testing.T) {
	b := start(t, broker.Config{Dir: t.TempDir()})
	defer b.Close()
	_, err := broker.Start(t.Context(), broker.Config{Dir: t.TempDir(), Addr: b.Addrs()[0]})
	if err == nil || !strings.Contains(err.Error(), b.Addrs()[0]) || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("got %v", err)
	}
}

// watch gives a channel with looks at the disk and the OnDisk that feeds it.
func watch() (<-chan broker.Disk, func(broker.Disk)) {
	disks := make(chan broker.Disk)
	return disks, func(d broker.Disk) {
		select {
		case disks <- d:
		case <-time.After(time.Second): // nobody is looking any more
		}
	}
}

// until looks at the disk until a look pleases.
func until(t *testing.T, disks <-chan broker.Disk, what string, pleases func(broker.Disk) bool) broker.Disk {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case d := <-disks:
			if pleases(d) {
				return d
			}
		case <-deadline:
			t.Fatalf("never saw: %s", what)
		}
	}
}

// write produces about that many bytes to each of two partitions, and stops at
// the first error.
func write(ctx context.Context, c *source.Client, bytesEach int) error {
	const record = 50_000
	for range bytesEach / record {
		value := bytes.Repeat([]byte("x"), record)
		if err := c.Produce(ctx, []source.Outgoing{{Value: value, Partition: 0}, {Value: value, Partition: 1}}); err != nil {
			return err
		}
	}
	return nil
}

func commitAll(t *testing.T, c *source.Client) {
	t.Helper()
	for p := range int32(2) {
		_, end, err := c.ListOffsets(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.ResetCommitted(t.Context(), p, end, ""); err != nil {
			t.Fatal(err)
		}
	}
}

const budget = 8 << 20

func TestBroker_RemovesReadEventsToKeepItsBudget(t *testing.T) {
	dir := t.TempDir()
	disks, onDisk := watch()
	b := start(t, broker.Config{Dir: dir, DiskBudget: budget, Partitions: 2, CheckEvery: time.Millisecond, OnDisk: onDisk})
	c := client(t, b.Addrs()[0])
	if err := c.EnsureTopics(t.Context(), source.TopicsConfig{Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	for range 8 { // twice the budget in all
		if err := write(t.Context(), c, 1<<20); err != nil {
			t.Fatal(err)
		}
		commitAll(t, c)
		committed := time.Now()
		d := until(t, disks, "room", func(d broker.Disk) bool { return d.At.After(committed) && d.UsedBytes <= budget*75/100 })
		if onFiles := folder(t, dir); onFiles > budget*80/100 {
			t.Fatalf("files take %d, disk says %d", onFiles, d.UsedBytes)
		}
	}
	begin, end, err := c.ListOffsets(t.Context(), 0)
	if err != nil || begin == 0 || end != 8*20 {
		t.Fatalf("log is [%d, %d): %v", begin, end, err)
	}
	_, err = c.Fetch(t.Context(), 0, 0)
	if out := (*source.OffsetOutOfRangeError)(nil); !errors.As(err, &out) || out.Start != begin {
		t.Fatalf("below the start: %v", err)
	}
	b.Close()
	again := start(t, broker.Config{Dir: dir})
	defer again.Close()
	if first, last, err := client(t, again.Addrs()[0]).ListOffsets(t.Context(), 0); err != nil || first != begin || last != end {
		t.Fatalf("after a restart the log is [%d, %d), was [%d, %d): %v", first, last, begin, end, err)
	}
}

func TestBroker_RefusesEventsWhenUnreadOnesFillTheBudget(t *testing.T) {
	disks, onDisk := watch()
	b := start(t, broker.Config{Dir: t.TempDir(), DiskBudget: budget, Partitions: 2, CheckEvery: time.Millisecond, OnDisk: onDisk})
	defer b.Close()
	c := client(t, b.Addrs()[0])
	if err := c.EnsureTopics(t.Context(), source.TopicsConfig{Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	refused, once := make(chan struct{}), sync.Once{}
	producer, err := source.New(source.Config{Brokers: b.Addrs(), OnRetry: func(op string, err error) {
		if strings.HasPrefix(op, "produce") && strings.Contains(err.Error(), "Storage") {
			once.Do(func() { close(refused) })
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	written := make(chan error, 1)
	go func() { written <- write(t.Context(), producer, 8<<20) }()
	d := until(t, disks, "a full budget", func(d broker.Disk) bool { return d.Level == broker.DiskFull })
	for waiting := true; waiting; {
		select {
		case <-refused:
			waiting = false
		case <-disks:
		}
	}
	// A checkpoint and a commit still go through: they are what frees room.
	pointer, err := c.WriteCheckpoint(t.Context(), 0, 1, []byte("snapshot"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.AppendControl(t.Context(), 0, []byte("{}"), []byte("signature")); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-written:
		t.Fatalf("the producer ended: %v", err)
	default:
	}
	if first, _, err := c.ListOffsets(t.Context(), 0); err != nil || first != 0 {
		t.Fatalf("unread events were removed: the log begins at %d, %v (used %d)", first, err, d.UsedBytes)
	}
	for done := false; !done; { // the producer waits, and goes on by itself each time that the group has read
		commitAll(t, c)
		select {
		case err := <-written:
			if err != nil {
				t.Fatal(err)
			}
			done = true
		case <-disks:
		}
	}
	commitAll(t, c)
	until(t, disks, "room again", func(d broker.Disk) bool { return d.Level == broker.DiskFine })
	if _, err := c.ReadCheckpoint(t.Context(), 0, pointer); err != nil {
		t.Fatal(err)
	}
}

func TestBroker_KeepsOffsetsWhenKilledAfterRemoving(t *testing.T) {
	dir := t.TempDir()
	addr, kill := child(t, dir)
	c := client(t, addr)
	if err := c.EnsureTopics(t.Context(), source.TopicsConfig{Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	var begin, end int64
	for range 10 {
		if err := write(t.Context(), c, 1<<20); err != nil {
			t.Fatal(err)
		}
		commitAll(t, c)
	}
	for begin == 0 {
		var err error
		if begin, end, err = c.ListOffsets(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	kill()
	b := start(t, broker.Config{Dir: dir})
	defer b.Close()
	first, last, err := client(t, b.Addrs()[0]).ListOffsets(t.Context(), 0)
	if err != nil || first < begin || last != end {
		t.Fatalf("log is [%d, %d), was [%d, %d): %v", first, last, begin, end, err)
	}
}

// TestBroker_DroppedCheckpointsLeaveTheDisk: kfake would compact every hour.
func TestBroker_DroppedCheckpointsLeaveTheDisk(t *testing.T) {
	disks, onDisk := watch()
	b := start(t, broker.Config{Dir: t.TempDir(), CheckEvery: time.Millisecond, OnDisk: onDisk})
	defer b.Close()
	c := client(t, b.Addrs()[0])
	if err := c.EnsureTopics(t.Context(), source.TopicsConfig{Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	snapshot := bytes.Repeat([]byte("0123456789abcdef"), 5<<20/16)
	var pointers []source.Pointer
	if _, err := c.WriteCheckpoint(t.Context(), 0, 0, snapshot); err != nil { // by a worker that was killed
		t.Fatal(err)
	}
	for i := range 12 { // 60 MB
		p, err := c.WriteCheckpoint(t.Context(), 0, int64(i), snapshot)
		if err != nil {
			t.Fatal(err)
		}
		if pointers = append(pointers, p); len(pointers) > 3 {
			if err := c.DropCheckpoints(t.Context(), 0, pointers[:1]); err != nil {
				t.Fatal(err)
			}
			pointers = pointers[1:]
		}
	}
	until(t, disks, "at most five checkpoints", func(d broker.Disk) bool { return d.UsedBytes < 30<<20 })
	for _, p := range pointers {
		if got, err := c.ReadCheckpoint(t.Context(), 0, p); err != nil || !bytes.Equal(got, snapshot) {
			t.Fatalf("checkpoint %s: %d bytes, %v", p.ID, len(got), err)
		}
	}
	listed, err := c.Checkpoints(t.Context(), 0)
	if err != nil || len(listed) != 3 {
		t.Fatalf("listed %v, %v", listed, err)
	}
}

func folder(t *testing.T, dir string) (total int64) {
	t.Helper()
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			total += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}

// TestBroker_CompactsSettingsThatGrow: they are never cut.
func TestBroker_CompactsSettingsThatGrow(t *testing.T) {
	disks, onDisk := watch()
	b := start(t, broker.Config{Dir: t.TempDir(), CheckEvery: time.Millisecond, OnDisk: onDisk})
	defer b.Close()
	c := client(t, b.Addrs()[0])
	if err := c.EnsureTopics(t.Context(), source.TopicsConfig{Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	var last int64
	for range 50 {
		var err error
		if last, err = c.PutSetting(t.Context(), "n", bytes.Repeat([]byte("x"), 900_000)); err != nil {
			t.Fatal(err)
		}
	}
	until(t, disks, "compaction", func(d broker.Disk) bool { return d.UsedBytes < 20<<20 })
	settings, err := c.Settings(t.Context())
	if err != nil || len(settings) != 1 || settings[0].Position != last {
		t.Fatalf("%d settings, %v", len(settings), err)
	}
}

// Clients come back to the address that they are told, here one that stands
// before the broker; the broker itself goes the short way.
func TestBroker_AdvertisesAnotherAddress(t *testing.T) {
	b, err := broker.Start(t.Context(), broker.Config{Dir: t.TempDir(), Advertise: "127.0.0.1:7"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	conn, err := net.Dial("tcp", b.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(kmsg.NewRequestFormatter().AppendRequest(nil, &kmsg.MetadataRequest{Version: 1}, 1)); err != nil {
		t.Fatal(err)
	}
	var size [8]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, binary.BigEndian.Uint32(size[:])-4)
	if _, err := io.ReadFull(conn, raw); err != nil {
		t.Fatal(err)
	}
	told := kmsg.MetadataResponse{Version: 1}
	if err := told.ReadFrom(raw); err != nil {
		t.Fatal(err)
	}
	if len(told.Brokers) != 1 || told.Brokers[0].Host != "127.0.0.1" || told.Brokers[0].Port != 7 {
		t.Errorf("clients are told %+v", told.Brokers)
	}
	if _, err := b.Disk(); err != nil {
		t.Error(err)
	}
}
