package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"daybook/clickhouse/engine"
)

// dashboard is the origin that the tests' homes let read by CORS.
const dashboard = "https://dashboard.example"

// home is a running dev in this process, with the engine as a child.
type home struct {
	data string
	stop context.CancelFunc
	done chan error
	log  *bytes.Buffer // read only after done
}

// startDev runs dev until the test ends. It skips without the engine, unless
// DAYBOOK_REQUIRE_ENGINE says that it must be there.
func startDev(t *testing.T, data string, cmd devCmd) *home {
	t.Helper()
	if _, err := engine.FindLibrary(""); err != nil {
		if os.Getenv("DAYBOOK_REQUIRE_ENGINE") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd.API, cmd.Kafka, cmd.Clickhouse = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	h := &home{data: data, done: make(chan error, 1), log: new(bytes.Buffer)}
	a, err := newApp(&cli{Data: data}, stdio{out: io.Discard, err: h.log}, []string{"DAYBOOK_LOG_FORMAT=json", "DAYBOOK_API_ORIGINS=" + dashboard})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	ready := make(chan struct{})
	cmd.onReady = func() { close(ready) }
	go func() { h.done <- cmd.Run(ctx, a) }()
	t.Cleanup(func() { h.stopDev(t) })
	select {
	case <-ready:
	case err := <-h.done:
		h.done <- err
		t.Fatalf("dev ended: %v\n%s", err, h.log)
	case <-time.After(2 * time.Minute):
		t.Fatal("dev is not ready after two minutes")
	}
	return h
}

// stopDev ends dev as a signal would; twice is harmless.
func (h *home) stopDev(t *testing.T) {
	t.Helper()
	if h.stop == nil {
		return
	}
	h.stop()
	h.stop = nil
	if err := <-h.done; err != nil {
		t.Errorf("dev ended with %v\n%s", err, h.log)
	}
	if _, err := os.Stat(devFilePath(h.data)); err == nil {
		t.Error("dev.json is still there")
	}
}

// run runs a command on the home's servers.
func (h *home) run(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(append(args, "--data", h.data), stdio{out: &stdout, err: &stderr}, []string{"DAYBOOK_LOG_FORMAT=json"})
	if code != 0 {
		t.Logf("daybook %s: exit %d\n%s", strings.Join(args, " "), code, stderr.String())
	}
	return stdout.String(), code
}

func (h *home) sql(t *testing.T, text string) string {
	t.Helper()
	out, code := h.run(t, "sql", text)
	if code != 0 {
		t.Fatalf("sql %s: exit %d", text, code)
	}
	return strings.TrimSpace(out)
}

const sampleLog = "testdata/sample/apache_logs.gz"

// Issue 3, Apache log: 9,999 of 10,000 lines accepted, 1 kept as a reject with
// its reason; a second replay changes nothing; everything is there after a
// restart.
func TestDev_Sample(t *testing.T) {
	data := filepath.Join(t.TempDir(), "home")
	h := startDev(t, data, devCmd{})
	out, code := h.run(t, "replay", sampleLog, "--network", "web", "--wait")
	want := "read 10000\naccepted 9999 (of these late 0)\nduplicate 0\nnot recorded 0\nrejected 1 (unmappable 1)\n"
	if out != want || code != exitRejected {
		t.Errorf("first replay: exit %d\n%s", code, out)
	}
	if got := h.sql(t, "SELECT reason, line FROM rejects"); got != "unmappable\t8899" {
		t.Errorf("rejects: %q", got)
	}
	if got := h.sql(t, "SELECT uniqExact(device_class), sum(events) FROM sessions"); got != "2\t9999" {
		t.Errorf("classes and events of the sessions: %q", got)
	}
	before := h.sql(t, tablesDigest)

	out, code = h.run(t, "replay", "--wait", sampleLog, "--network", "web")
	want = "read 10000\naccepted 0 (of these late 0)\nduplicate 9999\nnot recorded 0\nrejected 1 (unmappable 1)\n"
	if out != want || code != exitRejected {
		t.Errorf("second replay: exit %d\n%s", code, out)
	}
	if after := h.sql(t, tablesDigest); after != before {
		t.Errorf("the second replay changed the tables: %s, before %s", after, before)
	}
	if out, code := h.run(t, "trace", "apache_logs.gz:1"); code != 0 || !strings.Contains(out, "session  ") {
		t.Errorf("trace: exit %d\n%s", code, out)
	}
	if out, code := h.run(t, "status"); code != 0 || !strings.HasPrefix(out, "lag 0 records\n") {
		t.Errorf("status: exit %d\n%s", code, out)
	}
	h.checkDoors(t)

	h.stopDev(t)
	h = startDev(t, data, devCmd{})
	if after := h.sql(t, tablesDigest); after != before {
		t.Errorf("the restart changed the tables: %s, before %s", after, before)
	}
}

// tablesDigest is one line that tells any difference of what people query.
const tablesDigest = `SELECT
  (SELECT sum(cityHash64(network_id, user_id, event_id, time, type, device_class)) FROM events),
  (SELECT sum(cityHash64(network_id, user_id, session_id, started_at, ended_at, events)) FROM sessions),
  (SELECT sum(cityHash64(network_id, user_id, date, session_id, duration_s)) FROM session_days)`

// checkDoors asks the API and the listener for machines.
func (h *home) checkDoors(t *testing.T) {
	t.Helper()
	dev, err := readDevFile(h.data)
	if err != nil || dev == nil {
		t.Fatalf("dev.json: %v", err)
	}
	if info, err := os.Stat(devFilePath(h.data)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("dev.json has mode %v, %v", info.Mode(), err)
	}
	for address, want := range map[string]string{
		dev.Metrics + "/livez":    "ok",
		dev.Metrics + "/readyz":   "worker: ok",
		dev.Metrics + "/metrics":  "daybook_worker_accepted_total 9999",
		dev.API + "/v1/networks":  `"network_id":"web"`,
		dev.API + "/openapi.json": `"3.1`,
	} {
		status, body := get(t, address, dev.AdminKey)
		if status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d, lacks %q", address, status, want)
		}
	}
	if status, _ := get(t, dev.API+"/v1/networks", "wrong"); status != http.StatusUnauthorized {
		t.Errorf("a wrong key gets %d", status)
	}
	checkPreflight(t, dev.API+"/v1/networks")
}

