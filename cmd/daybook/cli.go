package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"golang.org/x/term"
)

// Exit statuses that scripts rely on (INTERFACES.md section 7).
const (
	exitOK       = 0
	exitFailed   = 1 // did not finish
	exitUsage    = 2 // the command line or the configuration is wrong
	exitRejected = 3 // replay: finished, but some were rejected or not recorded
)

// stdio is where a command reads and writes: results to out, progress and
// messages to err.
type stdio struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// app is what every subcommand gets: the configuration in force and the
// world. It is built once, before the subcommand runs.
type app struct {
	std    stdio
	cfg    *config
	origin map[string]string // by variable name: where the value came from
	data   string            // the data folder, absolute
	// dataGiven tells --data from the folder that was found.
	dataGiven bool
	log       *slog.Logger
	// failpoint is nil unless a test has armed some: one hook for the whole
	// process, so that occurrences are counted once.
	failpoint func(point string) error
	env       []string // handed on to the engine's process
}

// cli is the command line. It shares no struct with the environment: kong
// reads env tags too, and one field with two readers has two meanings.
type cli struct {
	Data string `help:"Data folder (default: the nearest .daybook from here upwards, else ./.daybook)." placeholder:"DIR"`

	Dev      devCmd      `cmd:"" help:"Run everything on embedded parts in one data folder."`
	Network  networkCmd  `cmd:"" help:"Make, change and list networks."`
	Replay   replayCmd   `cmd:"" help:"Bring files into Kafka with their own event times."`
	Generate generateCmd `cmd:"" help:"Produce realistic load, the same for the same seed."`
	SQL      sqlCmd      `cmd:"" name:"sql" help:"Ask the configured ClickHouse."`
	Trace    traceCmd    `cmd:"" help:"Follow one event: partition, offset, fate, session and rows."`
	Status   statusCmd   `cmd:"" help:"Show lag, complete-through, checkpoints and disk."`
	Verify   verifyCmd   `cmd:"" help:"Prove that the tables say what the log says."`
	Worker   workerCmd   `cmd:"" help:"Run the worker by itself: Kafka in, ClickHouse out."`
	Serve    serveCmd    `cmd:"" help:"Run the read API and the page by themselves."`
	Broker   brokerCmd   `cmd:"" help:"Run the embedded Kafka as its own process."`
	Migrate  migrateCmd  `cmd:"" help:"Bring the tables and topics up to date."`
	Skip     skipCmd     `cmd:"" help:"Give up records that the log has lost, so that a halted partition goes on."`
	Repair   repairCmd   `cmd:"" help:"Compute sessions of a span again from the stored events."`
	Config   configCmd   `cmd:"" help:"Print the configuration in force and where each value came from."`
	Version  versionCmd  `cmd:"" help:"Print the version of everything embedded."`
	Engine   engineCmd   `cmd:"" hidden:"" help:"The embedded ClickHouse (a child process of dev)."`
}

// exitError carries an exit status other than 1 through the error.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// parseExit leaves kong's parser, which wants to end the process on --help.
type parseExit int

// newParser builds the parser; width fixes the help's line length for tests
// (0: the terminal's).
func newParser(target *cli, std stdio) (*kong.Kong, error) {
	return kong.New(target,
		kong.Name("daybook"),
		kong.Description("Daybook turns raw activity events into sessions that you can query.\n\n"+
			"Servers are found in the environment (DAYBOOK_KAFKA_BROKERS, DAYBOOK_CLICKHOUSE_DSN, DAYBOOK_API), "+
			"else in dev.json of the data folder, which daybook dev writes."),
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { panic(parseExit(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
}

// run is main without the process: arguments in, exit status out.
func run(args []string, std stdio, environ []string) (code int) {
	var line cli
	parser, err := newParser(&line, std)
	if err != nil {
		return complain(std, exitUsage, fmt.Errorf("build command line: %w", err))
	}
	defer func() {
		if p := recover(); p != nil {
			status, ok := p.(parseExit)
			if !ok {
				panic(p)
			}
			code = int(status)
		}
	}()
	parsed, err := parser.Parse(args)
	if err != nil {
		return complain(std, exitUsage, fmt.Errorf("%w (daybook --help lists the commands)", err))
	}
	a, err := newApp(&line, std, environ)
	if err != nil {
		return complain(std, exitUsage, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(a); err != nil {
		status := exitFailed
		if exit, ok := errors.AsType[*exitError](err); ok {
			status = exit.code
		}
		return complain(std, status, err)
	}
	return exitOK
}

// newApp reads the environment once and finds the data folder.
func newApp(line *cli, std stdio, environ []string) (*app, error) {
	cfg, origin, err := readConfig(environ)
	if err != nil {
		return nil, fmt.Errorf("read configuration:\n%w", err)
	}
	dir, err := dataDir(line.Data)
	if err != nil {
		return nil, err
	}
	armed, err := parseFailpoints(cfg.Failpoint)
	if err != nil {
		return nil, err // readConfig has checked it
	}
	log := cfg.newLogger(std)
	return &app{
		std: std, cfg: cfg, origin: origin, data: dir, dataGiven: line.Data != "", log: log, env: environ, failpoint: armed.hook(log),
	}, nil
}

func complain(std stdio, code int, err error) int {
	if text := strings.TrimSpace(err.Error()); text != "" {
		fmt.Fprintln(std.err, "daybook: "+text)
	}
	return code
}

// isTerminal tells whether a writer is a terminal: bars and colours go there
// and nowhere else.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func mapsKeys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }
