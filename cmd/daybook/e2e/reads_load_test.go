package e2e

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"daybook/clickhouse/cookbook"
)

// load is what requests took.
type load struct {
	took        []time.Duration // from the instant at which each was due
	refused     int64           // of these: another answer than 200, such as 503 after the API's limit of time
	wall        time.Duration
	api, engine time.Duration // CPU
}

func (l load) row(question, how string) []string {
	slices.Sort(l.took)
	n := len(l.took)
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) }
	return []string{
		question, how, strconv.Itoa(n), strconv.FormatInt(l.refused, 10), fmt.Sprintf("%.1f", float64(n)/l.wall.Seconds()), ms(l.took[n/2]), ms(l.took[n*99/100]), ms(l.took[n-1]),
		ms(l.api / time.Duration(n)), ms(l.engine / time.Duration(n)),
	}
}

// measured runs ask and adds what it cost.
func (s *reads) measured(ask func() []time.Duration) load {
	api, engine := s.cpu()
	refused := s.refused.Load()
	begin := time.Now()
	l := load{took: ask()}
	l.refused = s.refused.Load() - refused
	l.wall = time.Since(begin)
	after, engineAfter := s.cpu()
	l.api, l.engine = after-api, engineAfter-engine
	return l
}

// openLoop sends requests at the instants of a Poisson process of a rate,
// whatever became of those before. A request counts from its instant.
func (s *reads) openLoop(q readCase, rate int, span time.Duration) load {
	client := apiClient()
	return s.measured(func() []time.Duration {
		var (
			mu   sync.Mutex
			took []time.Duration
			wg   sync.WaitGroup
		)
		due := time.Now()
		for end := due.Add(span); due.Before(end); due = due.Add(time.Duration(s.rng.ExpFloat64() * float64(time.Second) / float64(rate))) {
			time.Sleep(time.Until(due))
			path, at := q.path(s.rng), due
			wg.Go(func() {
				s.fetch(client, path)
				mu.Lock()
				defer mu.Unlock()
				took = append(took, time.Since(at))
			})
		}
		wg.Wait()
		return took
	})
}

// saturated keeps eight clients asking, each as soon as it has its answer: the
// most that the machine gives. Latency here is that of eight in the queue.
func (s *reads) saturated(q readCase, span time.Duration) load {
	client := apiClient()
	return s.measured(func() []time.Duration {
		var (
			mu   sync.Mutex
			took []time.Duration
			wg   sync.WaitGroup
		)
		end := time.Now().Add(span)
		for range 8 {
			r := rand.New(rand.NewPCG(s.rng.Uint64(), 1))
			wg.Go(func() {
				for time.Now().Before(end) {
					begin := time.Now()
					s.fetch(client, q.path(r))
					mu.Lock()
					took = append(took, time.Since(begin))
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		return took
	})
}

// cold asks with nothing of the store in memory: neither the engine's marks and
// indexes nor the system's pages.
func (s *reads) cold(q readCase) load {
	client := apiClient()
	return s.measured(func() (took []time.Duration) {
		for range 10 {
			for _, cache := range []string{"MARK", "PRIMARY INDEX", "INDEX MARK", "UNCOMPRESSED"} {
				s.sql("SYSTEM DROP " + cache + " CACHE")
			}
			forget(s.t, filepath.Join(s.data, "clickhouse"))
			begin := time.Now()
			s.fetch(client, q.path(s.rng))
			took = append(took, time.Since(begin))
		}
		return took
	})
}

// forget drops a folder's files from the page cache.
func forget(tb testing.TB, dir string) {
	tb.Helper()
	const dontNeed = 4 // POSIX_FADV_DONTNEED
	found := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil // a part that was merged away meanwhile
		}
		f, err := os.Open(path)
		if err != nil {
			return nil // as above
		}
		defer f.Close()
		found++
		_, _, errno := syscall.Syscall6(syscall.SYS_FADVISE64, f.Fd(), 0, 0, dontNeed, 0, 0)
		if errno != 0 {
			return errno
		}
		return nil
	})
	if err != nil || found == 0 {
		tb.Fatalf("drop %d files of %s from the page cache: %v", found, dir, err)
	}
}

func apiClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
}

