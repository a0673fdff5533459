package source

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"daybook/schemas"
)

// Config says how to reach Kafka and within which bounds. The zero value of
// every field but Brokers has a default.
type Config struct {
	Brokers  []string    // host:port; at least one
	ClientID string      // shown in the broker's logs; "daybook" if empty
	TLS      *tls.Config // nil: plain text
	SASL     SASL        // zero: no authentication
	Group    string      // consumer group; "daybook" if empty

	EventsTopic      string // schemas.TopicEvents if empty
	SettingsTopic    string // schemas.TopicSettings if empty
	CheckpointsTopic string // schemas.TopicCheckpoints if empty

	DialTimeout    time.Duration // of one connection with TLS and SASL; 5 s
	RequestTimeout time.Duration // of one answer, on top of MaxWait for a fetch; 10 s
	RetryFor       time.Duration // how long a transient failure is retried inside a call; 30 s
	FullFor        time.Duration // how long a broker whose disk is full is waited for; 10 min: readers make room
	MetadataTTL    time.Duration // upper bound of the age of a partition's leader; 500 ms

	MaxWait      time.Duration // how long an empty fetch waits at the broker; 500 ms
	FetchBytes   int32         // compressed, of one fetch; 1 MB. A single larger batch still comes whole.
	ChunkBytes   int           // decompressed, of one chunk before the next batch is left for later; 4 MB. A fetch asks for half of it, some 5,000 events
	ChunkRecords int           // of one chunk; 65,536
	BatchBytes   int           // decompressed, of one batch: beyond it is a BatchError; 64 MB

	// Failpoint is called at the steps that Points names; the error that it gives
	// is the step's. nil in production.
	Failpoint func(point string) error
	OnRetry   func(op string, err error) // called for every failure that is retried; a metric hangs here
	Logger    *slog.Logger               // nil: nothing is logged
}

// SASL is a way to authenticate. Mechanism is PLAIN, SCRAM-SHA-256,
// SCRAM-SHA-512, or empty for none.
type SASL struct {
	Mechanism string
	User      string
	Password  string
}

// Names of the SASL mechanisms.
const (
	SASLPlain       = "PLAIN"
	SASLScramSHA256 = "SCRAM-SHA-256"
	SASLScramSHA512 = "SCRAM-SHA-512"
)

func (s SASL) mechanism() (sasl.Mechanism, error) {
	switch strings.ToUpper(s.Mechanism) {
	case "":
		return nil, nil //nolint:nilnil // no mechanism is a valid choice and kafka-go wants nil for it.
	case SASLPlain:
		return plain.Mechanism{Username: s.User, Password: s.Password}, nil
	case SASLScramSHA256:
		return scram.Mechanism(scram.SHA256, s.User, s.Password)
	case SASLScramSHA512:
		return scram.Mechanism(scram.SHA512, s.User, s.Password)
	}
	return nil, fmt.Errorf("choose sasl mechanism %q: want %s, %s or %s", s.Mechanism, SASLPlain, SASLScramSHA256, SASLScramSHA512)
}

// withDefaults fills every field that was left out.
func (c Config) withDefaults() (Config, error) {
	if len(c.Brokers) == 0 {
		return c, errors.New("open kafka client: no broker address")
	}
	setDefault(&c.ClientID, "daybook")
	setDefault(&c.Group, "daybook")
	setDefault(&c.EventsTopic, schemas.TopicEvents)
	setDefault(&c.SettingsTopic, schemas.TopicSettings)
	setDefault(&c.CheckpointsTopic, schemas.TopicCheckpoints)
	setDefault(&c.DialTimeout, 5*time.Second)
	setDefault(&c.RequestTimeout, 10*time.Second)
	setDefault(&c.RetryFor, 30*time.Second)
	setDefault(&c.FullFor, 10*time.Minute)
	setDefault(&c.MetadataTTL, 500*time.Millisecond)
	setDefault(&c.MaxWait, 500*time.Millisecond)
	setDefault(&c.FetchBytes, 1<<20)
	setDefault(&c.ChunkBytes, 4<<20)
	setDefault(&c.ChunkRecords, 65_536)
	setDefault(&c.BatchBytes, 64<<20)
	if c.Failpoint == nil {
		c.Failpoint = func(string) error { return nil }
	}
	if c.OnRetry == nil {
		c.OnRetry = func(string, error) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
