package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"daybook/schemas"
)

// Config says where the broker listens and what it may use.
type Config struct {
	Dir         string        // folder of the log; made if missing
	Addr        string        // loopback host:port; port 0 takes a free one
	Advertise   string        // host:port that clients are told to come to; Addr if empty
	DiskBudget  int64         // bytes that the log may take; 0: no limit but the file system's
	Topic       string        // the events, which retention concerns; schemas.TopicEvents if empty
	Checkpoints string        // topic that workers cut, so that it is not compacted for; schemas.TopicCheckpoints if empty
	Group       string        // its committed offsets protect what is not read yet; "daybook" if empty
	Retention   time.Duration // events that were read go when they are older; 0: only by the budget
	Partitions  int           // of a topic that is made without a number; 12 if 0
	CheckEvery  time.Duration // between two looks at the disk; 500 ms if 0. The budget may be overrun by what is written in one.
	MinSession  time.Duration // least session timeout of a group; 6 s if 0, less in tests
	SyncWrites  bool          // fsync every batch: survives power loss, not only the process
	OnDisk      func(Disk)    // called after every look at the disk; a gauge hangs here
	Logger      *slog.Logger  // nil: nothing is logged
}

// Broker is a running broker. Close it: else the next start has to recover.
type Broker struct {
	cfg     Config
	cluster *kfake.Cluster
	addr    string
	stop    context.CancelFunc
	done    sync.WaitGroup

	// Owned by the goroutine of watchDisk.
	last      Disk
	compacted int64 // bytes of the settings after they were compacted; -1 before the first look
	gate      *gate // not nil while events are refused
}

// offsetRetentionMinutes keeps committed offsets for ten years: the machine may
// be off for months, and Kafka's seven days would lose the position.
const offsetRetentionMinutes = 10 * 365 * 24 * 60

// Start opens the log and listens. Errors name the address if it is in use.
func Start(ctx context.Context, cfg Config) (*Broker, error) {
	cfg = withDefaults(cfg)
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make broker folder: %w", err)
	}
	b := &Broker{cfg: cfg, compacted: -1}
	cluster, err := kfake.NewCluster(b.options(ctx)...)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("listen on %s: the address is in use: stop the other process or choose another address: %w", cfg.Addr, err)
		}
		return nil, fmt.Errorf("open broker in %s: %w", cfg.Dir, err)
	}
	b.cluster = cluster
	// Opening reads every segment whole: 775 MB stayed resident for a log of
	// 702 MB (LIBRARIES.md section 4).
	debug.FreeOSMemory()
	ctx, b.stop = context.WithCancel(context.WithoutCancel(ctx))
	b.done.Go(func() { b.watchDisk(ctx) })
	return b, nil
}

func withDefaults(cfg Config) Config {
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	cfg.Topic, cfg.Group = cmp.Or(cfg.Topic, schemas.TopicEvents), cmp.Or(cfg.Group, "daybook")
	cfg.Checkpoints = cmp.Or(cfg.Checkpoints, schemas.TopicCheckpoints)
	cfg.Partitions = cmp.Or(cfg.Partitions, 12)
	cfg.CheckEvery = cmp.Or(cfg.CheckEvery, 500*time.Millisecond)
	cfg.MinSession = cmp.Or(cfg.MinSession, 6*time.Second)
	if cfg.OnDisk == nil {
		cfg.OnDisk = func(Disk) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg
}

func (b *Broker) options(ctx context.Context) []kfake.Opt {
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.DataDir(b.cfg.Dir),
		kfake.ClusterID("daybook"),
		kfake.DefaultNumPartitions(b.cfg.Partitions),
		kfake.GroupMinSessionTimeout(b.cfg.MinSession),
		kfake.WithLogger(logger{ctx: context.WithoutCancel(ctx), to: b.cfg.Logger}),
		kfake.BrokerConfigs(map[string]string{
			"offsets.retention.minutes": strconv.Itoa(offsetRetentionMinutes),
			"message.max.bytes":         strconv.Itoa(1_048_588), // Kafka's default
			"log.segment.bytes":         strconv.FormatInt(b.segmentBytes(), 10),
			"log.retention.ms":          "-1", // see retention.go; kfake applies it to compacted topics, too
			"log.retention.bytes":       "-1",
			"log.cleaner.backoff.ms":    strconv.FormatInt((365 * 24 * time.Hour).Milliseconds(), 10), // compact decides
		}),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) {
			return b.listen(ctx, network)
		}),
	}
	if b.cfg.SyncWrites {
		opts = append(opts, kfake.SyncWrites())
	}
	return opts
}

// listen opens the broker's one address. kfake tells clients to come to what
// its listener calls itself.
func (b *Broker) listen(ctx context.Context, network string) (net.Listener, error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, network, b.cfg.Addr)
	if err != nil {
		return nil, err
	}
	b.addr = l.Addr().String()
	l = lingering{l}
	if b.cfg.Advertise == "" {
		return l, nil
	}
	return advertised{l, advertisedAddr(b.cfg.Advertise)}, nil
}

// advertised is a listener that gives another address for its own: that of
// what stands before it.
type advertised struct {
	net.Listener

	addr net.Addr
}

// Addr gives the address that clients are told.
func (a advertised) Addr() net.Addr { return a.addr }

type advertisedAddr string

// Network implements net.Addr.
func (advertisedAddr) Network() string { return "tcp" }

// String implements net.Addr.
func (a advertisedAddr) String() string { return string(a) }

// Addrs gives the addresses that the broker listens on, host:port.
func (b *Broker) Addrs() []string { return []string{b.addr} }

// Close writes the state out and stops. It must be called once.
func (b *Broker) Close() {
	b.stop()
	b.done.Wait()
	b.cluster.Close()
}

// logger hands the broker's lines on. Its text is not constant, so it is an
// attribute.
type logger struct {
	ctx context.Context //nolint:containedctx // the broker's interface passes none.
	to  *slog.Logger
}

// Logf implements kfake.Logger.
func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	to := slog.LevelDebug
	switch level {
	case kfake.LogLevelError:
		to = slog.LevelError
	case kfake.LogLevelWarn:
		to = slog.LevelWarn
	case kfake.LogLevelNone, kfake.LogLevelInfo, kfake.LogLevelDebug:
	}
	if l.to.Enabled(l.ctx, to) {
		l.to.LogAttrs(l.ctx, to, "broker reports", slog.String("text", fmt.Sprintf(format, args...)))
	}
}
