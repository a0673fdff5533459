package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"daybook/cmd/daybook/replay"
	"daybook/pipeline/source"
	"daybook/schemas"
)

type replayCmd struct {
	Files   []string      `arg:"" name:"file" help:"Files to read; - is stdin. gzip and zip are recognised by their content."`
	Network string        `help:"Network of every line; made if it does not exist." placeholder:"N"`
	Format  string        `help:"auto, ndjson, csv or combined." enum:"auto,ndjson,csv,combined" default:"auto"`
	Map     []string      `help:"Fields from columns; KIND of a time is unix, unixms, rfc3339 or a Go layout." sep:"none" placeholder:"F=COLUMN[:KIND],…"`
	Set     []string      `help:"Fields with one value for every line." sep:"none" placeholder:"F=VALUE,…"`
	Source  string        `help:"Source of the events (default: the file's base name; in a zip the member's)." placeholder:"S"`
	Order   string        `help:"Produce in the order of event time, or of the file." enum:"time,file" default:"time"`
	Rate    int           `help:"Most records a second; 0: as fast as it goes." placeholder:"N"`
	Behind  time.Duration `help:"Most that the workers may fall behind, so that live records stay fresh; 0: do not wait for them." default:"4s"`
	Wait    bool          `help:"Return when every record is accounted for and visible, and print the account."`
	Timeout time.Duration `help:"Longest time that --wait waits without any progress." default:"5m"`
}

// Help is shown under the command's usage.
func (*replayCmd) Help() string {
	return `Reads newline-delimited JSON events, Apache or nginx combined logs, and CSV whose first record names
the columns. Events keep their own times. A row without an id gets one from source and line number,
so that replaying a file again changes nothing. A line that cannot be mapped is produced as it is and
ends in the table rejects with file, line and reason.

Exit status: 0 all taken; 3 some rejected or not recorded; 1 did not finish.

Examples:
  daybook replay access.log.gz --network web --wait
  daybook replay clicks.csv.zip --format csv --network shop \
      --map user=person,time=ts:unix,content.id=item,action=kind --wait`
}

// options reads the flags that decide what becomes of a line.
func (c *replayCmd) options() (*replay.Options, error) {
	columns, err := replay.ParseMap(c.Map)
	if err != nil {
		return nil, err
	}
	set, err := replay.ParseSet(c.Set)
	if err != nil {
		return nil, err
	}
	if c.Network != "" && !schemas.ValidNetwork(c.Network) {
		return nil, fmt.Errorf("read --network %q: a network is [a-z0-9][a-z0-9._-]{0,63}", c.Network)
	}
	if c.Rate < 0 {
		return nil, fmt.Errorf("read --rate %d: it must not be negative", c.Rate)
	}
	return &replay.Options{Format: replay.Format(c.Format), Map: columns, Set: set, Network: c.Network, Source: c.Source}, nil
}

// Run replays the files.
func (c *replayCmd) Run(ctx context.Context, a *app) error {
	opts, err := c.options()
	if err != nil {
		return &exitError{exitUsage, err}
	}
	find := a.needKafka
	if c.Wait {
		find = a.needBoth
	}
	found, err := find()
	if err != nil {
		return err
	}
	client, err := a.openTopic(ctx, found.Kafka)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := c.ensureNetwork(ctx, a, client); err != nil {
		return err
	}
	pace, done := a.pace(ctx, client, c.Behind)
	defer done()
	job := &replayJob{app: a, open: produceTo(client), opts: opts, order: c.Order, rate: c.Rate, pace: pace}
	if !c.Wait {
		if err := job.run(ctx, c.Files); err != nil || job.unmappable == 0 {
			return err
		}
		return &exitError{exitRejected, fmt.Errorf("replay: %d of %d lines could not be mapped; they end in the table rejects", job.unmappable, job.read)}
	}
	return a.accounted(ctx, found, client, c.Timeout, func() (int64, error) {
		err := job.run(ctx, c.Files)
		return job.read, err
	})
}

