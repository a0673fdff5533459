package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"time"

	"daybook/clickhouse"
	"daybook/clickhouse/ddl"
	"daybook/clickhouse/engine"
	"daybook/clickhouse/query"
	"daybook/clickhouse/readapi"
	"daybook/pipeline"
	"daybook/pipeline/source"
)

type devCmd struct {
	API        string `help:"Address of the read API and the page (default DAYBOOK_API_LISTEN; another port if nobody chose it and it is taken)." placeholder:"ADDR"`
	Kafka      string `help:"Address of the embedded Kafka (default 127.0.0.1:7312, likewise)." placeholder:"ADDR"`
	Clickhouse string `name:"clickhouse" help:"Address of the embedded ClickHouse (default 127.0.0.1:7313, likewise)." placeholder:"ADDR"`
	NewEpoch   bool   `help:"The topic was made anew on purpose: register its id as the next epoch (daybook migrate --help)."`
	Sample     string `help:"Replay this log once into the network sample if the data folder has no other network." placeholder:"FILE"`

	onReady func() // for tests: everything is up and dev.json is written
}

// Default ports of the embedded parts, next to the API's. Unassigned by IANA.
const (
	defaultKafka      = "127.0.0.1:7312"
	defaultClickHouse = "127.0.0.1:7313"
)

// Help is shown under the command's usage.
func (*devCmd) Help() string {
	return `Kafka, ClickHouse, worker, read API and page in one go, with everything kept in the data folder.
When all parts are ready it writes dev.json there, from which the other commands find them. A part
whose variable is set (DAYBOOK_KAFKA_BROKERS, DAYBOOK_CLICKHOUSE_DSN) is used instead of the
embedded one. Ctrl-C and SIGTERM end it cleanly.

Example:
  daybook dev --data /tmp/try --api 127.0.0.1:8080`
}

// devRun is one run of dev.
type devRun struct {
	*app

	cmd   *devCmd
	parts *parts
	state *health

	adminKey string
	newAdmin bool // made in this run: shown once
	signKey  []byte
	kafka    []string
	dsn      *url.URL
	store    *clickhouse.Store
	client   *source.Client
	worker   *pipeline.Worker
	settings *networkSettings
	api      *readapi.API
	listener net.Listener
	embedded bool // Kafka is ours
}

// Run starts everything, waits, and stops everything.
func (c *devCmd) Run(ctx context.Context, a *app) error {
	lock, err := lockFolder(a.data)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }() // 7. the folder is free for the next one
	d := &devRun{app: a, cmd: c, parts: newParts(a.log)}
	err = d.start(ctx)
	if err == nil {
		err = d.ready(ctx)
	}
	if err == nil {
		err = d.parts.wait(ctx)
	}
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx))) {
		err = nil // told to stop while it still started: that is no failure
	}
	// Shutdown, each part after those that use it:
	//  1. dev.json goes, so that nobody new comes;
	//  2. the API finishes its answers;
	//  3. the worker flushes, takes a checkpoint and leaves its group;
	//  4. the connections to Kafka and ClickHouse close;
	//  5. the engine stops (its child process), then the broker writes its state;
	//  6. the metrics listener goes last, to tell how it went;
	//  7. the folder is unlocked.
	return errors.Join(err, removeDevFile(a.data), d.parts.stop(ctx))
}

// start brings the parts up in the order in which they need each other.
func (d *devRun) start(ctx context.Context) (err error) {
	if err := removeDevFile(d.data); err != nil { // of a run that was killed
		return err
	}
	if d.signKey, err = d.installationKey(true); err != nil {
		return err
	}
	if d.adminKey, d.newAdmin, err = d.app.adminKey(); err != nil {
		return err
	}
	if d.state, err = startHealth(ctx, d.cfg.MetricsListen, d.log); err != nil {
		return err
	}
	d.parts.add("metrics", d.state.Close)
	// Before the slow parts: a port that is taken is told at once.
	if d.listener, err = d.listenAPI(ctx); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{d.startKafka, d.startEngine, d.openTables, d.startReaders} {
		if err := step(ctx); err != nil {
			if d.api == nil {
				_ = d.listener.Close() // nobody serves it yet
			}
			return err
		}
	}
	return nil
}

