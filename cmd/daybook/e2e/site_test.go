package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"daybook/clickhouse/engine"
	"daybook/cmd/daybook/e2e/faultproxy"
	"daybook/pipeline/broker/apache"
	"daybook/pipeline/source"
)

// siteKey is the installation's key and the engine's password of every site:
// loopback, for the time of a test.
const siteKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

// siteConfig says what a site consists of.
type siteConfig struct {
	workers    int
	partitions int
	nodes      int // of Apache Kafka; 0: the embedded broker as its own process
	session    time.Duration
	checkpoint time.Duration
	dir        string // for the parts' data and logs; a temporary one if empty
	measured   bool   // no proxies, and flushes at the default interval: for benchmarks
}

// site is an installation whose parts are processes of their own, with fault
// proxies between them:
//
//	workers, tests ─► kafkaProxy ─► broker        (Apache Kafka: no proxy)
//	workers        ─► chProxy    ─► engine ◄─ tests
type site struct {
	cfg     siteConfig
	dir     string
	broker  *part // nil with Apache Kafka
	apache  *apache.Cluster
	engine  *part
	workers []*part

	kafkaProxy *faultproxy.Proxy // nil with Apache Kafka
	chProxy    *faultproxy.Proxy
	kafka      []string // what clients are told
	enginePort string
	client     *source.Client
}

// startSite starts everything but the workers. What it writes is shown if the
// test fails.
func startSite(tb testing.TB, cfg siteConfig) *site {
	tb.Helper()
	s := &site{cfg: cfg, dir: cfg.dir}
	if s.dir == "" {
		s.dir = tb.TempDir()
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			s.explain(tb)
		}
		s.close()
	})
	if err := s.start(); err != nil {
		tb.Fatal(err)
	}
	return s
}

func (s *site) start() error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	if err := s.startKafka(); err != nil {
		return err
	}
	if err := s.startEngine(); err != nil {
		return err
	}
	if out, err := s.run(startLimit, "migrate"); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	var err error
	if s.client, err = source.New(source.Config{Brokers: s.kafka}); err != nil {
		return err
	}
	for i := range s.cfg.workers {
		s.workers = append(s.workers, s.newPart("worker-"+strconv.Itoa(i+1), "worker"))
	}
	return nil
}

func (s *site) startKafka() error {
	if s.cfg.nodes > 0 {
		c, err := apache.Start(context.Background(), apache.Options{Dir: filepath.Join(s.dir, "kafka"), Nodes: s.cfg.nodes})
		if err != nil {
			return err
		}
		s.apache, s.kafka = c, c.Addrs()
		return nil
	}
	own, err := stablePort()
	if err != nil {
		return err
	}
	if s.cfg.measured {
		s.kafka = []string{own}
		s.broker = s.newPart("broker", "broker", "--kafka", own)
		s.broker.speaks = true
		return s.broker.start()
	}
	if s.kafkaProxy, err = stableProxy(own); err != nil {
		return err
	}
	front := s.kafkaProxy.Addr()
	s.kafka = []string{front}
	s.broker = s.newPart("broker", "broker", "--kafka", own, "--advertise", front)
	s.broker.speaks = true
	return s.broker.start()
}

func (s *site) startEngine() (err error) {
	if s.enginePort, err = stablePort(); err != nil {
		return err
	}
	if !s.cfg.measured {
		if s.chProxy, err = stableProxy(s.enginePort); err != nil {
			return err
		}
	}
	config, err := json.Marshal(engine.Config{Path: filepath.Join(s.dir, "clickhouse"), Address: s.enginePort, AppPassword: siteKey})
	if err != nil {
		return err
	}
	s.engine = s.newPart("engine", "engine")
	s.engine.speaks, s.engine.input = true, string(config)
	return s.engine.start()
}

// stablePort finds an address for a process that is started again on it.
func stablePort() (string, error) {
	addrs, err := apache.FreeAddrs(context.Background(), 1)
	if err != nil {
		return "", err
	}
	return addrs[0], nil
}

// stableProxy starts a proxy on such an address: another process may be quicker.
func stableProxy(target string) (*faultproxy.Proxy, error) {
	for tries := 1; ; tries++ {
		addr, err := stablePort()
		if err != nil {
			return nil, err
		}
		proxy, err := faultproxy.Start(addr, target)
		if tries == 10 || !errors.Is(err, syscall.EADDRINUSE) {
			return proxy, err
		}
	}
}

func (s *site) newPart(name string, args ...string) *part {
	data := filepath.Join(s.dir, name)
	return &part{name: name, args: append(args, "--data", data), env: s.env(), log: filepath.Join(s.dir, name+".log")}
}

