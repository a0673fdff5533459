package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// /readyz says which part is not ready, and why; /livez does not care.
func TestHealth_TellsReasons(t *testing.T) {
	h, err := startHealth(t.Context(), "127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close(context.Background()) }()
	broken := errors.Join(errors.New("no leader"), errors.New("no answer"))
	h.add("kafka", func(context.Context) error { return broken })
	h.add("clickhouse", func(context.Context) error { return nil })
	for _, c := range []struct {
		path   string
		err    error
		status int
		want   string
	}{
		{"/readyz", broken, http.StatusServiceUnavailable, "kafka: not ready: no leader; no answer\nclickhouse: ok\n"},
		{"/livez", broken, http.StatusOK, "ok\n"},
		{"/readyz", nil, http.StatusOK, "kafka: ok\nclickhouse: ok\n"},
	} {
		broken = c.err
		if status, body := get(t, h.Address()+c.path, ""); status != c.status || body != c.want {
			t.Errorf("%s: %d %q, want %d %q", c.path, status, body, c.status, c.want)
		}
	}
	if _, body := get(t, h.Address()+"/metrics", ""); !strings.Contains(body, "daybook_build_info") {
		t.Error("/metrics lacks the version")
	}
}

func TestLockFolder_KeepsASecondOut(t *testing.T) {
	data := filepath.Join(t.TempDir(), "home")
	lock, err := lockFolder(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockFolder(data); err == nil || !strings.Contains(err.Error(), "already runs on it") {
		t.Errorf("a second lock: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := lockFolder(data) // the file of a crash locks nobody out
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

func TestLoadKey_MadeOnceAndPrivate(t *testing.T) {
	data := filepath.Join(t.TempDir(), "home")
	if _, _, err := loadKey(data, "x.key", false); !errors.Is(err, errNoKey) {
		t.Errorf("a key that is not there and must not be made: %v", err)
	}
	first, made, err := loadKey(data, "x.key", true)
	if err != nil || !made {
		t.Fatal(made, err)
	}
	second, made, err := loadKey(data, "x.key", true)
	if err != nil || made || first != second {
		t.Errorf("the second time: made %v, same %v, %v", made, first == second, err)
	}
	info, err := os.Stat(filepath.Join(data, "x.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := parseInstallationKey(first); err != nil {
		t.Error(err)
	}
}

// Parts stop in the opposite order of their start, and one that ends by itself
// ends the process.
func TestParts_Order(t *testing.T) {
	p := newParts(slog.New(slog.DiscardHandler))
	var order []string
	note := func(name string) func(context.Context) error {
		return func(context.Context) error { order = append(order, name); return nil }
	}
	p.add("broker", note("broker"))
	p.run(t.Context(), "worker", func(ctx context.Context) error {
		<-ctx.Done()
		order = append(order, "worker")
		return context.Cause(ctx)
	})
	p.add("api", note("api"))
	p.run(t.Context(), "broken", func(context.Context) error { return errBroken })
	if err := p.wait(t.Context()); !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "run broken") {
		t.Errorf("wait: %v", err)
	}
	if err := p.stop(t.Context()); !errors.Is(err, errBroken) {
		t.Errorf("stop: %v", err)
	}
	if got := strings.Join(order, " "); got != "api worker broker" {
		t.Errorf("stopped in the order %s", got)
	}
}
