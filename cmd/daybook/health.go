package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// check says why a part is not ready; nil if it is.
type check func(ctx context.Context) error

// health is the listener for machines: /metrics, /livez, /readyz with reasons,
// and pprof. It is its own listener on loopback, because what it tells is for
// the operator only (TRUST.md section 3).
type health struct {
	registry *prometheus.Registry
	server   *http.Server
	listener net.Listener
	done     chan struct{}

	mu     sync.Mutex
	names  []string // in the order in which the parts started
	checks map[string]check
	notes  map[string]func() []string // of parts that are ready, but have something to say
}

// newRegistry is what every part registers with.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "daybook_build_info", Help: "Always 1; the label names the version.", ConstLabels: prometheus.Labels{"version": buildVersion()},
	})
	build.Set(1)
	registry.MustRegister(build)
	return registry
}

// startHealth listens; the parts add their checks as they start.
func startHealth(ctx context.Context, addr string, log *slog.Logger) (*health, error) {
	listener, err := listen(ctx, addr, "METRICS_LISTEN")
	if err != nil {
		return nil, err
	}
	h := &health{registry: newRegistry(), listener: listener, done: make(chan struct{}), checks: make(map[string]check), notes: make(map[string]func() []string)}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(h.registry, promhttp.HandlerOpts{Registry: h.registry}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", h.readyz)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	h.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	go func() {
		defer close(h.done)
		if err := h.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.LogAttrs(ctx, slog.LevelError, "metrics listener ended", slog.String("error", err.Error()))
		}
	}()
	return h, nil
}

// Address has a scheme, as dev.json wants it.
func (h *health) Address() string { return "http://" + h.listener.Addr().String() }

// add makes /readyz depend on a part.
func (h *health) add(name string, c check) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.names = append(h.names, name)
	h.checks[name] = c
}

// note makes /readyz tell what a part has to say although it is ready.
func (h *health) note(name string, n func() []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notes[name] = n
}

// readyz answers 200 if every part is ready, else 503; a line a part, with the
// reason.
func (h *health) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
	defer cancel()
	h.mu.Lock()
	names := append([]string(nil), h.names...)
	h.mu.Unlock()
	var text strings.Builder
	status := http.StatusOK
	for _, name := range names {
		h.mu.Lock()
		c, n := h.checks[name], h.notes[name]
		h.mu.Unlock()
		if err := c(ctx); err != nil {
			status = http.StatusServiceUnavailable
			// A joined error has a line a cause; here a line is a part.
			fmt.Fprintf(&text, "%s: not ready: %s\n", name, strings.ReplaceAll(err.Error(), "\n", "; "))
			continue
		}
		fmt.Fprintf(&text, "%s: ok\n", name)
		if n == nil {
			continue
		}
		for _, line := range n() {
			fmt.Fprintf(&text, "%s: %s\n", name, line)
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text.String())) // a client that went away needs no answer
}

// Close stops answering.
func (h *health) Close(ctx context.Context) error {
	err := h.server.Shutdown(ctx)
	<-h.done
	return err
}

// listen names the remedy when the port is taken: the flag's or variable's
// name.
func listen(ctx context.Context, addr, setting string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: the port is in use; stop the other process, or choose another address with %s", addr, setting)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return listener, nil
}

// preferred gives addr if it is free, else any free port of the same host. It
// is for defaults that nobody chose: an address that was asked for is an error
// if it is taken.
func preferred(ctx context.Context, addr string) string {
	listener, err := listen(ctx, addr, "")
	if err != nil {
		host, _, _ := net.SplitHostPort(addr)
		return net.JoinHostPort(host, "0")
	}
	_ = listener.Close() // it was only a question
	return addr
}
