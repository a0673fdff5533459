package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"daybook/clickhouse/query"
)

// Log is what a run needs of Kafka: positions, no records.
type Log interface {
	// Committed gives the committed offset of each partition and the checkpoint
	// that its metadata points to.
	Committed(ctx context.Context) (map[int32]Committed, error)
	// Ends gives the range [start, end) that each partition's log holds.
	Ends(ctx context.Context) (map[int32][2]int64, error)
}

// Committed is what the group committed for a partition.
type Committed struct {
	Offset  int64 // -1: nothing
	Pointer int64 // the offset that the checkpoint in the metadata is of; -1 if the metadata is no pointer
}

// Options say what is verified.
type Options struct {
	Topic string // of the events
	Epoch uint16 // that Kafka has now
	Log   Log

	Only      []string          // names of checks; empty: all
	Details   int               // differences shown of each check; 20 if zero
	ShardRows int               // events of one shard; 250,000 if zero
	Progress  func(what string) // told of every step; nil: nobody
}

func (o *Options) withDefaults() {
	if o.Details <= 0 {
		o.Details = 20
	}
	if o.ShardRows <= 0 {
		o.ShardRows = 250_000
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
}

// wants says whether a check is to be run.
func (o *Options) wants(name string) bool { return len(o.Only) == 0 || slices.Contains(o.Only, name) }

// run is one run.
type run struct {
	Options

	db     query.Querier
	report *Report
	ends   map[int32][2]int64 // of the log, read after the rows
	gaps   []gap
}

// Run verifies the tables. An error means that it could not be told; what is
// wrong is in the report.
func Run(ctx context.Context, db query.Querier, o Options) (*Report, error) {
	o.withDefaults()
	for _, name := range o.Only {
		if !slices.Contains(Names(), name) {
			return nil, fmt.Errorf("no check is called %s; there are %s", name, strings.Join(Names(), ", "))
		}
	}
	r := &run{Options: o, db: db, report: &Report{Places: []Place{}, Notes: []string{}}}
	for _, step := range []func(context.Context) error{r.readPlaces, r.checkAccounts, r.checkUsers, r.checkDays, r.checkVersions, r.checkPositions} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return r.report, nil
}

// checkAccounts looks at the ledger and what it accounts for.
func (r *run) checkAccounts(ctx context.Context) error {
	if err := r.checkGaps(ctx); err != nil {
		return err
	}
	all := r.scope()
	for _, c := range aboutAccounts() {
		if err := r.judge(ctx, c.promise, c.name, all); err != nil {
			return err
		}
	}
	return nil
}

// checkUsers looks at everything that belongs to a user, shard by shard.
func (r *run) checkUsers(ctx context.Context) error {
	shards, err := r.shards(ctx)
	if err != nil {
		return err
	}
	for i, s := range shards {
		r.Progress(fmt.Sprintf("users, part %d of %d", i+1, len(shards)))
		scope := r.scope().of(s)
		for _, c := range aboutUsers() {
			if err := r.judge(ctx, c.promise, c.name, scope); err != nil {
				return err
			}
		}
		if err := r.checkSlices(ctx, scope); err != nil {
			return err
		}
	}
	return nil
}

// checkDays looks at the rollups over users.
func (r *run) checkDays(ctx context.Context) error {
	if err := r.judge(ctx, "P4", "daily_networks", r.scope()); err != nil {
		return err
	}
	return r.judge(ctx, "P4", "daily_networks_stored", r.scope())
}

// named is a check by its file in sql/ and the promise that it is about.
type named struct{ promise, name string }

func aboutAccounts() []named {
	return []named{{"P1", "ledger"}, {"P1", "blocks"}, {"P5", "accounts"}, {"P4", "progress"}}
}

func aboutUsers() []named {
	return []named{
		{"P2", "events"},
		{"P4", "stamps"},
		{"P4", "facts"},
		{"P4", "users"},
		{"P3", "sessions"},
		{"P3", "apart"},
		{"P4", "ghosts"},
		{"P4", "daily_users"},
		{"P5", "contents"},
	}
}

// Names lists every check.
func Names() []string {
	all := []string{"gaps", "slices", "daily_networks", "daily_networks_stored", "versions", "positions"}
	for _, c := range slices.Concat(aboutAccounts(), aboutUsers()) {
		all = append(all, c.name)
	}
	slices.Sort(all)
	return all
}