func (d *devRun) listenAPI(ctx context.Context) (net.Listener, error) {
	addr := d.cmd.API
	if addr == "" {
		addr = d.cfg.APIListen
		if d.origin["API_LISTEN"] == fromDefault {
			addr = preferred(ctx, addr)
		}
	}
	return listen(ctx, addr, "--api")
}

// chosen is the flag's address, which must be free, else the default or any
// free port.
func chosen(ctx context.Context, flag, standard, name string) (string, error) {
	if flag == "" {
		return preferred(ctx, standard), nil
	}
	probe, err := listen(ctx, flag, name)
	if err != nil {
		return "", err
	}
	if _, port, _ := net.SplitHostPort(flag); port == "0" {
		flag = probe.Addr().String()
	}
	return flag, probe.Close()
}

func (d *devRun) startKafka(ctx context.Context) error {
	if len(d.cfg.KafkaBrokers) > 0 {
		d.kafka = d.cfg.KafkaBrokers
		return nil
	}
	addr, err := chosen(ctx, d.cmd.Kafka, defaultKafka, "--kafka")
	if err != nil {
		return err
	}
	d.embedded = true
	d.kafka, err = d.startBroker(ctx, d.parts, d.state, addr, "")
	return err
}

func (d *devRun) startEngine(ctx context.Context) error {
	if dsn := d.cfg.ClickHouseDSN.Reveal(); dsn != "" {
		var err error
		d.dsn, err = url.Parse(dsn)
		return err
	}
	addr, err := chosen(ctx, d.cmd.Clickhouse, defaultClickHouse, "--clickhouse")
	if err != nil {
		return err
	}
	password, _, err := loadKey(d.data, enginePasswordFile, true)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(d.engineFolder(), 0o700); err != nil {
		return fmt.Errorf("make engine folder: %w", err)
	}
	supervisor, err := engine.Start(ctx, engine.SupervisorConfig{
		Engine: engine.Config{Path: d.engineFolder(), Library: d.cfg.EngineLibrary, Address: addr, AppPassword: password, MemoryBytes: d.cfg.EngineMemory},
		Args:   []string{"engine"}, Log: d.log,
	})
	if err != nil {
		return err
	}
	d.parts.add("engine", supervisor.Stop)
	d.state.add("engine", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		return supervisor.WaitReady(ctx)
	})
	d.dsn, err = url.Parse(supervisor.DSN(engine.UserApp))
	return err
}

// openTables connects to both stores and brings tables and topics up to date.
func (d *devRun) openTables(ctx context.Context) (err error) {
	d.store, d.client, err = d.openStores(ctx, d.parts, &servers{Kafka: d.kafka, ClickHouse: d.dsn}, d.state)
	if err != nil {
		return err
	}
	if _, err := d.store.Migrate(ctx, func(ddl.Migration, bool) {}); err != nil {
		return err
	}
	if err := d.ensureTopics(ctx, d.client, d.embedded); err != nil || !d.cmd.NewEpoch {
		return err
	}
	// While dev refuses an unknown topic, migrate has no engine to talk to.
	_, err = registerEpoch(ctx, d.store.NewEpoch, d.client)
	return err
}

// startReaders starts what works on the stores.
func (d *devRun) startReaders(ctx context.Context) (err error) {
	if d.worker, err = d.startWorker(ctx, d.parts, d.state, d.client, d.store, d.signKey); err != nil {
		return err
	}
	d.settings = &networkSettings{kafka: d.client, key: d.signKey, now: time.Now}
	d.api, err = d.startAPI(ctx, d.parts, d.state, d.listener, d.store, d.settings, d.adminKey)
	return err
}

