package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"daybook/schemas"
)

// config is everything that the environment can decide, read once at the
// start and passed on as values. Every field has a default that works, or is
// empty where dev.json or the embedded parts step in. The help tags become the
// table of `daybook config --markdown` and of the README.
type config struct {
	KafkaBrokers       []string `env:"KAFKA_BROKERS" help:"Kafka bootstrap servers, host:port separated by commas; set: the embedded broker does not start"`
	KafkaTLS           bool     `env:"KAFKA_TLS" envDefault:"false" help:"speak TLS to Kafka"`
	KafkaSASL          string   `env:"KAFKA_SASL" envDefault:"none" help:"none, plain, scram-sha-256 or scram-sha-512"`
	KafkaUser          string   `env:"KAFKA_USER" help:"SASL user"`
	KafkaPassword      secret   `env:"KAFKA_PASSWORD" help:"SASL password"`
	KafkaPartitions    int      `env:"KAFKA_PARTITIONS" envDefault:"4" help:"partitions of daybook.events when it is made; if set, one that exists must have as many"`
	KafkaReplication   int      `env:"KAFKA_REPLICATION" envDefault:"1" help:"replication factor of the topics when they are made"`
	KafkaRetentionByte int64    `env:"KAFKA_RETENTION_BYTES" envDefault:"0" help:"retention.bytes of a partition of daybook.events when it is made; 0: the embedded broker's disk budget, else unlimited"`

	ClickHouseDSN secret `env:"CLICKHOUSE_DSN" help:"http(s)://user:password@host:port/database; set: the embedded engine does not start"`

	API           string   `env:"API" help:"address of the read API that commands talk to, with scheme; else dev.json"`
	APIListen     string   `env:"API_LISTEN" envDefault:"127.0.0.1:7311" help:"where serve and dev listen for the read API"`
	APIOrigins    []string `env:"API_ORIGINS" help:"origins whose pages may read the API from a browser (CORS), such as https://grafana.example, separated by commas; else none"`
	MetricsListen string   `env:"METRICS_LISTEN" envDefault:"127.0.0.1:0" help:"where /metrics, /livez, /readyz and pprof listen; port 0 takes a free one"`
	AdminKey      secret   `env:"ADMIN_KEY" help:"API key of the administrator; else admin.key in the data folder"`

	InstallationKey secret `env:"INSTALLATION_KEY" help:"64 hex digits that sign control records, the same for every part of an installation; else installation.key in the data folder"`

	Group              string        `env:"GROUP" envDefault:"daybook" help:"consumer group of the workers"`
	SessionTimeout     time.Duration `env:"SESSION_TIMEOUT" envDefault:"6s" help:"after this long without a heartbeat a worker's partitions go to others"`
	FlushInterval      time.Duration `env:"FLUSH_INTERVAL" envDefault:"800ms" help:"longest time that a record waits for its flush"`
	BatchRecords       int           `env:"BATCH_RECORDS" envDefault:"250000" help:"most records of one flush, behind a backlog"`
	BatchBytes         int           `env:"BATCH_BYTES" envDefault:"67108864" help:"most bytes of records in one flush of every partition of a worker, together; its memory is some three times that"`
	RepeatIDs          int           `env:"REPEAT_IDS" envDefault:"8000000" help:"ids that a partition keeps to recognise repeats, 38 to 75 bytes each: those of one hour should fit; above it the horizon moves up and more records count as late"`
	CheckpointInterval time.Duration `env:"CHECKPOINT_INTERVAL" envDefault:"30s" help:"a checkpoint and a commit at least this often"`
	OutOfOrderness     time.Duration `env:"OUT_OF_ORDERNESS" envDefault:"1m" help:"how far the watermark stays behind the greatest event time"`
	Lateness           time.Duration `env:"LATENESS" envDefault:"2h" help:"how far the horizon stays behind the watermark; older records are read back from storage"`
	EventsRetention    time.Duration `env:"EVENTS_RETENTION" envDefault:"0" help:"how long the topic daybook.events keeps its records, when it is made; 0: for ever; the tables keep every event"`

	BrokerDiskBytes int64  `env:"BROKER_DISK_BYTES" envDefault:"4294967296" help:"disk budget of the embedded broker's log; the oldest records go first"`
	EngineMemory    int64  `env:"ENGINE_MEMORY_BYTES" envDefault:"1073741824" help:"memory cap of the embedded engine"`
	EngineLibrary   string `env:"ENGINE_LIBRARY" help:"path of libchdb.so; else the one that make build fetched"`

	ReplayMemoryBytes int64 `env:"REPLAY_MEMORY_BYTES" envDefault:"268435456" help:"replay sorts on disk what is larger than this"`

	LogLevel  string `env:"LOG_LEVEL" envDefault:"info" help:"debug, info, warn or error"`
	LogFormat string `env:"LOG_FORMAT" envDefault:"auto" help:"json, text, or auto: text on a terminal"`

	Failpoint string `env:"FAILPOINT" help:"for tests only: at the n-th time that a worker takes a step it is killed or paused, or the step fails; name@n:kill, pause or error, separated by commas"`
}

// problems collects every wrong value, so that one start shows them all.
type problems []problem

// problem is one wrong value.
type problem struct {
	name string // of the variable, without the prefix
	text string // what is wrong, and the remedy
}

func (p problem) Error() string { return envPrefix + p.name + ": " + p.text }

func (p *problems) add(name, format string, args ...any) {
	*p = append(*p, problem{name, fmt.Sprintf(format, args...)})
}

// Validate reports every wrong value at once, each by its variable's name and
// with the remedy.
func (c *config) Validate() error { return errors.Join(c.check(nil)...) }

// check reports the wrong values but those of unread variables, whose fields
// are zero because their text could not be read: a second complaint about the
// zero would only confuse.
func (c *config) check(unread []string) []error {
	var p problems
	c.validateKafka(&p)
	c.validateStores(&p)
	c.validateTimes(&p)
	oneOf(&p, "LOG_LEVEL", c.LogLevel, "debug", "info", "warn", "error")
	oneOf(&p, "LOG_FORMAT", c.LogFormat, "auto", "json", "text")
	if _, err := parseFailpoints(c.Failpoint); err != nil {
		p.add("FAILPOINT", "%v", err)
	}
	var found []error
	for _, wrong := range p {
		if !slices.Contains(unread, wrong.name) {
			found = append(found, wrong)
		}
	}
	return found
}

func (c *config) validateKafka(p *problems) {
	for _, b := range c.KafkaBrokers {
		if !isHostPort(b) {
			p.add("KAFKA_BROKERS", "%q is not host:port; write for example kafka-1:9092,kafka-2:9092", b)
		}
	}
	oneOf(p, "KAFKA_SASL", c.KafkaSASL, "none", "plain", "scram-sha-256", "scram-sha-512")
	if slices.Contains([]string{"plain", "scram-sha-256", "scram-sha-512"}, c.KafkaSASL) && c.KafkaUser == "" {
		p.add("KAFKA_USER", "is empty, but DAYBOOK_KAFKA_SASL is %s; set the user and DAYBOOK_KAFKA_PASSWORD", c.KafkaSASL)
	}
	between(p, "KAFKA_PARTITIONS", int64(c.KafkaPartitions), 1, 1024)
	between(p, "KAFKA_REPLICATION", int64(c.KafkaReplication), 1, 16)
	between(p, "KAFKA_RETENTION_BYTES", c.KafkaRetentionByte, 0, 1<<50)
	between(p, "BATCH_RECORDS", int64(c.BatchRecords), 1, 1_000_000)
	between(p, "BATCH_BYTES", int64(c.BatchBytes), 1<<20, 1<<30)
	between(p, "REPEAT_IDS", int64(c.RepeatIDs), 100_000, 1_000_000_000)
	between(p, "BROKER_DISK_BYTES", c.BrokerDiskBytes, 64<<20, 1<<50)
	between(p, "ENGINE_MEMORY_BYTES", c.EngineMemory, 256<<20, 1<<42)
	between(p, "REPLAY_MEMORY_BYTES", c.ReplayMemoryBytes, 1<<20, 1<<40)
	if c.Group == "" {
		p.add("GROUP", "is empty; give the workers' consumer group a name, for example daybook")
	}
}

