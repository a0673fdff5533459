package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// runStored is the product: worker and engine, every event, session, slice and
// account in its table. Its sessions are read from the view that people ask.
func runStored(ctx context.Context, s *site) (measured, error) { return s.runDaybook(ctx, false) }

// runDropped is the same worker process before an engine that throws rows away:
// they are encoded and sent, and a stand-in in this process takes them. Questions
// reach a real engine, whose tables stay empty.
func runDropped(ctx context.Context, s *site) (measured, error) { return s.runDaybook(ctx, true) }

func (s *site) runDaybook(ctx context.Context, drop bool) (m measured, err error) {
	name := s.runName("daybook")
	e, err := s.startEngine(ctx, name+"-engine", 0)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, e.close(), s.forgetCheckpoints(context.WithoutCancel(ctx))) }()
	address := e.address
	if drop {
		stand, err := startSink(ctx, e.address)
		if err != nil {
			return m, err
		}
		defer stand.Close()
		address = stand.address
	}
	env := []string{"DAYBOOK_CLICKHOUSE_DSN=" + dsn(e.address)}
	if out, err := s.daybook(ctx, env, "migrate").CombinedOutput(); err != nil {
		return m, fmt.Errorf("daybook migrate: %w\n%s", err, out)
	}
	env = []string{"DAYBOOK_CLICKHOUSE_DSN=" + dsn(address), "DAYBOOK_GROUP=" + name}
	w, err := launch("worker", filepath.Join(s.dir, "logs", name+".log"), s.daybook(ctx, env, "worker"))
	if err != nil {
		return m, err
	}
	defer w.kill()
	started, err := w.await(ctx, `"msg":"worker started"`)
	if err != nil {
		return m, err
	}
	if _, err := w.await(ctx, `"msg":"resume"`); err != nil {
		return m, err
	}
	m.first = time.Now()
	w.begin()
	e.begin()
	if m.last, err = s.awaitCommits(ctx, name); err != nil {
		return m, w.explain(err)
	}
	w.end()
	accepted, err := scrape(ctx, started, "daybook_worker_accepted_total")
	if err != nil {
		return m, err
	}
	worker, err := w.whole(ctx, syscall.SIGTERM)
	if err != nil {
		return m, err
	}
	m.parts = []usage{worker}
	if drop {
		if accepted != strconv.Itoa(s.events) {
			return m, fmt.Errorf("the worker accepted %s events, want %d", accepted, s.events)
		}
		m.got = s.want // its rows are gone; the same worker is checked by runStored
		return m, nil
	}
	stored, err := e.settled(ctx)
	if err != nil {
		return m, err
	}
	m.parts = append(m.parts, stored)
	m.got, err = e.sessions(ctx, "(SELECT concat(network_id, '/', user_id) AS who, started_ms, ended_ms, events FROM sessions)")
	return m, err
}

// scrape reads one counter from the metrics whose address a log line tells.
func scrape(ctx context.Context, line, name string) (string, error) {
	found := regexp.MustCompile(`"metrics":"(?:http://)?([^"/]+)`).FindStringSubmatch(line)
	if found == nil {
		return "", fmt.Errorf("find metrics in %q: no address", line)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+found[1]+"/metrics", nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			var n float64 // large counters are written as 1e+06
			_, err := fmt.Sscan(value, &n)
			return fmt.Sprintf("%.0f", n), err
		}
	}
	return "", fmt.Errorf("read metric %s from %s: it is not there", name, found[1])
}

// sink stands before an engine and takes inserted rows in its place.
type sink struct {
	http.Server

	address string
}

func startSink(ctx context.Context, engine string) (*sink, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	pass := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: engine})
	s := &sink{address: listener.Addr().String()}
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Query().Get("query"), "INSERT INTO ") {
			_, _ = io.Copy(io.Discard, r.Body) // a broken body breaks the answer too
			return
		}
		pass.ServeHTTP(w, r)
	})
	go func() { _ = s.Serve(listener) }() // until Close
	return s, nil
}
