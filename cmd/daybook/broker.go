package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"daybook/pipeline/broker"
	"daybook/pipeline/source"
)

type brokerCmd struct {
	Kafka     string `help:"Address to listen on." default:"127.0.0.1:9092" placeholder:"ADDR"`
	Advertise string `help:"Address that clients are told to come to, if something stands before the broker (default the one it listens on)." placeholder:"ADDR"`
}

// Help is shown under the command's usage.
func (*brokerCmd) Help() string {
	return `One Kafka broker for one machine, with its log in the data folder and a disk budget
(DAYBOOK_BROKER_DISK_BYTES). For several machines use Apache Kafka.

Example:
  daybook broker --data /var/lib/daybook --kafka 127.0.0.1:9092`
}

// Run serves until it is told to stop; the address goes to stdout.
func (c *brokerCmd) Run(ctx context.Context, a *app) error {
	lock, err := lockFolder(a.data)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }() // the process ends anyway
	if _, err := a.installationKey(true); err != nil {
		return err
	}
	run := newParts(a.log)
	err = c.start(ctx, a, run)
	if err == nil {
		err = run.wait(ctx)
	}
	// Shutdown: 1. the broker writes its state out; 2. the metrics listener.
	return errors.Join(err, run.stop(ctx))
}

func (c *brokerCmd) start(ctx context.Context, a *app, run *parts) error {
	state, err := startHealth(ctx, a.cfg.MetricsListen, a.log)
	if err != nil {
		return err
	}
	run.add("metrics", state.Close)
	addrs, err := a.startBroker(ctx, run, state, c.Kafka, c.Advertise)
	if err != nil {
		return err
	}
	client, err := source.New(source.Config{Brokers: addrs, Logger: a.log})
	if err != nil {
		return err
	}
	defer client.Close()
	if err := a.ensureTopics(ctx, client, true); err != nil {
		return err
	}
	fmt.Fprintln(a.std.out, addrs[0])
	return nil
}

// kafkaFolder and engineFolder are the embedded parts' places in the data
// folder.
func (a *app) kafkaFolder() string  { return filepath.Join(a.data, "kafka") }
func (a *app) engineFolder() string { return filepath.Join(a.data, "clickhouse") }

// startBroker starts the embedded Kafka and makes readiness depend on its disk.
func (a *app) startBroker(ctx context.Context, run *parts, state *health, addr, advertise string) ([]string, error) {
	gauges := diskGauges(state.registry)
	b, err := broker.Start(ctx, broker.Config{
		Dir: a.kafkaFolder(), Addr: addr, Advertise: advertise, DiskBudget: a.cfg.BrokerDiskBytes, Partitions: a.cfg.KafkaPartitions,
		Group: a.cfg.Group, Retention: a.cfg.EventsRetention,
		MinSession: a.cfg.SessionTimeout, OnDisk: gauges, Logger: a.log,
	})
	if err != nil {
		return nil, err
	}
	run.add("broker", func(context.Context) error { b.Close(); return nil })
	state.add("disk", func(context.Context) error {
		d, err := b.Disk()
		if err == nil && d.Level == broker.DiskFull {
			err = errors.New(diskText(d))
		}
		return err
	})
	if d, err := b.Disk(); err == nil && d.Level != broker.DiskFine {
		a.log.LogAttrs(ctx, slog.LevelWarn, "disk is "+d.Level.String(), slog.String("detail", diskText(d))) //nolint:sloglint // one of two constants.
	}
	return b.Addrs(), nil
}

func diskText(d broker.Disk) string {
	return fmt.Sprintf("%s: the log has %s of its budget of %s, the disk has %s free; give it room, or change DAYBOOK_BROKER_DISK_BYTES",
		d.Level, byteText(d.UsedBytes), byteText(d.BudgetBytes), byteText(d.FreeBytes))
}

// diskGauges shows how near the disk is to its bounds (I8).
func diskGauges(registry prometheus.Registerer) func(broker.Disk) {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "daybook", Subsystem: "broker", Name: name, Help: help})
		registry.MustRegister(g)
		return g
	}
	used := gauge("disk_used_bytes", "Bytes of the log's folder.")
	budget := gauge("disk_budget_bytes", "Bytes that the log may take.")
	free := gauge("disk_free_bytes", "Bytes that the file system has left.")
	level := gauge("disk_level", "How near the disk is to being full: 0 fine, 1 low, 2 full.")
	return func(d broker.Disk) {
		level.Set(float64(d.Level))
		used.Set(float64(d.UsedBytes))
		budget.Set(float64(d.BudgetBytes))
		free.Set(float64(d.FreeBytes))
	}
}

// byteText writes a size for people.
func byteText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, names := float64(n)/unit, []string{"KiB", "MiB", "GiB", "TiB", "PiB"}
	for _, name := range names {
		if value < unit || name == "PiB" {
			return fmt.Sprintf("%.1f %s", value, name)
		}
		value /= unit
	}
	return ""
}
