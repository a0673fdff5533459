package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"daybook/cmd/daybook/generate"
	"daybook/pipeline/source"
)

type generateCmd struct {
	Seed     uint64        `help:"Equal seeds give equal bytes." required:""`
	Events   int64         `help:"Records in all, repeats included." required:""`
	Networks int           `help:"Number of networks." default:"1"`
	Users    int           `help:"Users of each network." default:"1000"`
	Days     int           `help:"Days that the events are spread over." default:"1"`
	Visit    int           `help:"Mean events of a visit." default:"18"`
	Late     float64       `help:"Share of records that arrive 2 to 48 hours after their event." default:"0"`
	Rate     int           `help:"Most records a second; 0: as fast as it goes." placeholder:"N"`
	Start    time.Time     `help:"First day (default 2026-01-05)." format:"2006-01-02" placeholder:"DATE"`
	Name     string        `help:"Name of the network; several get -1, -2, … behind it." default:"load"`
	Out      string        `help:"Write newline-delimited JSON to a file, or - for stdout, instead of Kafka." placeholder:"FILE"`
	Behind   time.Duration `help:"Most that the workers may fall behind, so that live records stay fresh; 0: do not wait for them." default:"4s"`
	Wait     bool          `help:"Return when every record is accounted for and visible, and print the account."`
	Timeout  time.Duration `help:"Longest time that --wait waits without any progress." default:"5m"`
}

// Help is shown under the command's usage.
func (*generateCmd) Help() string {
	return `Sessions of people, some far more active than others, by day in their own time zones, on phones and
browsers; in order of arrival, 5 % out of order within a minute, 1 % repeats. No clock is read.

Example:
  daybook generate --seed 1 --events 1000000 --users 5000 --days 7 --wait`
}

// Run produces the load, or writes it.
func (c *generateCmd) Run(ctx context.Context, a *app) error {
	gen, err := generate.New(generate.Config{
		Seed: c.Seed, Events: c.Events, Networks: c.Networks, Users: c.Users, Days: c.Days, Late: c.Late, Visit: c.Visit, Start: c.Start, Name: c.Name,
	})
	if err != nil {
		return &exitError{exitUsage, err}
	}
	if c.Out != "" {
		return c.write(ctx, a, gen)
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
	settings, err := a.openSettings(client)
	if err != nil {
		return err
	}
	for _, network := range gen.Networks() {
		if _, err := settings.Ensure(ctx, network); err != nil {
			return err
		}
	}
	pace, done := a.pace(ctx, client, c.Behind)
	defer done()
	if !c.Wait {
		_, err := c.produce(ctx, a, client, gen, pace)
		return err
	}
	return a.accounted(ctx, found, client, c.Timeout, func() (int64, error) { return c.produce(ctx, a, client, gen, pace) })
}

func (c *generateCmd) produce(ctx context.Context, a *app, client *source.Client, gen *generate.Generator, pace *pacer) (int64, error) {
	to, err := client.NewProducer(ctx, bulk())
	if err != nil {
		return 0, err
	}
	start := time.Now()
	m := a.newPacedMeter("generating", "records", c.Events, pace)
	out := newSender(to, &m.n, c.Rate, pace)
	for r, ok := gen.Next(); ok && err == nil; r, ok = gen.Next() {
		err = out.add(ctx, &source.Outgoing{Key: r.Key, Value: r.Value})
	}
	if ferr := out.finish(ctx); err == nil {
		err = ferr // else the first error is the one to tell
	}
	m.finish()
	acked := m.n.Load()
	if err != nil {
		return acked, fmt.Errorf("generate: %w\n%d of %d records were acknowledged by Kafka", err, acked, c.Events)
	}
	a.log.LogAttrs(ctx, slog.LevelInfo, "produced", slog.Int64("records", acked), slog.String("rate", perSecond(acked, time.Since(start))))
	return acked, nil
}

// write puts the records into a file, one a line.
func (c *generateCmd) write(ctx context.Context, a *app, gen *generate.Generator) (err error) {
	out := a.std.out
	if c.Out != "-" {
		f, err := os.Create(c.Out)
		if err != nil {
			return fmt.Errorf("write load: %w", err)
		}
		defer func() {
			if cerr := f.Close(); cerr != nil && err == nil {
				err = fmt.Errorf("write load: %w", cerr)
			}
		}()
		out = f
	}
	m := a.newMeter("generating", "records", c.Events)
	defer m.finish()
	w := bufio.NewWriterSize(out, 1<<20)
	for r, ok := gen.Next(); ok; r, ok = gen.Next() {
		_, _ = w.Write(r.Value) // a bufio.Writer keeps its first error
		if err := w.WriteByte('\n'); err != nil {
			return fmt.Errorf("write load: %w", err)
		}
		if n := m.n.Add(1); n%4096 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write load: %w", err)
	}
	return nil
}
