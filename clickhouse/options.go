package clickhouse

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"
)

// DefaultDatabase is used if neither the address nor Options names one.
const DefaultDatabase = "daybook"

// Options open a Store.
type Options struct {
	DSN      string // http(s)://user:password@host:port/database
	Database string // overrides the address's database
	Log      *slog.Logger
	// OnInsert is told of every insert into a table when it has ended; nil: nobody.
	OnInsert func(InsertStats)
	// Failpoint is called at the steps that Points names; the error that it gives
	// is the step's. nil in production.
	Failpoint func(point string) error
	// MaxConns bounds the connections, 32 if zero: a partition uses one, and the
	// middle of a flush a few at once.
	MaxConns int
}

// InsertStats is one insert into one table, its retries included.
type InsertStats struct {
	Table    string
	Rows     int
	Bytes    int // of the encoded block
	Attempts int // 1 if the first one succeeded
	Took     time.Duration
	Err      error // nil if the rows are durable
}

// driver gives clickhouse-go's options and the name of the database.
func (o Options) driver() (*chgo.Options, string, error) {
	u, err := url.Parse(o.DSN)
	if err != nil {
		return nil, "", fmt.Errorf("%w: want http://user:password@host:port/database", ErrAddress) // the cause would print the password
	}
	switch u.Scheme {
	case "http", "https":
	case "clickhouse", "tcp", "native":
		return nil, "", fmt.Errorf("%w: scheme %s speaks the native protocol; give the HTTP address, usually http://%s:8123/%s",
			ErrAddress, u.Scheme, u.Hostname(), strings.Trim(u.Path, "/"))
	default:
		return nil, "", fmt.Errorf("%w: scheme %q; want http://user:password@host:port/database", ErrAddress, u.Scheme)
	}
	if u.Hostname() == "" {
		return nil, "", fmt.Errorf("%w: no host; want http://user:password@host:port/database", ErrAddress)
	}
	database := strings.Trim(u.Path, "/")
	if o.Database != "" {
		database = o.Database
	}
	if database == "" {
		database = DefaultDatabase
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "8123", "https": "8443"}[u.Scheme]
	}
	password, _ := u.User.Password()
	conns := o.MaxConns
	if conns == 0 {
		conns = 32
	}
	opts := &chgo.Options{
		Protocol:     chgo.HTTP,
		Addr:         []string{u.Hostname() + ":" + port},
		Auth:         chgo.Auth{Username: u.User.Username(), Password: password},
		MaxOpenConns: conns, MaxIdleConns: conns,
		DialTimeout: 5 * time.Second,
		// Longer than any statement here may run without a byte of answer.
		ReadTimeout: 5 * time.Minute,
	}
	if strings.Contains(u.Hostname(), ":") {
		opts.Addr = []string{"[" + u.Hostname() + "]:" + port}
	}
	if u.Scheme == "https" {
		opts.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return opts, database, nil
}
