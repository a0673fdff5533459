package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"daybook/clickhouse"
)

type traceCmd struct {
	EventID string `arg:"" name:"event-id" help:"Id of the event."`
	JSON    bool   `name:"json" help:"Print one JSON object."`
}

// Help is shown under the command's usage.
func (*traceCmd) Help() string {
	return `Exit status 1 if nothing is known of the id.

Example:
  daybook trace access.log:17`
}

// Run looks the event up.
func (c *traceCmd) Run(ctx context.Context, a *app) error {
	found, err := a.needClickHouse()
	if err != nil {
		return err
	}
	store, err := clickhouse.Open(ctx, clickhouse.Options{DSN: found.ClickHouse.String(), Log: a.log})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // only read from
	traced, err := store.TraceEvent(ctx, c.EventID)
	if err != nil {
		return err
	}
	if len(traced.Events)+len(traced.Rejects) == 0 {
		return fmt.Errorf("trace %s: no accepted event and no reject has this id; a record that was not recorded, or is not read yet, leaves no row: daybook status tells the lag", c.EventID)
	}
	if c.JSON {
		return json.MarshalWrite(a.std.out, traced, jsontext.WithIndent("  "))
	}
	for i := range traced.Events {
		writeTraced(a.std.out, &traced.Events[i])
	}
	for i := range traced.Rejects {
		r := &traced.Rejects[i]
		fmt.Fprintf(a.std.out, "rejected  %s: %s\n  record  %s partition %d offset %d\n", r.Reason, r.Detail, r.Topic, r.Partition, r.Offset)
		if r.File != "" {
			fmt.Fprintf(a.std.out, "  file    %s line %d\n", r.File, r.Line)
		}
	}
	return nil
}

func writeTraced(out io.Writer, e *clickhouse.TracedEvent) {
	fmt.Fprintf(out, "accepted  %s\n  record   %s epoch %d partition %d offset %d\n  event    network %s user %s source %s\n  type     %s (%s)\n  time     %s, received %s\n  device   %s (%s)\n  rows     %d\n",
		e.ID, e.Topic, e.Epoch, e.Partition, e.Offset, e.Network, e.User, e.Source, e.Type, e.Kind,
		instant(e.Time), instant(e.ReceivedAt), e.DeviceID, e.DeviceClass, e.Rows)
	if e.Session == nil {
		fmt.Fprintln(out, "  session  none: this type of event is no presence signal, or its session is not written yet")
		return
	}
	s := e.Session
	ended := s.Status + ", ended by " + s.EndReason
	if s.Status == "open" {
		ended = "still open" // its row says inactivity until something else ends it
	}
	fmt.Fprintf(out, "  session  %s\n           %s to %s, %d events, %s\n           days %s\n",
		s.ID, instant(s.StartedAt), instant(s.EndedAt), s.Events, ended, strings.Join(s.Dates, ", "))
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }
