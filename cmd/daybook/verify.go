package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"daybook/clickhouse"
	"daybook/clickhouse/verify"
	"daybook/cmd/daybook/deep"
	"daybook/pipeline"
	"daybook/pipeline/source"
)

type verifyCmd struct {
	Deep           bool    `help:"Read the log, derive the tables from it, and compare them cell by cell."`
	TopicPartition []int32 `help:"With --deep: only these partitions of daybook.events." placeholder:"N"`

	Check []string `help:"Only these checks, by name." placeholder:"NAME"`

	Details int  `help:"Differences to show of each check." default:"20"`
	JSON    bool `name:"json" help:"Print one JSON object."`
}

// Help is shown under the command's usage.
func (*verifyCmd) Help() string {
	return `Proves from ClickHouse and Kafka's offsets what is promised of the tables: every offset is in exactly
one class of the ledger and the classes are the rows (P1), an event id counts once (P2), sessions are
what their events make (P3), slices, rollups, stamps and watermarks equal their recomputation (P4),
a version has one content (P5), the committed offset never passes what is stored and no row is of the
future (P6).

Workers may run meanwhile: records that were not stored and sessions that were not published when it
began are counted as in flight and not judged. With workers stopped in order nothing is in flight.

With --deep each partition's log is read from its start, a naive reference derives from it what the
tables must hold (events, sessions, slices, rejects with their bytes, ledger, settings, facts, users,
watermarks, daily rollups), and every cell is compared. One partition is in memory at a time: about
2.6 KB a record. What retention took from the log is taken from the tables as given, and said.
It needs the installation's key, as a worker does.

Exit status: 0 nothing is wrong, 1 there are differences, 2 it could not be told.

Example:
  daybook verify
  daybook verify --check sessions --check ledger
  daybook verify --deep
  daybook verify --json | jq '.checks[] | select(.wrong > 0)'`
}

// Run verifies and prints.
func (c *verifyCmd) Run(ctx context.Context, a *app) error {
	report, err := c.verify(ctx, a)
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("verify: %w", err)}
	}
	if c.JSON {
		err = json.MarshalWrite(a.std.out, report, jsontext.WithIndent("  "), json.FormatNilSliceAsNull(false))
	} else {
		err = writeReport(a.std.out, report)
	}
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("verify: %w", err)}
	}
	if n := report.Wrong(); n > 0 {
		noun := "differences"
		if n == 1 {
			noun = "difference"
		}
		return &exitError{exitFailed, fmt.Errorf("verify: %d %s", n, noun)}
	}
	if report.Blind() {
		return &exitError{exitUsage, errors.New("verify: the log holds records, but the tables know of none: no worker has read them yet, or the tables were emptied")}
	}
	return nil
}

func (c *verifyCmd) verify(ctx context.Context, a *app) (*verify.Report, error) {
	found, err := a.needBoth()
	if err != nil {
		return nil, err
	}
	store, client, closeBoth, err := a.openToRead(ctx, found)
	if err != nil {
		return nil, err
	}
	defer closeBoth()
	step := newStep(a.std.err)
	report, err := verifyTables(ctx, store, client, verify.Options{Only: c.Check, Details: c.Details, Progress: step.show})
	step.end()
	if err != nil || !c.Deep {
		return report, err
	}
	return report, c.verifyDeep(ctx, a, store, client, report)
}

// verifyDeep compares with the log what the report's positions cover.
func (c *verifyCmd) verifyDeep(ctx context.Context, a *app, store *clickhouse.Store, client *source.Client, report *verify.Report) error {
	key, err := a.installationKey(false)
	if err != nil {
		return err
	}
	n, err := client.Partitions(ctx, client.EventsTopic())
	if err != nil {
		return err
	}
	epoch := uint16(0)
	for i := range report.Places {
		if report.Places[i].Current {
			epoch = report.Places[i].Epoch
		}
	}
	o := deep.Options{
		Log: client, Only: c.TopicPartition, Details: c.Details,
		Worker: pipeline.Config{Epoch: epoch, Partitions: int32(n), ControlKey: key},
	}
	m := a.newMeter("compare with the log", "records", o.Offsets(report))
	defer m.finish()
	o.Read = func(n int64) { m.n.Add(n) }
	return deep.Run(ctx, store, report, o)
}

