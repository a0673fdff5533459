package query

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// place is a partition of a topic in one of its epochs.
type place struct {
	topic     string
	epoch     uint16
	partition int32
}

// mark tells the status of the sessions of one network on one partition, as the
// view session_marks does.
type mark struct {
	closedBelow int64 // ms: the watermark, or the last time that the partition was read to its end
	finalBelow  int64 // ms: the horizon
}

// marks are those of every partition that has read something of the network. They
// are read before the rows: what they say is over is so in every row that is read
// later, and a session may seem open a moment longer, never closed or final too
// early. Joined to the rows they cost a question about one user more than the rows.
type marks map[place]mark

// status tells that of a session, given the instant at which its gap is over (ms).
func (m marks) status(at place, over int64) string { return m[at].status(over) }

func (is mark) status(over int64) string {
	switch {
	case is.finalBelow > over:
		return "final"
	case is.closedBelow > over:
		return "closed"
	}
	return "open"
}

// byTopic gives the marks by topic, then by the rest of the place: a session of a
// long answer is looked up without hashing its topic.
func (m marks) byTopic() map[string]map[uint64]mark {
	topics := map[string]map[uint64]mark{}
	for at, is := range m {
		if topics[at.topic] == nil {
			topics[at.topic] = map[uint64]mark{}
		}
		topics[at.topic][at.number()] = is
	}
	return topics
}

// number tells the places of one topic apart.
func (p place) number() uint64 { return uint64(p.epoch)<<32 | uint64(uint32(p.partition)) }

// report is what the worker of a partition last said that concerns a network.
type report struct {
	place

	caughtUp, horizon int64 // ms; 0 if there is none
}

func readMarks(ctx context.Context, db Querier, network string) (marks, error) {
	var (
		read    []Watermark
		reports []report
	)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { read, err = all(Watermarks{Network: network}.Run(ctx, db)); return err })
	g.Go(func() (err error) {
		reports, err = all(Stream(ctx, db, func() (Statement, error) { return reportsOf(network) }, func(r Rows, p *report) error {
			return r.Scan(&p.topic, &p.epoch, &p.partition, &p.caughtUp, &p.horizon)
		}))
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	m := make(marks, len(read))
	for _, w := range read {
		m[place{w.Topic, w.Epoch, w.Partition}] = mark{closedBelow: w.At.UnixMilli()}
	}
	for _, r := range reports {
		if is, ok := m[r.place]; ok {
			m[r.place] = mark{max(is.closedBelow, r.caughtUp), r.horizon}
		}
	}
	return m, nil
}

func reportsOf(network string) (Statement, error) {
	return Statement{
		Text: "SELECT topic, epoch, partition, ifNull(toUnixTimestamp64Milli(caught_up_at), 0), horizon_ms[{network:String}]\n" +
			"FROM partitions_versions FINAL\nLIMIT {limit:Int64}",
		Args:    []Arg{{"network", network}, {"limit", int64(All)}},
		Threads: 1,
	}, nil
}
