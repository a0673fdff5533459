package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"daybook/clickhouse"
	"daybook/clickhouse/query"
	"daybook/pipeline"
	"daybook/pipeline/source"
)

type workerCmd struct{}

// Help is shown under the command's usage.
func (workerCmd) Help() string {
	return `Reads daybook.events as a member of the consumer group, makes sessions, writes them to ClickHouse and
commits. Run as many as there is work for; partitions are shared out among them. SIGTERM flushes,
takes a checkpoint and leaves. Go's GOGC is 50 unless it is set; GOMEMLIMIT counts as ever.

Example:
  DAYBOOK_KAFKA_BROKERS=kafka:9092 DAYBOOK_CLICKHOUSE_DSN=http://u:p@ch:8123/daybook daybook worker`
}

// Run works until it is told to stop.
func (workerCmd) Run(ctx context.Context, a *app) error {
	found, err := a.needBoth()
	if err != nil {
		return err
	}
	key, err := a.installationKey(false)
	if err != nil {
		return err
	}
	boundGarbage(a.env)
	run := newParts(a.log)
	err = a.startWorkerAlone(ctx, run, found, key)
	if err == nil {
		err = run.wait(ctx)
	}
	// Shutdown: 1. the worker flushes, takes a checkpoint and leaves the group;
	// 2. the connections to storage and Kafka close; 3. the metrics listener.
	return errors.Join(err, run.stop(ctx))
}

func (a *app) startWorkerAlone(ctx context.Context, run *parts, found *servers, key []byte) error {
	state, err := startHealth(ctx, a.cfg.MetricsListen, a.log)
	if err != nil {
		return err
	}
	run.add("metrics", state.Close)
	store, client, err := a.openStores(ctx, run, found, state)
	if err != nil {
		return err
	}
	if _, err := a.startWorker(ctx, run, state, client, store, key); err != nil {
		return err
	}
	a.log.LogAttrs(ctx, slog.LevelInfo, "worker started", slog.String("metrics", state.Address()))
	return nil
}

// openStores opens Kafka and ClickHouse and makes readiness depend on both.
func (a *app) openStores(ctx context.Context, run *parts, found *servers, state *health) (*clickhouse.Store, *source.Client, error) {
	var store *clickhouse.Store
	options := clickhouse.Options{DSN: found.ClickHouse.String(), Log: a.log, OnInsert: insertMetrics(state.registry), Failpoint: a.failpoint}
	err := a.patiently(ctx, "open storage", func() (err error) { store, err = clickhouse.Open(ctx, options); return err })
	if err != nil {
		return nil, nil, err
	}
	run.add("storage", func(context.Context) error { return store.Close() })
	client, err := a.kafkaClient(found.Kafka)
	if err != nil {
		return nil, nil, err
	}
	run.add("kafka", func(context.Context) error { client.Close(); return nil })
	state.add("kafka", func(ctx context.Context) error {
		_, err := client.Partitions(ctx, client.EventsTopic())
		return err
	})
	state.add("clickhouse", answers(store))
	return store, client, nil
}

// startPatience is how long a worker that starts waits for Kafka and ClickHouse:
// on a machine that boots all three start together. Then the address is more likely
// to be wrong than the server slow, and the error ends the process.
const startPatience = time.Minute

// patiently repeats what cannot be done because a server does not answer.
func (a *app) patiently(ctx context.Context, what string, try func() error) error {
	deadline := time.Now().Add(startPatience)
	for wait := 200 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := try()
		if err == nil || !errors.Is(err, clickhouse.ErrTransient) && !errors.Is(err, source.ErrTransient) || time.Now().After(deadline) {
			return err
		}
		a.log.LogAttrs(ctx, slog.LevelWarn, "not there yet, trying again", slog.String("doing", what), slog.String("error", err.Error()), slog.Duration("after", wait))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}

