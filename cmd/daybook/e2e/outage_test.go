package e2e

import (
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"daybook/cmd/daybook/e2e/faultproxy"
)

var outageFor = flag.Duration("outage", 15*time.Second, "how long ClickHouse is down in the outage test")

// oneWorker starts a site with one worker under traffic.
func oneWorker(t *testing.T, perSecond int, session time.Duration) (r *pointsRig, stop func()) {
	t.Helper()
	r, stop = startRig(t, siteConfig{workers: 1, partitions: 4, session: session, checkpoint: 300 * time.Millisecond}, perSecond)
	r.must(r.site.workers[0].start())
	r.awaitProgress()
	return r, stop
}

// awaitProgress returns when records that are produced from now on are in the
// tables.
func (r *pointsRig) awaitProgress() {
	r.t.Helper()
	before, known := int64(0), false
	r.await("the tables to go on", func() bool {
		now, err := r.progress()
		if err != nil {
			return false
		}
		if !known {
			before, known = now, true
		}
		return now > before
	})
}

// lose cuts the answers of so many requests that match, and returns when they
// are lost.
func (r *pointsRig) lose(p *faultproxy.Proxy, what string, match func([]byte) bool, times int) {
	r.t.Helper()
	begin := time.Now()
	defer func() { r.t.Logf("answers to %s lost: %s", what, time.Since(begin).Round(10*time.Millisecond)) }()
	select {
	case <-p.Cut(faultproxy.Cut{Match: match, Times: times}):
	case <-time.After(startLimit):
		r.t.Fatalf("no answer to %s came that could be lost", what)
	}
}

// The request is delivered and obeyed, and the answer is lost: the worker
// repeats what was done.
func TestProxy_LosesAnswersOfWhatWasDone(t *testing.T) {
	t.Parallel()
	r, stop := oneWorker(t, 500, 2*time.Second)
	for _, table := range []string{"events", "sessions", "session_days", "rejects", "progress", "ledger"} {
		r.lose(r.site.chProxy, "an insert into "+table, faultproxy.Contains(table+"_versions"), 2)
	}
	for what, key := range map[string]byte{"produce": 0, "fetch": 1, "commit": 8} {
		r.lose(r.site.kafkaProxy, what, faultproxy.KafkaKey(key), 3)
	}
	// What is exchanged to join: the worker that leaves and comes back does it.
	for what, key := range map[string]byte{"list offsets": 2, "fetch of the committed offset": 9, "join": 11, "heartbeat": 12, "sync": 14} {
		lost := make(chan struct{})
		go func() {
			defer close(lost)
			<-r.site.kafkaProxy.Cut(faultproxy.Cut{Match: faultproxy.KafkaKey(key)})
		}()
		r.must(r.site.workers[0].end(syscall.SIGTERM))
		r.must(r.site.workers[0].start())
		select {
		case <-lost:
		case <-time.After(startLimit):
			t.Fatalf("no answer to a %s came that could be lost", what)
		}
	}
	r.awaitProgress()
	stop()
	r.settle()
}

// Nothing passes for longer than the session lasts: the broker gives the
// partitions away, and the worker finds out when the hole closes.
func TestProxy_BlackHoleLongerThanTheSession(t *testing.T) {
	t.Parallel()
	r, stop := oneWorker(t, 500, 2*time.Second)
	for _, p := range []*faultproxy.Proxy{r.site.kafkaProxy, r.site.chProxy} {
		r.must(p.Set(faultproxy.Weather{BlackHole: true}))
		wait(t.Context(), 3*r.site.cfg.session)
		r.must(p.Heal())
		r.awaitProgress()
	}
	if n := generationsOf(t, r.site.workers[0]); n < 2 {
		t.Errorf("%d generations: the session was not lost", n)
	}
	stop()
	r.settle()
}

