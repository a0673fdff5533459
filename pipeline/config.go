package pipeline

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config is what a worker runs by. Zero fields take the defaults that are
// named; cmd fills it from the environment.
type Config struct {
	Topic      string // of the events
	Epoch      uint16 // of the topic's id (Store.TopicEpoch)
	Partitions int32  // of the topic, as of the epoch
	Worker     string // name of this process in reports
	ControlKey []byte // of the installation: control records must be signed with it

	Lateness   time.Duration // horizon behind watermark; 2 h
	OutOfOrder time.Duration // watermark behind the greatest event time; 1 min

	FlushAge        time.Duration // a record waits at most this long for its flush; 1 s
	BatchRecords    int           // records of a batch; 250,000: behind a backlog small inserts are what costs storage most
	BatchBytes      int           // bytes of the records of a batch of each partition that the worker owns, together; 64 MB
	SlabRecords     int           // records that are decoded, applied and encoded at once; 256: 150 KB, a part of a core's second cache
	CheckpointEvery time.Duration // 30 s
	CheckpointBytes int64         // of records since the last checkpoint that call for one; 64 MB
	CheckpointIdle  int64         // records since the last checkpoint that call for one as soon as nothing comes any more; 10,000
	CaptureUsers    int           // users that a checkpoint under way writes down between two chunks; 4,000: about 1 ms
	MaxRepeatIDs    int           // ids that a partition keeps to recognise repeats, before it moves a horizon up; 8 M: 400 MB

	Drain time.Duration // time to finish when a partition is taken away; 3 s, half the session timeout

	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time // the wall clock; time.Now

	// Failpoint is called at the named steps of the protocol (failpoint.go); the
	// error that it gives is the step's. nil in production.
	Failpoint func(point string) error
	// Probe is called for every record with the step that it is at (ProbeDecode,
	// ProbeApply), by several goroutines; tests make it panic in the handler's place.
	// nil in production.
	Probe func(step string, partition int32, offset int64, value []byte)
	// Hasty takes back that who reads stored events waits for the flush under way:
	// the simulator shows that rows would be wrong. false in production.
	Hasty bool
	// Scale changes the rules in force, so that a test meets every edge with few
	// records. nil in production.
	Scale func(*Rules)

	began time.Time // when the worker did
}

// withDefaults fills what is zero.
func (c Config) withDefaults() Config {
	setDefault(&c.Lateness, 2*time.Hour)
	setDefault(&c.OutOfOrder, time.Minute)
	setDefault(&c.FlushAge, time.Second)
	setDefault(&c.BatchRecords, 250_000)
	setDefault(&c.BatchBytes, 64<<20)
	setDefault(&c.SlabRecords, 256)
	setDefault(&c.CheckpointEvery, 30*time.Second)
	setDefault(&c.CheckpointBytes, 64<<20)
	setDefault(&c.CheckpointIdle, 10_000)
	setDefault(&c.CaptureUsers, 4000)
	setDefault(&c.MaxRepeatIDs, 8_000_000)
	setDefault(&c.Drain, 3*time.Second)
	c.began = time.Now()
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Failpoint == nil {
		c.Failpoint = func(string) error { return nil }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	return c
}

// rules gives the rules in force for one partition.
func (c Config) rules() Rules {
	r := Standard(c.Lateness, c.OutOfOrder)
	if c.Scale != nil {
		c.Scale(&r)
	}
	return r
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
