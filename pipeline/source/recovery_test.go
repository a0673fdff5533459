package source_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"daybook/pipeline/broker"
	"daybook/pipeline/source"
)

// TestClient_GoesOnAfterTheBrokerRestarted: one Fetch spans the outage.
func TestClient_GoesOnAfterTheBrokerRestarted(t *testing.T) {
	cfg := broker.Config{Dir: t.TempDir(), MinSession: 100 * time.Millisecond}
	b, err := broker.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Addr = b.Addrs()[0]
	failed := make(chan struct{})
	var failures atomic.Int64
	c := open(t, b.Addrs(), func(cfg *source.Config) {
		cfg.OnRetry = func(string, error) {
			if failures.Add(1) == 1 {
				close(failed)
			}
		}
	})
	if err := c.EnsureTopics(t.Context(), source.TopicsConfig{Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	if err := c.Produce(t.Context(), []source.Outgoing{{Value: []byte("before")}}); err != nil {
		t.Fatal(err)
	}
	b.Close()
	got := make(chan error, 1)
	go func() {
		chunk, err := c.Fetch(t.Context(), 0, 0)
		if err == nil && (len(chunk.Records) != 1 || string(chunk.Records[0].Value) != "before") {
			err = errors.New("other records")
		}
		got <- err
	}()
	<-failed
	if b, err = broker.Start(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	if err := c.Produce(t.Context(), []source.Outgoing{{Value: []byte("after")}}); err != nil {
		t.Fatal(err)
	}
}

func TestClient_GivesUpWhenNobodyAnswers(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	c := open(t, []string{addr}, func(cfg *source.Config) { cfg.RetryFor = 50 * time.Millisecond })
	if _, err := c.Fetch(t.Context(), 0, 0); !errors.Is(err, source.ErrTransient) {
		t.Fatalf("got %v", err)
	}
	if _, err := c.TopicID(t.Context(), "x"); !errors.Is(err, source.ErrTransient) || !strings.Contains(err.Error(), "refused") {
		t.Fatalf("got %v", err)
	}
}

// TestClient_SpeaksTLSAndSASL also covers the raw exchanges and the group.
func TestClient_SpeaksTLSAndSASL(t *testing.T) {
	server, pool := certificate(t)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.TLS(server), kfake.EnableSASL(), kfake.GroupMinSessionTimeout(100*time.Millisecond),
		kfake.Superuser(source.SASLPlain, "plain", "secret"), kfake.Superuser(source.SASLScramSHA256, "small", "secret"), kfake.Superuser(source.SASLScramSHA512, "large", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	for _, s := range []source.SASL{
		{Mechanism: source.SASLPlain, User: "plain", Password: "secret"},
		{Mechanism: source.SASLScramSHA256, User: "small", Password: "secret"},
		{Mechanism: strings.ToLower(source.SASLScramSHA512), User: "large", Password: "secret"},
	} {
		t.Run(s.Mechanism, func(t *testing.T) {
			c := open(t, cluster.ListenAddrs(), func(cfg *source.Config) { cfg.TLS, cfg.SASL = &tls.Config{RootCAs: pool}, s })
			if err := c.EnsureTopics(t.Context(), source.TopicsConfig{Partitions: 1}); err != nil {
				t.Fatal(err)
			}
			if err := c.Produce(t.Context(), []source.Outgoing{{Value: []byte("x")}}); err != nil {
				t.Fatal(err)
			}
			if records, _ := readAll(t, c, 0, 0); len(records) != 1 {
				t.Fatalf("got %d records", len(records))
			}
			_, gen := join(t, c)
			if err := gen.Commit(t.Context(), 0, 1, "m"); err != nil {
				t.Fatal(err)
			}
			wrong := s
			wrong.Password = "guess"
			c = open(t, cluster.ListenAddrs(), func(cfg *source.Config) {
				cfg.TLS, cfg.SASL, cfg.RetryFor = &tls.Config{RootCAs: pool}, wrong, 50*time.Millisecond
			})
			if _, err := c.Partitions(t.Context(), "x"); err == nil || strings.Contains(err.Error(), "guess") {
				t.Fatalf("wrong password: %v", err)
			}
		})
	}
	c := open(t, cluster.ListenAddrs(), func(cfg *source.Config) { cfg.TLS = new(tls.Config) })
	if _, err := c.Partitions(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "x509") || errors.Is(err, source.ErrTransient) {
		t.Fatalf("unknown authority: %v", err)
	}
	if _, err := source.New(source.Config{Brokers: []string{"x"}, SASL: source.SASL{Mechanism: "GSSAPI"}}); err == nil {
		t.Fatal("a mechanism that is not known is taken")
	}
}

// certificate makes a server's certificate for the loopback address and the
// pool that believes it.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "broker"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}}, pool
}