// ClickHouse is down while Kafka goes on: the worker holds what it has, takes
// no more, and remains a member.
func TestProxy_ClickHouseDownKeepsMemoryAndMembership(t *testing.T) {
	t.Parallel()
	r, stop := oneWorker(t, 3000, 6*time.Second)
	w := r.site.workers[0]
	generations, memory := generationsOf(t, w), residentOf(t, w)
	r.must(r.site.engine.end(syscall.SIGKILL))
	wait(t.Context(), *outageFor)
	if n := generationsOf(t, w); n != generations {
		t.Errorf("the worker joined %d times meanwhile", n-generations)
	}
	const most = 256 << 20 // a batch of each partition, encoded, and what was fetched beside it
	if now := residentOf(t, w); now > memory+most {
		t.Errorf("memory grew from %d to %d MB", memory>>20, now>>20)
	}
	r.must(r.site.engine.start())
	r.awaitProgress()
	stop()
	r.settle()
}

func generationsOf(t *testing.T, w *part) int {
	t.Helper()
	text, err := os.ReadFile(w.log)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), `"generation joined"`)
}

var residentLine = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)

func residentOf(t *testing.T, w *part) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(w.pid()) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	kb, err := strconv.ParseInt(residentLine.FindStringSubmatch(string(text))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

// The API between a client and a ClickHouse that comes and goes: an answer is
// whole, or it is an error that can be told from one.
func TestProxy_APIAnswersWholeOrNot(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteConfig{partitions: 1, session: 2 * time.Second, checkpoint: time.Second})
	addr, err := stablePort()
	if err != nil {
		t.Fatal(err)
	}
	api := s.newPart("api", "serve", "--api", addr)
	api.env = append(api.env, "DAYBOOK_ADMIN_KEY="+siteKey)
	if err := api.start(); err != nil {
		t.Fatal(err)
	}
	s.workers = append(s.workers, api) // to be ended with the site
	client := &http.Client{Timeout: time.Minute}
	ask := func() (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/v1/networks", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+siteKey)
		response, err := client.Do(request)
		if err != nil {
			return 0, err.Error()
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			return 0, err.Error()
		}
		return response.StatusCode, string(text)
	}
	r := &pointsRig{t: t, site: s}
	r.await("the API to answer", func() bool { code, _ := ask(); return code == http.StatusOK })
	for name, harm := range map[string]func() error{
		"refused":        func() error { s.chProxy.Reset(); return s.chProxy.Set(faultproxy.Weather{Refuse: true}) },
		"lost":           func() error { s.chProxy.Cut(faultproxy.Cut{Times: 100}); return nil },
		"cut in it":      func() error { s.chProxy.Cut(faultproxy.Cut{After: 40, Times: 100}); return nil },
		"cut at the end": func() error { s.chProxy.Cut(faultproxy.Cut{After: 200, Times: 100}); return nil },
	} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		if code, text := ask(); code != http.StatusServiceUnavailable && (code != http.StatusOK || !json.Valid([]byte(text))) {
			t.Errorf("%s: status %d, %s", name, code, text)
		}
		if err := s.chProxy.Heal(); err != nil {
			t.Fatal(err)
		}
		r.await("the API to answer again", func() bool { code, text := ask(); return code == http.StatusOK && json.Valid([]byte(text)) })
	}
}

// A worker that starts before its storage waits for it.
func TestStart_WorkerBeforeStorage(t *testing.T) {
	t.Parallel()
	r, stop := startRig(t, siteConfig{workers: 1, partitions: 4, session: 2 * time.Second, checkpoint: time.Second}, 200)
	w := r.site.workers[0]
	r.must(r.site.engine.end(syscall.SIGKILL))
	r.must(w.start())
	r.await("the worker to ask in vain", func() bool { return strings.Contains(w.tail(), "not there yet, trying again") || w.pid() == 0 })
	r.must(r.site.engine.start())
	r.awaitProgress()
	stop()
	r.settle()
}
