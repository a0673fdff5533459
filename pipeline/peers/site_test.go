package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"daybook/pipeline/broker/apache"
	"daybook/pipeline/source"
)

// site is Apache Kafka with the log in it, whole before anyone reads, and what
// the systems need to run on it. Each run has names, tables and files of its own.
type site struct {
	top, dir   string // the project; everything that is written, logs/ of every process included
	binary     string // daybook
	partitions int
	events     int
	bytes      int64 // of all values
	want       sessions

	kafka  *apache.Cluster
	client *source.Client
	runs   int
}

func startSite(ctx context.Context, top, dir, binary string, partitions, events int) (s *site, err error) {
	s = &site{top: top, dir: dir, binary: binary, partitions: partitions, events: events}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.kafka, err = apache.Start(ctx, apache.Options{Dir: filepath.Join(dir, "kafka"), HeapMB: 1024, Config: map[string]string{
		// What the systems write their sessions to.
		"auto.create.topics.enable": "true", "num.partitions": strconv.Itoa(partitions),
		"log.retention.ms":           "-1", // sessions of a time long ago shall stay
		"transaction.max.timeout.ms": "900000",
	}})
	if err != nil {
		return s, err
	}
	if s.client, err = source.New(source.Config{Brokers: s.kafka.Addrs()}); err != nil {
		return s, err
	}
	if err := s.client.EnsureTopics(ctx, source.TopicsConfig{Partitions: partitions}); err != nil {
		return s, err
	}
	if out, err := s.daybook(ctx, nil, "network", "set", network).CombinedOutput(); err != nil {
		return s, fmt.Errorf("daybook network set: %w\n%s", err, out)
	}
	return s, s.produce(ctx)
}

func (s *site) produce(ctx context.Context) error {
	p, err := s.client.NewProducer(ctx, source.ProducerConfig{Compression: source.CompressionLZ4})
	if err != nil {
		return err
	}
	log := newActivity(s.events)
	for r, ok := log.next(); ok; r, ok = log.next() {
		s.bytes += int64(len(r.value))
		if err := p.Send(ctx, &source.Outgoing{Key: r.key, Value: r.value, Partition: -1}); err != nil {
			return errors.Join(err, p.Close(ctx))
		}
	}
	s.want = log.reference()
	return p.Close(ctx)
}

func (s *site) close() error {
	if s.client != nil {
		s.client.Close()
	}
	if s.kafka == nil {
		return nil
	}
	err := s.kafka.Close()
	return errors.Join(err, os.RemoveAll(s.kafka.Dir()))
}

func (s *site) brokers() string { return strings.Join(s.kafka.Addrs(), ",") }

// runName names a run's group, output and folder.
func (s *site) runName(kind string) string {
	s.runs++
	return fmt.Sprintf("%s-%d-%d", kind, s.partitions, s.runs)
}

// siteKey signs the network's setting; loopback, for the time of a run.
const siteKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

// daybook prepares a subcommand with the settings that a site needs and every
// default else.
func (s *site) daybook(ctx context.Context, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.binary, append(args, "--data", filepath.Join(s.dir, "data"))...)
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "DAYBOOK_") {
			cmd.Env = append(cmd.Env, pair)
		}
	}
	cmd.Env = append(cmd.Env, "TZ=UTC", "DAYBOOK_INSTALLATION_KEY="+siteKey, "DAYBOOK_LOG_FORMAT=json", "DAYBOOK_KAFKA_BROKERS="+s.brokers())
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// readSessions reads a topic of sessions as a table: the last record of a key
// counts, and one without a value withdraws it.
func (s *site) readSessions(ctx context.Context, topic string) (got sessions, err error) {
	client, err := source.New(source.Config{Brokers: s.kafka.Addrs(), EventsTopic: topic})
	if err != nil {
		return got, err
	}
	defer client.Close()
	partitions, err := client.Partitions(ctx, topic)
	if err != nil {
		return got, err
	}
	table := make(map[string]string)
	for id := range int32(partitions) {
		_, end, err := client.ListOffsets(ctx, id)
		if err != nil {
			return got, err
		}
		for next := int64(0); next < end; {
			chunk, err := client.Fetch(ctx, id, next)
			if err != nil {
				return got, err
			}
			for _, r := range chunk.Records {
				if r.Value == nil {
					delete(table, string(r.Key))
				} else {
					table[string(r.Key)] = string(r.Value)
				}
			}
			next = chunk.Next
			chunk.Release()
		}
	}
	for key, events := range table {
		n, err := strconv.ParseInt(events, 10, 64)
		if err != nil {
			return got, fmt.Errorf("read session %s of %s: %w", key, topic, err)
		}
		got.addText([]byte(key+" "+events), n)
	}
	return got, nil
}

// awaitCommits waits until a group has committed every partition to its end,
// and tells when it saw that.
func (s *site) awaitCommits(ctx context.Context, group string) (time.Time, error) {
	client, err := source.New(source.Config{Brokers: s.kafka.Addrs(), Group: group})
	if err != nil {
		return time.Time{}, err
	}
	defer client.Close()
	ends := make(map[int32]int64)
	var all []int32
	for id := range int32(s.partitions) {
		if _, ends[id], err = client.ListOffsets(ctx, id); err != nil {
			return time.Time{}, err
		}
		all = append(all, id)
	}
	for tick := time.Tick(20 * time.Millisecond); ; {
		committed, err := client.Committed(ctx, all)
		if err != nil {
			return time.Time{}, err
		}
		behind := false
		for id, end := range ends {
			behind = behind || committed[id].Offset < end
		}
		if !behind {
			return time.Now(), nil
		}
		select {
		case <-tick:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("group %s committed %v of %v: %w", group, committed, ends, context.Cause(ctx))
		}
	}
}

// forgetCheckpoints removes what a Daybook run left in Kafka, so that the next
// begins with nothing.
func (s *site) forgetCheckpoints(ctx context.Context) error {
	for id := range int32(s.partitions) {
		left, err := s.client.Checkpoints(ctx, id)
		if err != nil {
			return err
		}
		if err := s.client.DropCheckpoints(ctx, id, left); err != nil {
			return err
		}
	}
	return nil
}
