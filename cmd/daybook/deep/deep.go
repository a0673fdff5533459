// Package deep compares the tables with the log, cell by cell (TRUST.md section
// 1, P5): it reads each partition's log from its start, derives from it what the
// tables must hold (pipeline/reference), and reads the tables beside it.
//
// One partition is in memory at a time. What the log has lost to retention is
// taken from the tables as given: the events, settings and facts below the log's
// start stand in for the records, so that everything above is compared in full.
// Users who have events of an earlier epoch of the topic are not compared: their
// log is gone with its topic.
package deep

import (
	"context"
	"fmt"
	"slices"

	"daybook/clickhouse/query"
	"daybook/clickhouse/verify"
	"daybook/pipeline"
	"daybook/pipeline/source"
)

// Log is what a comparison needs of Kafka; *source.Client has it.
type Log interface {
	Fetch(ctx context.Context, partition int32, offset int64) (*source.Chunk, error)
	ListOffsets(ctx context.Context, partition int32) (start, end int64, err error)
}

// Options say what is compared.
type Options struct {
	Log     Log
	Worker  pipeline.Config // Epoch, Partitions and ControlKey, as a worker has them
	Only    []int32         // partitions; empty: all
	Details int             // differences shown of each table; 20 if zero
	Read    func(n int64)   // told of every chunk: so many offsets more; nil: nobody
}

// run is one comparison.
type run struct {
	Options

	db     query.Querier
	report *verify.Report
	days   *networkDays // of every partition
}

// Run compares the tables with the log and adds what it finds to a report of
// verify.Run, whose positions it goes by.
func Run(ctx context.Context, db query.Querier, report *verify.Report, o Options) error {
	if o.Details <= 0 {
		o.Details = 20
	}
	if o.Read == nil {
		o.Read = func(int64) {}
	}
	r := &run{Options: o, db: db, report: report, days: newNetworkDays()}
	for i := range report.Places {
		p := &report.Places[i]
		if !p.Current || !o.wanted(p.Partition) {
			continue
		}
		if err := r.partition(ctx, p); err != nil {
			return fmt.Errorf("compare partition %d: %w", p.Partition, err)
		}
	}
	if len(o.Only) > 0 {
		r.note("daily_networks was not compared with the log: it adds up all partitions")
		return nil
	}
	return r.compareNetworkDays(ctx)
}

func (o *Options) wanted(partition int32) bool {
	return len(o.Only) == 0 || slices.Contains(o.Only, partition)
}

func (r *run) note(format string, args ...any) {
	r.report.Notes = append(r.report.Notes, fmt.Sprintf(format, args...))
}

// check gives the report's check of a table.
func (r *run) check(table string) *verify.Check { return r.report.Check("P5", "deep "+table) }

// Offsets counts what Run will read: for showing how far it is.
func (o *Options) Offsets(report *verify.Report) (n int64) {
	for i := range report.Places {
		if p := &report.Places[i]; p.Current && o.wanted(p.Partition) {
			n += max(0, p.Stored-p.LogStart)
		}
	}
	return n
}