// fetch reads one answer to its end and gives its size.
func (s *reads) fetch(client *http.Client, path string) int64 {
	req, err := http.NewRequest(http.MethodGet, s.API+path, http.NoBody)
	if err != nil {
		s.t.Error(err)
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+s.AdminKey)
	resp, err := client.Do(req)
	if err != nil {
		s.t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable {
		s.t.Errorf("GET %s: %d, %v", path, resp.StatusCode, err)
	}
	if resp.StatusCode != http.StatusOK {
		s.refused.Add(1)
	}
	return n
}

// exports reads whole networks as CSV, and what memory that takes.
func (s *reads) exports() {
	const span = "&from=2026-01-01&to=2026-05-01"
	sessions := func(network string) int64 {
		return s.number("SELECT count() FROM daybook.sessions WHERE network_id = '" + network + "' AND date < '2026-05-02'")
	}
	client := apiClient()
	var rows [][]string
	for _, network := range []string{"load-1", "big"} {
		for _, busy := range []bool{false, true} {
			stop := func() {}
			how := "alone"
			if busy {
				stop, how = s.ingest(), fmt.Sprintf("ingest %d/s", *readsIngest)
			}
			n := sessions(network)
			size := int64(0)
			memory := s.watchMemory()
			l := s.measured(func() []time.Duration {
				size = s.fetch(client, "/v1/networks/"+network+"/sessions?format=csv"+span)
				return []time.Duration{0}
			})
			before, peak := memory()
			stop()
			rows = append(rows, []string{
				network, how, strconv.FormatInt(n, 10), strconv.FormatInt(size>>20, 10), fmt.Sprintf("%.2f", l.wall.Seconds()), fmt.Sprintf("%.0f", float64(n)/l.wall.Seconds()),
				fmt.Sprintf("%.2f", l.api.Seconds()*1e6/float64(n)), fmt.Sprintf("%.2f", l.engine.Seconds()*1e6/float64(n)),
				fmt.Sprintf("%d → %d", before[0], peak[0]), fmt.Sprintf("%d → %d", before[1], peak[1]),
			})
		}
	}
	printTable([]string{"CSV of sessions", "load", "rows", "MB", "seconds", "rows/s", "cpu µs/row api", "cpu µs/row engine", "RSS MB api", "RSS MB engine"}, rows)
}

// watchMemory samples the resident memory of the API's process and the
// engine's until the function that it gives is called: before, and peak, MB.
func (s *reads) watchMemory() (done func() (before, peak [2]int64)) {
	api, engine := s.api.Process.Pid, descendants(s.cmd.Process.Pid)[0]
	now := func() [2]int64 { return [2]int64{residentMB(s.t, api), residentMB(s.t, engine)} }
	before := now()
	peak := before
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			select {
			case <-stop:
				return
			case <-tick.C:
				n := now()
				peak = [2]int64{max(peak[0], n[0]), max(peak[1], n[1])}
			}
		}
	}()
	return func() ([2]int64, [2]int64) { close(stop); <-ended; return before, peak }
}

// residentMB reads VmRSS from /proc.
func residentMB(tb testing.TB, pid int) int64 {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		tb.Error(err)
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		tb.Error(err)
	}
	return kb >> 10
}

// cookbook times each recipe on a network, over a quarter of the range: the
// second of two runs, with the rows that the engine read.
func (s *reads) cookbook() {
	recipes, err := cookbook.All()
	if err != nil {
		s.t.Fatal(err)
	}
	params := map[string]string{"network": "load-1", "user": "user-0", "from": readsFirstDay, "to": "2026-01-31"}
	var rows [][]string
	for i := range recipes {
		r := &recipes[i]
		answer := s.cook(r, params)
		l := s.measured(func() []time.Duration { s.cook(r, params); return nil })
		rows = append(rows, []string{
			r.Name, strconv.Itoa(strings.Count(answer, "\n") - 1), fmt.Sprintf("%.0f", l.wall.Seconds()*1000), fmt.Sprintf("%.0f", l.engine.Seconds()*1000),
		})
	}
	printTable([]string{"recipe (network load-1, " + readsFirstDay + " to 2026-01-31)", "rows", "ms", "cpu ms"}, rows)
}
