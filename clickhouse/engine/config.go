package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Config is everything that the engine's child process needs. It travels from
// the parent as one line of JSON on the child's standard input, so that no
// password shows in a process list. A zero number means its default.
type Config struct {
	Path           string // absolute folder of the tables; one process at a time
	Library        string // libchdb.so; "" = FindLibrary's search
	Address        string // loopback host:port; default 127.0.0.1:0 (any free port)
	Database       string // made at start, and current where none is asked for; default "daybook"
	AppPassword    string // of user "daybook", role app; required
	ReaderPassword string // of user "reader", role reader; "" = no such account

	MemoryBytes     int64         // cap of the engine's own memory; default 1 GiB
	MaxConnections  int           // statements that run at once, of which readers have half; default 16
	MaxQueued       int           // statements that wait for a turn; default 64
	QueueTimeout    time.Duration // how long they wait; default 30 s
	MaxSessions     int           // pinned sessions; default 32
	MaxStatement    int           // bytes of SQL text, without inserted rows; default 1 MiB
	MaxBodyBytes    int64         // request body, decompressed; default 16 GiB
	MaxResultBytes  int64         // result that cannot be streamed; default 256 MiB
	LockTimeout     time.Duration // wait for the folder at start; default 10 s
	ShutdownTimeout time.Duration // wait for statements at stop; default 10 s
}

// Accounts of the door.
const (
	UserApp    = "daybook" // role app: the product itself
	UserReader = "reader"  // role reader: people with SQL; SELECT and SHOW only
)

// withDefaults fills zero numbers.
func (c Config) withDefaults() Config {
	text := func(p *string, v string) {
		if *p == "" {
			*p = v
		}
	}
	text(&c.Address, "127.0.0.1:0")
	text(&c.Database, "daybook")
	c.MemoryBytes = orDefault(c.MemoryBytes, 1<<30)
	c.MaxConnections = orDefault(c.MaxConnections, 16)
	c.MaxQueued = orDefault(c.MaxQueued, 64)
	c.QueueTimeout = orDefault(c.QueueTimeout, 30*time.Second)
	c.MaxSessions = orDefault(c.MaxSessions, 32)
	c.MaxStatement = orDefault(c.MaxStatement, 1<<20)
	c.MaxBodyBytes = orDefault(c.MaxBodyBytes, 16<<30)
	c.MaxResultBytes = orDefault(c.MaxResultBytes, 256<<20)
	c.LockTimeout = orDefault(c.LockTimeout, 10*time.Second)
	c.ShutdownTimeout = orDefault(c.ShutdownTimeout, 10*time.Second)
	return c
}

func orDefault[T int | int64 | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// validate reports every problem at once.
func (c Config) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !filepath.IsAbs(c.Path) {
		add("engine path %q: must be absolute", c.Path)
	}
	if c.AppPassword == "" {
		add("engine password of user %s: must not be empty", UserApp)
	}
	if !isIdentifier(c.Database) || strings.EqualFold(c.Database, "default") {
		add("engine database %q: must be a plain name other than default, which the engine maps onto the file system", c.Database)
	}
	if err := checkLoopback(c.Address); err != nil {
		errs = append(errs, err)
	}
	for name, v := range map[string]int64{
		"memory": c.MemoryBytes, "connections": int64(c.MaxConnections), "queue": int64(c.MaxQueued),
		"sessions": int64(c.MaxSessions), "statement": int64(c.MaxStatement), "body": c.MaxBodyBytes, "result": c.MaxResultBytes,
	} {
		if v < 0 {
			add("engine limit %s %d: must not be negative", name, v)
		}
	}
	return errors.Join(errs...)
}

// isIdentifier tells names that need no quoting.
func isIdentifier(s string) bool {
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	for i := range len(s) {
		if !isWordByte(s[i]) {
			return false
		}
	}
	return true
}

func isWordByte(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}