func (c *replayCmd) ensureNetwork(ctx context.Context, a *app, client *source.Client) error {
	network := c.Network
	if network == "" {
		return nil
	}
	settings, err := a.openSettings(client)
	if err != nil {
		return err
	}
	created, err := settings.Ensure(ctx, network)
	if created {
		a.log.LogAttrs(ctx, slog.LevelInfo, "network made", slog.String("network", network))
	}
	return err
}

// replayJob brings files into Kafka.
type replayJob struct {
	app   *app
	open  func(ctx context.Context) (producer, error)
	opts  *replay.Options
	order string
	rate  int
	pace  *pacer
	out   outgoing

	read       int64 // lines read
	unmappable int64
}

// run reads, orders and produces. Its error says how much Kafka has.
func (j *replayJob) run(ctx context.Context, files []string) error {
	in, err := replay.OpenInputs(files, j.app.std.in)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // only read from
	to, err := j.open(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	m := j.app.newPacedMeter("producing", "records", 0, j.pace)
	out := newSender(to, &m.n, j.rate, j.pace)
	if j.order == "file" {
		err = j.inOrderOfFile(ctx, in, out)
	} else {
		err = j.inOrderOfTime(ctx, in, out, m)
	}
	// What was sent before an error still counts; the first error is the one to tell.
	if ferr := out.finish(ctx); err == nil {
		err = ferr
	}
	m.finish()
	acked := m.n.Load()
	if err != nil {
		return fmt.Errorf("replay: %w\n%d of %d lines read so far were acknowledged by Kafka; the same command again is safe: repeats change nothing", err, acked, j.read)
	}
	j.app.log.LogAttrs(ctx, slog.LevelInfo, "produced",
		slog.Int64("records", acked), slog.Int64("unmappable", j.unmappable), slog.String("rate", perSecond(acked, time.Since(start))))
	return nil
}

func (j *replayJob) count(row *replay.Row) {
	j.read++
	if row.Err != "" {
		j.unmappable++
	}
}

func (j *replayJob) inOrderOfFile(ctx context.Context, in *replay.Inputs, out *sender) error {
	return replay.Read(ctx, in, j.opts, func(row *replay.Row) error {
		j.count(row)
		return out.add(ctx, j.out.record(row))
	})
}

// inOrderOfTime reads everything before it produces anything: the earliest
// event may stand on the last line.
func (j *replayJob) inOrderOfTime(ctx context.Context, in *replay.Inputs, out *sender, producing *meter) error {
	sorter := replay.NewSorter(os.TempDir(), j.app.cfg.ReplayMemoryBytes)
	defer func() { _ = sorter.Close() }() // its files have no names any more
	reading := j.app.newMeter("reading", "bytes", in.Bytes)
	err := replay.Read(ctx, in, j.opts, func(row *replay.Row) error {
		j.count(row)
		reading.n.Store(in.Read.Load())
		return sorter.Add(row)
	})
	reading.finish()
	if err != nil {
		return err
	}
	producing.setTotal(sorter.Len())
	return sorter.Each(func(row *replay.Row) error { return out.add(ctx, j.out.record(row)) })
}

// outgoing makes records of rows, one after the other in the same memory.
type outgoing struct {
	r       source.Outgoing
	headers [3]source.Header
	file    string // of which the header holds the bytes
}

// record gives every line its headers: what the worker rejects later (an unknown
// network, a time out of range) names its file and line as well.
func (o *outgoing) record(row *replay.Row) *source.Outgoing {
	h := &o.headers
	if h[0].Key == nil {
		h[0].Key, h[1].Key, h[2].Key = []byte(schemas.HeaderFile), []byte(schemas.HeaderLine), []byte(schemas.HeaderError)
	}
	if o.file != row.File || h[0].Value == nil {
		o.file, h[0].Value = row.File, []byte(row.File)
	}
	h[1].Value = strconv.AppendUint(h[1].Value[:0], row.Line, 10)
	o.r = source.Outgoing{Key: row.Key, Value: row.Value, Headers: h[:2]}
	if row.Err != "" {
		h[2].Value = []byte(row.Err)
		o.r.Headers = h[:]
	}
	return &o.r
}

// produceTo opens a producer for much.
func produceTo(client *source.Client) func(ctx context.Context) (producer, error) {
	return func(ctx context.Context) (producer, error) { return client.NewProducer(ctx, bulk()) }
}
