package clickhouse_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"daybook/clickhouse"
	"daybook/clickhouse/engine/enginetest"
	"daybook/schemas"
)

// broken is the engine behind a door that fails on demand: it answers the next
// inserts itself, before or after ClickHouse has done the work.
type broken struct {
	proxy  *httputil.ReverseProxy
	fail   atomic.Int32 // inserts still to fail
	after  atomic.Bool  // let ClickHouse apply them, and lose the answer
	code   atomic.Int32 // ClickHouse's error code; 0: the connection breaks
	insert atomic.Int32 // inserts seen
}

func (b *broken) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.URL.RawQuery, "INSERT") || b.insert.Add(1) > 0 && b.fail.Add(-1) < 0 {
		b.proxy.ServeHTTP(w, r)
		return
	}
	if b.after.Load() {
		b.proxy.ServeHTTP(httptest.NewRecorder(), r)
	}
	if code := b.code.Load(); code != 0 {
		http.Error(w, "Code: "+strconv.Itoa(int(code))+". DB::Exception: made up. (MADE_UP)", http.StatusInternalServerError)
		return
	}
	panic(http.ErrAbortHandler)
}

// behind opens a Store on the engine through a breakable door.
func behind(t *testing.T, o clickhouse.Options) (*clickhouse.Store, *broken) {
	t.Helper()
	target, err := url.Parse(enginetest.StartForTest(t))
	if err != nil {
		t.Fatal(err)
	}
	b := &broken{proxy: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: target.Host})}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	target.Host = strings.TrimPrefix(server.URL, "http://")
	o.DSN = target.String()
	s, err := clickhouse.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Migrate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return s, b
}

func oneEvent() *schemas.Flush {
	f := flush(10)
	f.Events = []schemas.EventRow{event("n", "u", "1", 5, 1_700_000_000_000)}
	return f
}

func TestWrite_TriesAgainAfterTransientErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		code  int32
		after bool
	}{"connection breaks": {0, false}, "answer is lost after the insert": {0, true}, "too many parts": {252, false}, "memory limit": {241, true}} {
		t.Run(name, func(t *testing.T) {
			var last clickhouse.InsertStats
			s, b := behind(t, clickhouse.Options{OnInsert: func(i clickhouse.InsertStats) { last = i }})
			b.code.Store(tc.code)
			b.after.Store(tc.after)
			b.fail.Store(2)
			write(t, s, oneEvent())
			if last.Attempts != 3 || last.Err != nil {
				t.Errorf("%+v, want success at the third attempt", last)
			}
			if got := text(t, s, "SELECT toString(count()) FROM events"); got[0] != "1" {
				t.Errorf("%s events, want 1", got[0])
			}
		})
	}
}

func TestWrite_GivesUpAtOnceOnARefusal(t *testing.T) {
	s, b := behind(t, clickhouse.Options{})
	b.code.Store(60) // unknown table
	b.fail.Store(1000)
	before := b.insert.Load()
	if err := s.Write(t.Context(), oneEvent()); !errors.Is(err, clickhouse.ErrPermanent) || errors.Is(err, clickhouse.ErrTransient) {
		t.Errorf("got %v, want ErrPermanent", err)
	}
	if n := b.insert.Load() - before; n != 1 {
		t.Errorf("%d tries, want 1", n)
	}
}

func TestWrite_EndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("partition revoked")
	s, b := behind(t, clickhouse.Options{})
	b.fail.Store(1 << 30)
	done := make(chan error)
	go func() { done <- s.Write(ctx, oneEvent()) }()
	cancel(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("got %v, want the cause", err)
	}
}

func TestOpen_NamesTheRemedy(t *testing.T) {
	for dsn, want := range map[string]string{
		"clickhouse://h:9000/d": "http://h:8123/d", "tcp://h:9000/d": "HTTP address", "ftp://h/d": "want http://", "http:///d": "no host", "http://a b/": "want http://",
	} {
		_, err := clickhouse.Open(t.Context(), clickhouse.Options{DSN: dsn})
		if !errors.Is(err, clickhouse.ErrAddress) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want it to name %q", dsn, err, want)
		}
	}
	if _, err := clickhouse.Open(t.Context(), clickhouse.Options{DSN: "http://u:secret%zz@h/"}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("the password is in the error: %v", err)
	}
	if _, err := clickhouse.Open(t.Context(), clickhouse.Options{DSN: "http://127.0.0.1:1/d"}); !errors.Is(err, clickhouse.ErrTransient) {
		t.Errorf("nobody listens: %v, want ErrTransient", err)
	}
}