// checkPreflight asks as a browser does before a dashboard's first read, which
// has no key yet.
func checkPreflight(t *testing.T, address string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", dashboard)
	req.Header.Set("Access-Control-Request-Method", http.MethodGet)
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if got := answer.Header.Get("Access-Control-Allow-Origin"); answer.StatusCode != http.StatusNoContent || got != dashboard {
		t.Errorf("preflight of %s: %d, allows %q", dashboard, answer.StatusCode, got)
	}
}

func get(t *testing.T, address, key string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// A second dev on the same folder, and a port in use, are clear errors.
func TestDev_Refuses(t *testing.T) {
	data := filepath.Join(t.TempDir(), "home")
	h := startDev(t, data, devCmd{})
	if out, code := h.run(t, "dev"); code != exitFailed {
		t.Errorf("a second dev: exit %d, %s", code, out)
	}
	dev, err := readDevFile(data)
	if err != nil {
		t.Fatal(err)
	}
	other := stdio{out: io.Discard, err: new(bytes.Buffer)}
	code := run([]string{"dev", "--data", filepath.Join(t.TempDir(), "other"), "--api", strings.TrimPrefix(dev.API, "http://")}, other, nil)
	if text := fmt.Sprint(other.err); code != exitFailed || !strings.Contains(text, "the port is in use") {
		t.Errorf("a port in use: exit %d, %s", code, text)
	}

	// Nothing recorded is said loudly, with the remedy (INTERFACES.md section 7).
	events := filepath.Join(t.TempDir(), "e.ndjson")
	if err := os.WriteFile(events, []byte(`{"id":"1","network":"nope","user":"u","time":"2026-01-01T00:00:00Z"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := h.run(t, "replay", events, "--wait"); code != exitRejected || !strings.Contains(out, "rejected 1 (unknown_network 1)") {
		t.Errorf("unknown network: exit %d\n%s", code, out)
	}
	if _, code := h.run(t, "network", "set", "nope", "--recording", "off"); code != 0 {
		t.Fatal("network set failed")
	}
	if out, code := h.run(t, "replay", events, "--wait"); code != exitRejected || !strings.Contains(out, "not recorded 1 (recording_disabled 1)") {
		t.Errorf("recording off: exit %d\n%s", code, out)
	}
}

// A replay that cannot reach Kafka says how much was acknowledged.
func TestReplay_TellsWhatWasAcknowledged(t *testing.T) {
	a, err := newApp(&cli{Data: t.TempDir()}, stdio{out: io.Discard, err: io.Discard}, nil)
	if err != nil {
		t.Fatal(err)
	}
	opts, err := (&replayCmd{Format: "auto", Network: "n"}).options()
	if err != nil {
		t.Fatal(err)
	}
	open := func(context.Context) (producer, error) { return &failingProducer{after: 4000}, nil }
	job := &replayJob{app: a, open: open, opts: opts, order: "file"}
	err = job.run(t.Context(), []string{sampleLog})
	if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "4000 of ") {
		t.Errorf("got %v", err)
	}
}