// verifyTables runs the checks that need no record of the log.
func verifyTables(ctx context.Context, store *clickhouse.Store, client *source.Client, o verify.Options) (*verify.Report, error) {
	o.Topic = client.EventsTopic()
	id, err := client.TopicID(ctx, o.Topic)
	if err != nil {
		return nil, err
	}
	if o.Epoch, err = store.TopicEpoch(ctx, o.Topic, id); err != nil {
		return nil, err
	}
	o.Log = verifiedLog{client}
	return verify.Run(ctx, store, o)
}

// verifiedLog tells the checks Kafka's positions.
type verifiedLog struct{ client *source.Client }

// Committed implements verify.Log.
func (l verifiedLog) Committed(ctx context.Context) (map[int32]verify.Committed, error) {
	n, err := l.client.Partitions(ctx, l.client.EventsTopic())
	if err != nil {
		return nil, err
	}
	partitions := make([]int32, n)
	for p := range partitions {
		partitions[p] = int32(p)
	}
	committed, err := l.client.Committed(ctx, partitions)
	if err != nil {
		return nil, err
	}
	all := make(map[int32]verify.Committed, n)
	for p, c := range committed {
		one := verify.Committed{Offset: c.Offset, Pointer: -1}
		if pointer, err := source.ParsePointer(c.Metadata); err == nil {
			one.Pointer = pointer.Next
		}
		all[p] = one
	}
	return all, nil
}

// Ends implements verify.Log.
func (l verifiedLog) Ends(ctx context.Context) (map[int32][2]int64, error) {
	n, err := l.client.Partitions(ctx, l.client.EventsTopic())
	if err != nil {
		return nil, err
	}
	all := make(map[int32][2]int64, n)
	for p := range int32(n) {
		start, end, err := l.client.ListOffsets(ctx, p)
		if err != nil {
			return nil, err
		}
		all[p] = [2]int64{start, end}
	}
	return all, nil
}

// writeReport prints a line a check, and under the lines what is wrong.
func writeReport(out io.Writer, r *verify.Report) error {
	var sum verify.Check
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "PROMISE\tCHECK\tROWS\tCELLS\tIN FLIGHT\tWRONG\n")
	for i := range r.Checks {
		c := &r.Checks[i]
		cells := "-" // of checks that are questions, not comparisons
		if c.Cells > 0 {
			cells = strconv.FormatUint(c.Cells, 10)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%d\t%d\n", c.Promise, c.Name, c.Looked, cells, c.Flying, c.Wrong)
		sum.Looked += c.Looked
		sum.Cells += c.Cells
		sum.Flying += c.Flying
	}
	fmt.Fprintf(w, "\tall\t%d\t%d\t%d\t%d\n", sum.Looked, sum.Cells, sum.Flying, r.Wrong())
	for i := range r.Checks {
		c := &r.Checks[i]
		if c.Wrong == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s: %d wrong", c.Name, c.Wrong)
		if shown := uint64(len(c.Details)); shown < c.Wrong {
			fmt.Fprintf(w, ", the first %d", shown)
		}
		fmt.Fprintln(w)
		for _, d := range c.Details {
			fmt.Fprintf(w, "  %s: %s\n", printable(d.Identity), printable(d.Wrong))
		}
	}
	if len(r.Notes) > 0 {
		fmt.Fprintln(w)
	}
	for _, note := range r.Notes {
		fmt.Fprintln(w, "note: "+note)
	}
	return w.Flush()
}

// printable keeps ids of users from moving the terminal's cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '�'
		}
		return r
	}, text)
}

// step shows on a terminal what is being done, in one line.
type step struct {
	out   io.Writer
	shown bool
}

func newStep(out io.Writer) *step {
	if !isTerminal(out) {
		return &step{}
	}
	return &step{out: out}
}

func (s *step) show(what string) {
	if s.out != nil {
		fmt.Fprintf(s.out, "\r\x1b[K%s", what)
		s.shown = true
	}
}

// end clears the line.
func (s *step) end() {
	if s.shown {
		fmt.Fprint(s.out, "\r\x1b[K")
	}
}