// env is what every process of the site is told. The broker must not be told
// of brokers, and ignores what it does not need.
func (s *site) env() []string {
	env := []string{
		"DAYBOOK_INSTALLATION_KEY=" + siteKey, "DAYBOOK_LOG_FORMAT=json",
		"DAYBOOK_KAFKA_PARTITIONS=" + strconv.Itoa(s.cfg.partitions),
		"DAYBOOK_KAFKA_REPLICATION=" + strconv.Itoa(max(1, s.cfg.nodes)),
		"DAYBOOK_SESSION_TIMEOUT=" + s.cfg.session.String(),
		"DAYBOOK_CHECKPOINT_INTERVAL=" + s.cfg.checkpoint.String(),
		"DAYBOOK_BROKER_DISK_BYTES=" + strconv.Itoa(32<<30), // nothing may go before it is verified
	}
	if !s.cfg.measured {
		env = append(env, "DAYBOOK_FLUSH_INTERVAL=200ms")
	}
	storage := s.enginePort
	if s.chProxy != nil {
		storage = s.chProxy.Addr()
	}
	if storage != "" {
		env = append(env, "DAYBOOK_KAFKA_BROKERS="+strings.Join(s.kafka, ","), "DAYBOOK_CLICKHOUSE_DSN="+s.dsn(storage))
	}
	return env
}

func (s *site) dsn(addr string) string {
	return "http://" + engine.UserApp + ":" + siteKey + "@" + addr + "/daybook"
}

func (s *site) parts() []*part {
	var all []*part
	for _, p := range append([]*part{s.broker, s.engine}, s.workers...) {
		if p != nil {
			all = append(all, p)
		}
	}
	return all
}

// explain shows the end of every log, and leaves all of them with the stacks of
// what still runs in a folder that is not removed.
func (s *site) explain(tb testing.TB) {
	tb.Helper()
	for _, p := range s.parts() {
		tb.Logf("%s (running: %t) wrote at last:\n%s", p.name, p.pid() != 0, p.tail())
	}
	for _, p := range s.parts() {
		p.signal(syscall.SIGCONT)
		p.signal(syscall.SIGQUIT) // Go prints its stacks and ends
		p.await(10 * time.Second)
	}
	dir := filepath.Join(os.TempDir(), "daybook-e2e-failed", tb.Name()+time.Now().Format("-150405"))
	if err := s.keepLogs(dir); err != nil {
		tb.Logf("logs could not be kept: %v", err)
		return
	}
	tb.Logf("logs and stacks are in %s", dir)
}

// up starts every part that a fault which went wrong has left down.
func (s *site) up() error {
	var errs []error
	for _, p := range s.parts() {
		p.signal(syscall.SIGCONT)
		if p.pid() == 0 {
			errs = append(errs, p.start())
		}
	}
	return errors.Join(errs...)
}

// close kills what runs.
func (s *site) close() {
	for _, p := range s.parts() {
		_ = p.end(syscall.SIGKILL)
	}
	if s.client != nil {
		s.client.Close()
	}
	for _, proxy := range []*faultproxy.Proxy{s.kafkaProxy, s.chProxy} {
		if proxy != nil {
			_ = proxy.Close()
		}
	}
	if s.apache != nil {
		_ = s.apache.Close()
	}
}

// run runs a subcommand to its end and gives what it printed, stderr behind
// stdout. Commands go the short way to the engine.
func (s *site) run(limit time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd, err := s.command(ctx, args...)
	if err != nil {
		return "", err
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String() + errs.String(), fmt.Errorf("daybook %s: %w", strings.Join(args, " "), err)
	}
	return out.String() + errs.String(), nil
}

// command prepares a subcommand.
func (s *site) command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	path, err := binary()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, append(args, "--data", filepath.Join(s.dir, "cli"))...)
	cmd.Env = environment(append(s.env(), "DAYBOOK_CLICKHOUSE_DSN="+s.dsn(s.enginePort))...)
	return cmd, nil
}

// query asks the engine, past the proxy, and gives the answer as lines of
// tab-separated values.
func (s *site) query(ctx context.Context, sql string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.enginePort+"/?database=daybook", strings.NewReader(sql+" FORMAT TSV"))
	if err != nil {
		return nil, err
	}
	request.SetBasicAuth(engine.UserApp, siteKey)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body) // what there is of it
		return nil, fmt.Errorf("%s: %s", sql, bytes.TrimSpace(text))
	}
	return response.Body, nil
}

// row gives the one row of an answer.
func (s *site) row(ctx context.Context, sql string) ([]string, error) {
	body, err := s.query(ctx, sql)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\t"), err
}

// number gives the one number of an answer.
func (s *site) number(ctx context.Context, sql string) (int64, error) {
	row, err := s.row(ctx, sql)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(row[0], 10, 64)
}

// keepLogs copies what the parts wrote to a folder that outlives the test.
func (s *site) keepLogs(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, p := range s.parts() {
		text, err := os.ReadFile(p.log)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(p.log)), text, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
