package readapi

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"daybook/clickhouse/query"
	"daybook/schemas/zones"
)

// SettingsWriter changes a network. It returns when every partition of the
// events topic holds the change (ARCHITECTURE.md section 4.10); cmd wires it to
// Kafka.
type SettingsWriter interface {
	PutNetwork(ctx context.Context, network string, change NetworkChange) (NetworkSettings, error)
}

// NetworkChange says what to change; nil leaves what is in force, or the
// default of a network that is made: zone UTC, gap 30 min, recording.
type NetworkChange struct {
	Title     *string
	Zone      *string        // IANA name, checked
	Gap       *time.Duration // 1 to 240 min, checked
	Recording *bool
	Retention *int // days that stored events are kept, 0 for ever; checked
}

// NetworkSettings is what is in force after a change.
type NetworkSettings struct {
	Title     string
	Zone      string
	Gap       time.Duration
	Recording bool
	Retention int   // days that stored events are kept; 0: for ever
	Position  int64 // in the settings catalogue
	Created   bool  // the network did not exist before
}

// Config is everything that the API is made of. The zero value of a field
// means its default, but for the required ones.
type Config struct {
	DB        query.Exporter // required; *clickhouse.Store is one
	Settings  SettingsWriter // nil: PUT answers 503 settings_unavailable
	AdminKeys []KeyHash      // required, at least one

	Clock      func() time.Time      // the present; time.Now
	Logger     *slog.Logger          // discards
	Registerer prometheus.Registerer // a registry of its own

	Origins       []string      // that may read by CORS, exact, scheme included; none
	SecureCookie  bool          // the page is reached by https
	TzdataVersion string        // of the zone data; that of package zones
	QueryTimeout  time.Duration // of everything but CSV; 10 s
	ExportTimeout time.Duration // of one CSV; 30 min
	MaxExports    int           // CSVs at once; 8
	MaxRangeDays  int           // of one question; 3,660
}

// Defaults of Config, chosen for one machine; not measured.
const (
	defaultQueryTimeout  = 10 * time.Second
	defaultExportTimeout = 30 * time.Minute
	defaultMaxExports    = 8
	defaultMaxRangeDays  = 3660
)

func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.DB == nil {
		errs = append(errs, errors.New("make read API: no DB"))
	}
	if len(c.AdminKeys) == 0 {
		errs = append(errs, errors.New("make read API: no admin key: nobody could read"))
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	if c.TzdataVersion == "" {
		c.TzdataVersion = zones.Version
	}
	if c.QueryTimeout <= 0 {
		c.QueryTimeout = defaultQueryTimeout
	}
	if c.ExportTimeout <= 0 {
		c.ExportTimeout = defaultExportTimeout
	}
	if c.MaxExports <= 0 {
		c.MaxExports = defaultMaxExports
	}
	if c.MaxRangeDays <= 0 {
		c.MaxRangeDays = defaultMaxRangeDays
	}
	return c, errors.Join(errs...)
}