func (c *config) validateStores(p *problems) {
	if c.ClickHouseDSN != "" {
		u, err := url.Parse(c.ClickHouseDSN.Reveal())
		// The parser's error would print the password: it is left out.
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			p.add("CLICKHOUSE_DSN", "is not an address of ClickHouse's HTTP interface; write http://user:password@host:8123/default")
		}
	}
	if c.API != "" {
		u, err := url.Parse(c.API)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			p.add("API", "%q is not an address with scheme; write for example http://127.0.0.1:7311", c.API)
		}
	}
	for _, origin := range c.APIOrigins {
		if !isOrigin(origin) {
			p.add("API_ORIGINS", "%q is no origin, which is scheme and host as a browser sends them; write for example https://grafana.example or http://localhost:3000", origin)
		}
	}
	for name, addr := range map[string]string{"API_LISTEN": c.APIListen, "METRICS_LISTEN": c.MetricsListen} {
		if !isListen(addr) {
			p.add(name, "%q is not host:port; write for example 127.0.0.1:7311, or :7311 for every interface", addr)
		}
	}
	if k := c.InstallationKey.Reveal(); k != "" {
		if _, err := parseInstallationKey(k); err != nil {
			p.add("INSTALLATION_KEY", "%v; make one with: openssl rand -hex 32", err)
		}
	}
	if c.AdminKey != "" && len(c.AdminKey) < 16 {
		p.add("ADMIN_KEY", "is shorter than 16 characters; make one with: openssl rand -hex 32")
	}
}

func (c *config) validateTimes(p *problems) {
	span := func(name string, d, low, high time.Duration) {
		if d < low || d > high {
			p.add(name, "%s is not between %s and %s; write for example %s", d, low, high, low)
		}
	}
	span("SESSION_TIMEOUT", c.SessionTimeout, 2*time.Second, 5*time.Minute)
	span("FLUSH_INTERVAL", c.FlushInterval, 10*time.Millisecond, time.Second)
	span("CHECKPOINT_INTERVAL", c.CheckpointInterval, 100*time.Millisecond, 30*time.Second)
	span("OUT_OF_ORDERNESS", c.OutOfOrderness, 0, 24*time.Hour)
	span("LATENESS", c.Lateness, 0, 30*24*time.Hour)
	if c.EventsRetention != 0 && c.EventsRetention < 7*24*time.Hour {
		p.add("EVENTS_RETENTION", "%s is less than 168h; a worker that was off for longer would find records gone: write 168h or more, or 0 for ever", c.EventsRetention)
	}
}

func oneOf(p *problems, name, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		p.add(name, "%q is not one of %s", value, strings.Join(allowed, ", "))
	}
}

func between(p *problems, name string, value, low, high int64) {
	if value < low || value > high {
		p.add(name, "%d is not between %d and %d", value, low, high)
	}
}

func isHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	return err == nil && host != "" && port != ""
}

// isOrigin tells whether a browser would send s in its Origin header: it is
// compared byte by byte, so a closing slash would never match.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && s == u.Scheme+"://"+strings.ToLower(u.Host)
}

func isListen(s string) bool {
	_, port, err := net.SplitHostPort(s)
	return err == nil && port != ""
}

// parseGap reads the gap of a network and refuses one that the contract does
// not allow.
func parseGap(d time.Duration) (int32, error) {
	ms := d.Milliseconds()
	if ms < schemas.MinGapMs || ms > schemas.MaxGapMs {
		return 0, fmt.Errorf("check gap %s: it must be between 1m and 4h", d)
	}
	return int32(ms), nil
}

// newLogger builds the one logger of the process: progress and messages go to
// stderr, results never do.
func (c *config) newLogger(std stdio) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "text" || (c.LogFormat == "auto" && isTerminal(std.err)) {
		return slog.New(slog.NewTextHandler(std.err, opts))
	}
	return slog.New(slog.NewJSONHandler(std.err, opts))
}

// dataDir gives the data folder: the flag, else the nearest .daybook from the
// working directory upwards, else .daybook in the working directory.
func dataDir(flag string) (string, error) {
	if flag != "" {
		return filepath.Abs(flag)
	}
	wd, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find working directory: %w", err)
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		candidate := filepath.Join(dir, dataName)
		if info, err := os.Stat(candidate); err == nil && info.IsDir() {
			return candidate, nil
		}
		if dir == filepath.Dir(dir) {
			return filepath.Join(wd, dataName), nil
		}
	}
}

// dataName is the data folder's default name.
const dataName = ".daybook"
