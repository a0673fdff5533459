package query

import (
	"context"
	"iter"
	"time"
)

// Freshness asks how complete the answers for a network, or for one user of
// it, are (INTERFACES.md section 2).
type Freshness struct {
	Network string // required, unless Every
	User    string // "" for the whole network
	Every   bool   // all networks at once, for an administrator's list of them: of each partition the least of their watermarks
}

// FreshnessRow is the answer. CompleteThrough is nil while a partition
// concerned is unowned, or while it is behind and nothing of the network was
// read from it yet.
type FreshnessRow struct {
	CompleteThrough *time.Time `json:"complete_through"`
	Partitions      int        `json:"-"` // concerned
	Owned           int        `json:"-"` // of these
	Behind          int        `json:"-"` // of these: owned but not read to the end
	Records         int64      `json:"-"` // between what is flushed and the log's end, over the partitions concerned
}

// Ask gives the one answer, from three small tables. Joined in one statement
// they cost the engine five times as much: planning it is dearer than reading.
func (q Freshness) Ask(ctx context.Context, db Querier) (FreshnessRow, error) {
	marks, err := all(Watermarks{Network: q.Network, Every: q.Every}.Run(ctx, db))
	if err != nil {
		return FreshnessRow{}, err
	}
	partitions, err := all(Partitions{}.Run(ctx, db))
	if err != nil {
		return FreshnessRow{}, err
	}
	if q.User == "" || q.Every {
		return Complete(partitions, marks, nil), nil
	}
	user, err := all(OneUser{Network: q.Network, User: q.User}.Run(ctx, db))
	if err != nil || len(user) == 0 { // a user without a row: every partition is concerned
		return Complete(partitions, marks, nil), err
	}
	return Complete(partitions, marks, &user[0].Partition), nil
}

// Complete tells how complete answers are that rest on partitions, given the
// watermarks of what is asked about. only limits it to one partition: all
// events of a user lie on one. nil: every one is concerned.
func Complete(partitions []Partition, marks []Watermark, only *int32) FreshnessRow {
	epoch := uint16(0)
	for i := range partitions {
		epoch = max(epoch, partitions[i].Epoch)
	}
	at := make(map[place]time.Time, len(marks))
	for _, m := range marks {
		at[place{m.Topic, m.Epoch, m.Partition}] = m.At
	}
	var row FreshnessRow
	known := true
	for i := range partitions {
		p := &partitions[i]
		if p.Epoch != epoch || only != nil && p.Partition != *only {
			continue
		}
		row.Partitions++
		row.Records += p.Waiting
		through, ok := at[place{p.Topic, p.Epoch, p.Partition}]
		if p.CaughtUpAt != nil {
			through, ok = p.CaughtUpAt.Add(-time.Duration(p.OutOfOrderMs)*time.Millisecond), true
		}
		if p.Owned {
			row.Owned++
			if p.CaughtUpAt == nil {
				row.Behind++
			}
		}
		if known = known && ok && p.Owned; known && (row.CompleteThrough == nil || through.Before(*row.CompleteThrough)) {
			row.CompleteThrough = &through
		}
	}
	if !known {
		row.CompleteThrough = nil
	}
	return row
}

// Partitions asks for what the workers last said of every partition. It is of
// no network: it says nothing of what is in them.
type Partitions struct{}

// Partition is what a worker last said of one.
type Partition struct {
	Topic        string
	Epoch        uint16
	Partition    int32
	Owned        bool       // reported lately and not let go
	CaughtUpAt   *time.Time // everything that was received before is visible; nil while behind
	OutOfOrderMs int64
	Waiting      int64 // records between what is flushed and the log's end
}

// Run streams the partitions.
func (q Partitions) Run(ctx context.Context, db Querier) iter.Seq2[Partition, error] {
	return Stream(ctx, db, q.SQL, func(r Rows, p *Partition) error {
		return r.Scan(&p.Topic, &p.Epoch, &p.Partition, &p.Owned, &p.CaughtUpAt, &p.OutOfOrderMs, &p.Waiting)
	})
}

// SQL gives the statement. It says what the view partitions says, from the table
// (subject.go).
func (Partitions) SQL() (Statement, error) {
	return Statement{
		Text: "SELECT topic, epoch, partition, NOT released AND updated_at > now64(3, 'UTC') - INTERVAL 15 SECOND AS owned,\n" +
			"  caught_up_at, out_of_orderness_ms, greatest(log_end - next_offset, 0) AS waiting\n" +
			"FROM partitions_versions FINAL\nORDER BY topic, epoch, partition\nLIMIT {limit:Int64}",
		Args:    []Arg{{"limit", int64(All)}},
		Threads: 1,
	}, nil
}

// Watermarks asks how far the events of a network have been read, by
// partition.
type Watermarks struct {
	Network string // required, unless Every
	Every   bool   // of each partition the least of all networks
}

// Watermark is how far the events of what was asked about have been read on
// one partition.
type Watermark struct {
	Topic     string
	Epoch     uint16
	Partition int32
	At        time.Time
}

// Run streams the watermarks.
func (q Watermarks) Run(ctx context.Context, db Querier) iter.Seq2[Watermark, error] {
	return Stream(ctx, db, q.SQL, func(r Rows, w *Watermark) error {
		return r.Scan(&w.Topic, &w.Epoch, &w.Partition, &w.At)
	})
}

// SQL gives the statement.
func (q Watermarks) SQL() (Statement, error) {
	if q.Every {
		return Statement{Text: "SELECT topic, epoch, partition, min(watermark) AS at FROM progress\n" +
			"GROUP BY topic, epoch, partition\nORDER BY topic, epoch, partition\nLIMIT {limit:Int64}", Args: []Arg{{"limit", int64(All)}}}, nil
	}
	if q.Network == "" {
		return Statement{}, ErrNoNetwork
	}
	return Statement{
		Text: "SELECT topic, epoch, partition, watermark FROM progress_versions FINAL WHERE network_id = {network:String}\n" +
			"ORDER BY topic, epoch, partition\nLIMIT {limit:Int64}",
		Args:    []Arg{{"network", q.Network}, {"limit", int64(All)}},
		Threads: 1,
	}, nil
}