// readyTimeout bounds the wait for the worker: a large state takes seconds.
const readyTimeout = 2 * time.Minute

// unowned counts the partitions that no worker has reported yet.
func (d *devRun) unowned(ctx context.Context) (int, error) {
	count, err := d.client.Partitions(ctx, d.client.EventsTopic())
	if err != nil {
		return 0, err
	}
	rows, err := d.store.Query(ctx, query.Statement{
		Text: "SELECT toInt64(countIf(owned)) FROM partitions WHERE topic = {topic:String} AND " + newestEpoch,
		Args: []query.Arg{{Name: "topic", Value: d.client.EventsTopic()}},
	})
	if err != nil {
		return 0, err
	}
	var owned int64
	for rows.Next() {
		if err := rows.Scan(&owned); err != nil {
			return 0, errors.Join(err, rows.Close())
		}
	}
	return count - int(owned), errors.Join(rows.Err(), rows.Close())
}

// awaitWorker returns when the worker has joined its group and restored its
// partitions.
func (d *devRun) awaitWorker(ctx context.Context) error {
	deadline := time.Now().Add(readyTimeout)
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		why := d.worker.Health()
		if len(why) == 0 {
			unowned, err := d.unowned(ctx)
			if err != nil {
				return err
			}
			if unowned == 0 {
				return nil
			}
			why = []string{fmt.Sprintf("worker: %d partitions are being restored", unowned)}
		}
		// A halted partition needs a person, who needs the rest to run.
		if d.worker.Halted() || time.Now().After(deadline) {
			d.log.LogAttrs(ctx, slog.LevelError, "worker is not ready", slog.Any("why", why))
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-d.parts.failed:
			return err
		case <-ticker.C:
		}
	}
}

// ready tells the world: dev.json, the sample, the page's address, a curl.
func (d *devRun) ready(ctx context.Context) error {
	if err := d.awaitWorker(ctx); err != nil {
		return err
	}
	password, _ := d.dsn.User.Password()
	plain := *d.dsn
	plain.User, plain.Path = nil, ""
	address := httpAddress(d.listener)
	file := &devFile{
		API: address, ClickHouse: plain.String(), Metrics: d.state.Address(), Kafka: d.kafka,
		User: d.dsn.User.Username(), Password: password, AdminKey: d.adminKey,
		Page: address + d.api.PagePath(), Database: d.store.Database(), PID: os.Getpid(),
	}
	if err := file.write(d.data); err != nil {
		return err
	}
	if d.cmd.Sample != "" {
		if err := d.replaySample(ctx); err != nil {
			return err
		}
	}
	d.greet(file)
	if d.cmd.onReady != nil {
		d.cmd.onReady()
	}
	return nil
}

// greet prints where everything is. The page's token in dev.json is another
// one, because each works once.
func (d *devRun) greet(file *devFile) {
	key := "$(cat " + shellQuote(d.data+"/"+adminKeyFile) + ")"
	if d.cfg.AdminKey != "" {
		key = "$DAYBOOK_ADMIN_KEY"
	}
	fmt.Fprintf(d.std.err, "\nDaybook is ready.\n\n  page        %s\n  api         %s   (OpenAPI at /openapi.json)\n  clickhouse  %s   (user %s, password in %s)\n  kafka       %s\n  metrics     %s/metrics\n",
		file.API+d.api.PagePath(), file.API, file.ClickHouse, file.User, devFilePath(d.data), file.Kafka[0], file.Metrics)
	if d.newAdmin {
		fmt.Fprintf(d.std.err, "\n  admin key (shown this once, kept in %s): %s\n", adminKeyFile, d.adminKey)
	}
	fmt.Fprintf(d.std.err, "\nTry:\n\n  curl -H \"Authorization: Bearer %s\" %s/v1/networks\n\n", key, file.API)
}

func shellQuote(path string) string {
	for _, c := range path {
		if c == ' ' || c == '\'' || c == '"' || c == '$' {
			return fmt.Sprintf("%q", path)
		}
	}
	return path
}
