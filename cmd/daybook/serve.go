package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"daybook/clickhouse"
	"daybook/clickhouse/readapi"
	"daybook/schemas/zones"
)

type serveCmd struct {
	API string `help:"Address to listen on (default DAYBOOK_API_LISTEN)." placeholder:"ADDR"`
}

// Help is shown under the command's usage.
func (*serveCmd) Help() string {
	return `Serves the read API, its OpenAPI document and the page. It holds no state: run as many as you like.
With Kafka known it also takes changes of networks (PUT).

Example:
  DAYBOOK_CLICKHOUSE_DSN=http://u:p@ch:8123/daybook daybook serve --api :7311`
}

// Run serves until it is told to stop.
func (c *serveCmd) Run(ctx context.Context, a *app) error {
	found, err := a.needClickHouse()
	if err != nil {
		return err
	}
	run := newParts(a.log)
	err = c.start(ctx, a, run, found)
	if err == nil {
		err = run.wait(ctx)
	}
	// Shutdown: 1. the API finishes its answers; 2. the connections to storage and
	// Kafka close; 3. the metrics listener.
	return errors.Join(err, run.stop(ctx))
}

func (c *serveCmd) start(ctx context.Context, a *app, run *parts, found *servers) error {
	state, err := startHealth(ctx, a.cfg.MetricsListen, a.log)
	if err != nil {
		return err
	}
	run.add("metrics", state.Close)
	store, err := clickhouse.Open(ctx, clickhouse.Options{DSN: found.ClickHouse.String(), Log: a.log})
	if err != nil {
		return err
	}
	run.add("storage", func(context.Context) error { return store.Close() })
	state.add("clickhouse", answers(store))
	settings, err := a.settingsForAPI(run, found)
	if err != nil {
		return err
	}
	key, made, err := a.adminKey()
	if err != nil {
		return err
	}
	addr := c.API
	if addr == "" {
		addr = a.cfg.APIListen
	}
	listener, err := listen(ctx, addr, "--api or DAYBOOK_API_LISTEN")
	if err != nil {
		return err
	}
	api, err := a.startAPI(ctx, run, state, listener, store, settings, key)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	fmt.Fprintf(a.std.err, "page %s\n", httpAddress(listener)+api.PagePath())
	if made {
		fmt.Fprintf(a.std.err, "admin key (shown once, kept in %s): %s\n", adminKeyFile, key)
	}
	return nil
}

// settingsForAPI lets the API change networks if Kafka and the installation's
// key are known; else its PUT says that it cannot.
func (a *app) settingsForAPI(run *parts, found *servers) (readapi.SettingsWriter, error) {
	if len(found.Kafka) == 0 {
		return nil, nil //nolint:nilnil // an API without Kafka reads only.
	}
	client, err := a.kafkaClient(found.Kafka)
	if err != nil {
		return nil, err
	}
	run.add("kafka", func(context.Context) error { client.Close(); return nil })
	return a.openSettings(client)
}

// startAPI serves the read API on a listener.
func (a *app) startAPI(ctx context.Context, run *parts, state *health, listener net.Listener, store *clickhouse.Store, settings readapi.SettingsWriter, key string) (*readapi.API, error) {
	api, err := readapi.New(readapi.Config{
		DB: store, Settings: settings, AdminKeys: []readapi.KeyHash{readapi.HashKey(key)},
		Logger: a.log, Registerer: state.registry, TzdataVersion: zones.Version, Origins: a.cfg.APIOrigins,
	})
	if err != nil {
		return nil, err
	}
	server := readapi.NewServer(api)
	run.run(ctx, "api", func(ctx context.Context) error {
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(listener) }()
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
		}
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout/2)
		defer cancel()
		if err := server.Shutdown(own); err != nil {
			_ = server.Close() // a CSV that takes longer is cut, and its reader sees that
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	a.log.LogAttrs(ctx, slog.LevelInfo, "read API listens", slog.String("address", httpAddress(listener)))
	return api, nil
}

// httpAddress is how a client on this machine reaches the listener.
func httpAddress(listener net.Listener) string {
	host, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return "http://" + listener.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}
