package faultproxy_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"daybook/cmd/daybook/e2e/faultproxy"
)

// echo answers each line with "did LINE" and remembers what it was told.
type echo struct {
	net.Listener

	mu   sync.Mutex
	told []string
}

func startEcho(t *testing.T) *echo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{Listener: l}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go e.serve(c)
		}
	}()
	return e
}

func (e *echo) serve(c net.Conn) {
	defer c.Close()
	for lines := bufio.NewReader(c); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return // half a line is none
		}
		e.mu.Lock()
		e.told = append(e.told, strings.TrimSuffix(line, "\n"))
		e.mu.Unlock()
		if _, err := io.WriteString(c, "did "+line); err != nil {
			return
		}
	}
}

func (e *echo) heard() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.told, ",")
}

func start(t *testing.T) (*faultproxy.Proxy, *echo) {
	t.Helper()
	e := startEcho(t)
	p, err := faultproxy.Start("127.0.0.1:0", e.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p, e
}

// limit bounds what must not block.
const limit = 30 * time.Second

func dial(t *testing.T, p *faultproxy.Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(limit))
	return c
}

// ask sends a line and gives what comes back, a cut answer with its error.
func ask(c net.Conn, line string) (string, error) {
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return "", err
	}
	return bufio.NewReader(c).ReadString('\n')
}

func TestProxy_Forwards(t *testing.T) {
	p, e := start(t)
	c := dial(t, p)
	for _, line := range []string{"a", "b"} {
		if got, err := ask(c, line); err != nil || got != "did "+line+"\n" {
			t.Fatalf("asked %s: %q, %v", line, got, err)
		}
	}
	if e.heard() != "a,b" {
		t.Errorf("the server heard %s", e.heard())
	}
}

// The server has obeyed; the client sees a reset, and only for what matches.
func TestProxy_CutsTheAnswerOfADeliveredRequest(t *testing.T) {
	p, e := start(t)
	lost := p.Cut(faultproxy.Cut{Match: faultproxy.Contains("insert"), Times: 2})
	other := dial(t, p)
	for range 2 {
		if got, err := ask(dial(t, p), "insert"); got != "" || err == nil {
			t.Fatalf("the answer came: %q, %v", got, err)
		}
		if got, err := ask(other, "select"); err != nil || got != "did select\n" {
			t.Fatalf("another request was cut: %q, %v", got, err)
		}
	}
	<-lost
	if e.heard() != "insert,select,insert,select" {
		t.Errorf("the server heard %s", e.heard())
	}
	if got, err := ask(dial(t, p), "insert"); err != nil || got != "did insert\n" {
		t.Errorf("a third answer: %q, %v", got, err)
	}
}

func TestProxy_CutsAfterSomeBytes(t *testing.T) {
	p, e := start(t)
	lost := p.Cut(faultproxy.Cut{After: 5})
	if got, err := ask(dial(t, p), "hello"); got != "did h" || err == nil {
		t.Errorf("5 bytes of the answer: %q, %v", got, err)
	}
	<-lost
	lost = p.Cut(faultproxy.Cut{Request: true, After: 3})
	if got, err := ask(dial(t, p), "world"); got != "" || err == nil {
		t.Errorf("an answer to half a request: %q, %v", got, err)
	}
	<-lost
	if e.heard() != "hello" {
		t.Errorf("the server heard %s; half a line is none", e.heard())
	}
}

// Nothing passes, and nothing is lost: it passes when the hole is closed.
func TestProxy_BlackHoleHoldsWhatWasSent(t *testing.T) {
	p, e := start(t)
	old := dial(t, p)
	if _, err := ask(old, "before"); err != nil {
		t.Fatal(err)
	}
	if err := p.Set(faultproxy.Weather{BlackHole: true}); err != nil {
		t.Fatal(err)
	}
	fresh := dial(t, p) // is accepted
	for _, c := range []net.Conn{old, fresh} {
		_ = c.SetDeadline(time.Now().Add(50 * time.Millisecond))
		if got, err := ask(c, "in"); !errors.Is(err, syscall.ETIMEDOUT) && !isTimeout(err) {
			t.Fatalf("something came through: %q, %v", got, err)
		}
		_ = c.SetDeadline(time.Now().Add(limit))
	}
	if e.heard() != "before" {
		t.Errorf("the server heard %s", e.heard())
	}
	if err := p.Heal(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{old, fresh} {
		if got, err := bufio.NewReader(c).ReadString('\n'); err != nil || got != "did in\n" {
			t.Errorf("after it: %q, %v", got, err)
		}
	}
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

func TestProxy_RefusesAndComesBack(t *testing.T) {
	p, _ := start(t)
	old := dial(t, p)
	if _, err := ask(old, "a"); err != nil {
		t.Fatal(err)
	}
	if err := p.Set(faultproxy.Weather{Refuse: true}); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", p.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("somebody listens: %v, %v", c, err)
	}
	if _, err := ask(old, "b"); err != nil {
		t.Errorf("a connection that existed: %v", err)
	}
	if err := p.Heal(); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(dial(t, p), "c"); err != nil {
		t.Errorf("after it: %v", err)
	}
}

func TestProxy_ResetsEveryConnection(t *testing.T) {
	p, _ := start(t)
	all := []net.Conn{dial(t, p), dial(t, p)}
	for _, c := range all {
		if _, err := ask(c, "a"); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.Reset(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
	for _, c := range all {
		if _, err := ask(c, "b"); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			t.Errorf("got %v, want a reset", err)
		}
	}
}

func TestProxy_TakesItsTime(t *testing.T) {
	p, _ := start(t)
	c := dial(t, p)
	took := func(line string) time.Duration {
		begin := time.Now()
		if _, err := ask(c, line); err != nil {
			t.Fatal(err)
		}
		return time.Since(begin)
	}
	if err := p.Set(faultproxy.Weather{Latency: 20 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	if d := took("a"); d < 40*time.Millisecond {
		t.Errorf("20 ms there and 20 back took %s", d)
	}
	if err := p.Set(faultproxy.Weather{BytesPerSecond: 10_000}); err != nil {
		t.Fatal(err)
	}
	if d := took(strings.Repeat("x", 499)); d < 100*time.Millisecond {
		t.Errorf("1 kB at 10 kB/s took %s", d)
	}
}

func TestKafkaKey_ReadsTheHeader(t *testing.T) {
	commit := []byte{0, 0, 0, 20, 0, 8, 0, 2}
	if !faultproxy.KafkaKey(8)(commit) || faultproxy.KafkaKey(1)(commit) || faultproxy.KafkaKey(8)(commit[:5]) {
		t.Error("the API key is the two bytes behind the size")
	}
}
