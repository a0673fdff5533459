package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
)

// Ready is the one line of JSON that the child prints when it takes requests.
type Ready struct {
	Address string `json:"address"` // host:port
	Version string `json:"version"` // of ClickHouse
}

// Serve runs the engine and its door in this process until ctx ends: the body
// of the child process. It prints Ready on stdout and logs to log. The engine
// can be started once a process. The error wraps ErrNoLibrary or ErrPathInUse
// where that is the reason.
func Serve(ctx context.Context, cfg Config, stdout io.Writer, log *slog.Logger) error {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return err
	}
	library, err := FindLibrary(cfg.Library)
	if err != nil {
		return err
	}
	unlock, err := lockPath(ctx, cfg.Path, cfg.LockTimeout)
	if err != nil {
		return err
	}
	defer unlock()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Address)
	if err != nil {
		return fmt.Errorf("listen for engine %s: %w", cfg.Address, err)
	}
	defer listener.Close()
	d, err := openDoor(cfg, library, log)
	if err != nil {
		return err
	}
	defer d.close()
	line, err := json.Marshal(Ready{Address: listener.Addr().String(), Version: d.version})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "%s\n", line); err != nil {
		return fmt.Errorf("report engine address: %w", err)
	}
	return d.listen(ctx, listener)
}

// openDoor starts the engine and makes the default database.
func openDoor(cfg Config, library string, log *slog.Logger) (*door, error) {
	api, err := loadLibrary(library)
	if err != nil {
		return nil, err
	}
	argv, err := writeConfigFiles(cfg)
	if err != nil {
		return nil, err
	}
	o := &opener{api: api, argv: argv}
	// Held outside the pool to the end: closing the last connection shuts the
	// engine down.
	killer, err := o.open(roleApp)
	if err != nil {
		return nil, fmt.Errorf("start engine in %s: %w", cfg.Path, err)
	}
	d := &door{cfg: cfg, log: log, accounts: newAccounts(cfg), killer: killer, now: time.Now}
	d.chunks.New = func() any { return new([insertChunk]byte) }
	d.pool = newPool(cfg, o.open)
	d.sessions = newSessions(cfg, d.pool)
	if err := killer.exec("CREATE DATABASE IF NOT EXISTS " + quoteName(cfg.Database)); err != nil {
		killer.close()
		return nil, fmt.Errorf("make engine database %s: %w", cfg.Database, err)
	}
	facts, err := killer.text("SELECT displayName(), version(), timezone()")
	fields := strings.Split(strings.TrimSpace(facts), "\t")
	if err != nil || len(fields) != 3 {
		killer.close()
		return nil, fmt.Errorf("ask engine version: %w", err)
	}
	if fields[2] != "UTC" && fields[2] != "Etc/UTC" {
		killer.close()
		return nil, fmt.Errorf("start engine: its time zone is %s; start the process with TZ=UTC", fields[2])
	}
	d.displayName, d.version = fields[0], fields[1]
	return d, nil
}

// listen serves until ctx ends, then stops in this order: 1. no new request;
// 2. half of the time for those that run; 3. cancel what is left; 4. close.
func (d *door) listen(ctx context.Context, listener net.Listener) error {
	base, cancelAll := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancelAll(nil)
	server := &http.Server{
		Handler:           d,
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       5 * time.Minute,
		MaxHeaderBytes:    1 << 20,
		ErrorLog:          slog.NewLogLogger(d.log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve engine: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.cfg.ShutdownTimeout/2)
	err := server.Shutdown(grace)
	cancel()
	if err == nil {
		return nil
	}
	cancelAll(errors.New("engine stops"))
	grace, cancel = context.WithTimeout(context.WithoutCancel(ctx), d.cfg.ShutdownTimeout/2)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close() // the process ends next; acknowledged rows are durable
		return fmt.Errorf("stop engine: %w", err)
	}
	return nil
}

// close ends the engine, within a bound: closing waits for what still runs.
func (d *door) close() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.sessions.close()
		d.pool.close()
		d.killerMu.Lock()
		defer d.killerMu.Unlock()
		d.killer.close()
		d.killer = nil
	}()
	timer := time.NewTimer(d.cfg.ShutdownTimeout)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		// Leaving without the close is safe: Go's exit runs none of the C
		// library's exit handlers, and the next start replays nothing.
	}
}