// startWorker finds the topic's epoch and joins the group.
func (a *app) startWorker(ctx context.Context, run *parts, state *health, client *source.Client, store *clickhouse.Store, key []byte) (*pipeline.Worker, error) {
	topic := client.EventsTopic()
	var epoch uint16
	var partitions int
	err := a.patiently(ctx, "find the topic and its epoch", func() error {
		id, err := client.TopicID(ctx, topic)
		if err != nil {
			return err
		}
		if epoch, err = store.TopicEpoch(ctx, topic, id); err != nil {
			return err
		}
		partitions, err = client.EpochPartitions(ctx)
		return err
	})
	if errors.Is(err, source.ErrPartitionCount) {
		err = fmt.Errorf("%w; %s", err, partitionsRemedy)
	}
	if err != nil {
		return nil, err
	}
	if a.cfg.Failpoint != "" {
		a.log.LogAttrs(ctx, slog.LevelWarn, "failpoints are armed: for tests only", slog.String("failpoint", a.cfg.Failpoint))
	}
	probes, _, err := parseProbes(a.cfg.Failpoint)
	if err != nil {
		return nil, err // readConfig has checked it
	}
	worker := pipeline.New(pipeline.Config{
		Topic: topic, Epoch: epoch, Partitions: int32(partitions), Worker: workerName(), ControlKey: key,
		Lateness: a.cfg.Lateness, OutOfOrder: a.cfg.OutOfOrderness, FlushAge: a.cfg.FlushInterval, BatchRecords: a.cfg.BatchRecords, BatchBytes: a.cfg.BatchBytes, MaxRepeatIDs: a.cfg.RepeatIDs,
		CheckpointEvery: a.cfg.CheckpointInterval, Drain: a.cfg.SessionTimeout / 2,
		Logger: a.log, Registerer: state.registry, Failpoint: a.failpoint, Probe: probe(probes),
	}, client, pipeline.JoinGroup(client, source.GroupConfig{SessionTimeout: a.cfg.SessionTimeout, Heartbeat: a.cfg.SessionTimeout / 6}), store) //nolint:contextcheck // it joins at the first Next, which takes one
	state.note("worker", worker.Notes)
	state.add("worker", func(context.Context) error {
		if why := worker.Health(); len(why) > 0 {
			return errors.New(strings.Join(why, "; "))
		}
		return nil
	})
	run.run(ctx, "worker", worker.Run)
	return worker, nil
}

// workerName tells processes apart in reports; nothing depends on it.
func workerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "/" + strconv.Itoa(os.Getpid())
}

// insertMetrics counts what the store writes, by table: a closed set.
func insertMetrics(registry prometheus.Registerer) func(clickhouse.InsertStats) {
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "daybook", Subsystem: "insert", Name: name, Help: help}
	}
	rows := prometheus.NewCounterVec(opts("rows_total", "Rows that are durable."), []string{"table"})
	bytes := prometheus.NewCounterVec(opts("bytes_total", "Bytes of the encoded blocks."), []string{"table"})
	retries := prometheus.NewCounterVec(opts("retries_total", "Attempts beyond the first."), []string{"table"})
	failures := prometheus.NewCounterVec(opts("failures_total", "Inserts that were given up."), []string{"table"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "daybook", Subsystem: "insert", Name: "seconds", Help: "Time of an insert, retries included.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 14), // 1 ms to 8 s
	}, []string{"table"})
	registry.MustRegister(rows, bytes, retries, failures, seconds)
	return func(s clickhouse.InsertStats) {
		retries.WithLabelValues(s.Table).Add(float64(max(0, s.Attempts-1)))
		seconds.WithLabelValues(s.Table).Observe(s.Took.Seconds())
		if s.Err != nil {
			failures.WithLabelValues(s.Table).Inc()
			return
		}
		rows.WithLabelValues(s.Table).Add(float64(s.Rows))
		bytes.WithLabelValues(s.Table).Add(float64(s.Bytes))
	}
}

// answers checks that storage takes questions.
func answers(store *clickhouse.Store) check {
	return func(ctx context.Context) error {
		rows, err := store.Query(ctx, query.Statement{Text: "SELECT 1"})
		if err != nil {
			return err
		}
		return rows.Close()
	}
}
