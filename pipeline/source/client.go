package source

import (
	"context"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/sasl"
)

// Client speaks to one Kafka cluster. It is safe for concurrent use; each call
// in flight has a connection of its own from the pool. Close it.
type Client struct {
	cfg       Config
	transport *kafka.Transport
	kafka     *kafka.Client // admin requests only; never its Fetch or OffsetCommit
	sasl      sasl.Mechanism
	addr      net.Addr

	chunks  chan *Chunk // free ones; a sync.Pool would lose them at every collection
	asks    sync.Map    // topicPartition → int32: bytes that the next fetch asks for
	codecs  sync.Pool   // *codecs
	encoded sync.Pool   // *encoder
}

// freeChunks bounds the chunks that wait to be used again. Each holds up to
// FetchBytes and, once it is learnt how well batches compress, half of ChunkBytes.
const freeChunks = 8

// New prepares a client. It does not connect: the first call does.
func New(cfg Config) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	mechanism, err := cfg.SASL.mechanism()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, sasl: mechanism, addr: kafka.TCP(cfg.Brokers...), chunks: make(chan *Chunk, freeChunks)}
	c.transport = &kafka.Transport{
		ClientID:       cfg.ClientID,
		TLS:            cfg.TLS,
		SASL:           mechanism,
		DialTimeout:    cfg.DialTimeout,
		IdleTimeout:    30 * time.Second,
		MetadataTTL:    cfg.MetadataTTL,
		MetadataTopics: []string{cfg.EventsTopic, cfg.SettingsTopic, cfg.CheckpointsTopic},
	}
	c.kafka = &kafka.Client{Addr: c.addr, Timeout: cfg.RequestTimeout, Transport: c.transport}
	return c, nil
}

// Close lets every connection go. Calls in flight end by their own context.
func (c *Client) Close() {
	c.transport.CloseIdleConnections()
}

// Brokers names the addresses that the client was given.
func (c *Client) Brokers() string { return strings.Join(c.cfg.Brokers, ",") }

// EventsTopic names the topic that Fetch reads and Produce writes.
func (c *Client) EventsTopic() string { return c.cfg.EventsTopic }

// roundTrip sends one request and waits for its answer within the request
// timeout plus extra, the time that the broker itself may wait.
func (c *Client) roundTrip(ctx context.Context, req protocol.Message, extra time.Duration) (protocol.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout+extra)
	defer cancel()
	return c.transport.RoundTrip(ctx, c.addr, req)
}
