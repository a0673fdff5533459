package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"daybook/clickhouse"
	"daybook/clickhouse/query"
	"daybook/pipeline"
	"daybook/pipeline/broker"
	"daybook/pipeline/source"
)

type statusCmd struct {
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Help is shown under the command's usage.
func (*statusCmd) Help() string {
	return `Lag in records, up to when the answers are complete, the horizon before which events are read back
from storage, the last checkpoint, records whose handling panicked, and the disk. Exit status 1 if a partition has no worker or the
disk is nearly full.

Example:
  daybook status --json`
}

// status is what the command tells.
type status struct {
	Lag        int64             `json:"lag_records"`
	Partitions []partitionStatus `json:"partitions"`
	Networks   []networkStatus   `json:"networks"`
	SetAside   []pipeline.Aside  `json:"set_aside"` // records that the workers do not handle because that panicked
	Disk       *diskStatus       `json:"disk,omitempty"`
	Problems   []string          `json:"problems"`
}

type partitionStatus struct {
	Partition    int32      `json:"partition"`
	Worker       string     `json:"worker"` // "" if nobody owns it
	LogStart     int64      `json:"log_start"`
	LogEnd       int64      `json:"log_end"`
	Next         int64      `json:"next_offset"`
	Lag          int64      `json:"lag_records"`
	Committed    int64      `json:"committed_offset"`
	CheckpointAt *time.Time `json:"checkpoint_at"`
	OpenSessions int64      `json:"open_sessions"`
}

type networkStatus struct {
	Network         string     `json:"network"`
	CompleteThrough *time.Time `json:"complete_through"` // null while a partition is unowned
	Watermark       time.Time  `json:"watermark"`        // least over the partitions
	Horizon         *time.Time `json:"horizon"`          // greatest: events before it are read back from storage

	History query.HistoryRow `json:"history"` // how those are worked off
}

type diskStatus struct {
	Level       string `json:"level"`
	BrokerBytes int64  `json:"broker_bytes"`
	BudgetBytes int64  `json:"budget_bytes"`
	FreeBytes   int64  `json:"free_bytes"`
}

// Run asks Kafka for the ends and ClickHouse for what the workers reported.
func (c *statusCmd) Run(ctx context.Context, a *app) error {
	found, err := a.needBoth()
	if err != nil {
		return err
	}
	store, client, closeBoth, err := a.openToRead(ctx, found)
	if err != nil {
		return err
	}
	defer closeBoth()
	s, err := readStatus(ctx, store, client)
	if err != nil {
		return err
	}
	s.addDisk(ctx, found)
	if c.JSON {
		err = json.MarshalWrite(a.std.out, s, jsontext.WithIndent("  "), json.FormatNilSliceAsNull(false))
	} else {
		err = s.write(a.std.out)
	}
	if err != nil || len(s.Problems) == 0 {
		return err
	}
	return errors.New(strings.Join(s.Problems, "\n"))
}

func readStatus(ctx context.Context, store *clickhouse.Store, client *source.Client) (*status, error) {
	topic := client.EventsTopic()
	count, err := client.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	s := &status{Partitions: make([]partitionStatus, count), Problems: []string{}}
	for p := range s.Partitions {
		one := &s.Partitions[p]
		one.Partition = int32(p)
		if one.LogStart, one.LogEnd, err = client.ListOffsets(ctx, int32(p)); err != nil {
			return nil, err
		}
	}
	if err := s.readPartitions(ctx, store, topic); err != nil {
		return nil, err
	}
	unowned := 0
	for p := range s.Partitions {
		one := &s.Partitions[p]
		one.Lag = max(0, one.LogEnd-max(one.Next, one.LogStart))
		s.Lag += one.Lag
		if one.Worker == "" {
			unowned++
		}
	}
	if unowned > 0 {
		s.Problems = append(s.Problems, fmt.Sprintf("%d of %d partitions have no worker; start one with daybook worker, or look into its log", unowned, count))
	}
	if err := s.readSetAside(ctx, store, client, topic); err != nil {
		return nil, err
	}
	return s, s.readNetworks(ctx, store, topic)
}

// readSetAside takes those of the topic as it is now: the marks of epochs
// before it stay in the catalogue.
func (s *status) readSetAside(ctx context.Context, store *clickhouse.Store, client *source.Client, topic string) error {
	all, err := pipeline.Asides(ctx, client)
	if err != nil || len(all) == 0 {
		return err
	}
	rows, err := store.Query(ctx, query.Statement{
		Text: `SELECT epoch FROM topic_epochs WHERE topic = {topic:String} AND ` + newestEpoch,
		Args: []query.Arg{{Name: "topic", Value: topic}},
	})
	if err != nil {
		return err
	}
	var epoch uint16
	for rows.Next() {
		err = errors.Join(err, rows.Scan(&epoch))
	}
	s.SetAside = slices.DeleteFunc(all, func(one pipeline.Aside) bool { return one.Epoch != epoch })
	return errors.Join(err, rows.Err(), rows.Close())
}

// readPartitions takes the workers' newest reports.
func (s *status) readPartitions(ctx context.Context, store *clickhouse.Store, topic string) error {
	rows, err := store.Query(ctx, query.Statement{
		Text: `SELECT partition, if(owned, worker, ''), next_offset, committed_offset, checkpoint_at, open_sessions
FROM partitions WHERE topic = {topic:String} AND ` + newestEpoch + ` ORDER BY partition LIMIT 100000`,
		Args: []query.Arg{{Name: "topic", Value: topic}},
	})
	if err != nil {
		return err
	}
	for rows.Next() {
		var one partitionStatus
		if err := rows.Scan(&one.Partition, &one.Worker, &one.Next, &one.Committed, &one.CheckpointAt, &one.OpenSessions); err != nil {
			return errors.Join(err, rows.Close())
		}
		if int(one.Partition) < len(s.Partitions) {
			known := s.Partitions[one.Partition]
			one.LogStart, one.LogEnd = known.LogStart, known.LogEnd
			s.Partitions[one.Partition] = one
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// readNetworks tells the watermark and horizon by network, and completeness as
// the read API does, by the same question.
func (s *status) readNetworks(ctx context.Context, store *clickhouse.Store, topic string) error {
	rows, err := store.Query(ctx, query.Statement{
		Text: `SELECT toString(p.network_id), min(p.watermark), max(w.horizon_ms[toString(p.network_id)])
FROM progress AS p LEFT JOIN partitions AS w ON w.topic = p.topic AND w.epoch = p.epoch AND w.partition = p.partition
WHERE p.topic = {topic:String} AND p.` + newestEpoch + ` GROUP BY p.network_id ORDER BY p.network_id LIMIT 100000`,
		Args: []query.Arg{{Name: "topic", Value: topic}},
	})
	if err != nil {
		return err
	}
	for rows.Next() {
		var one networkStatus
		var horizonMs int64
		if err := rows.Scan(&one.Network, &one.Watermark, &horizonMs); err != nil {
			return errors.Join(err, rows.Close())
		}
		if horizonMs != 0 && horizonMs > minInstantMs && horizonMs < maxInstantMs { // 0: no worker has reported one yet
			horizon := time.UnixMilli(horizonMs).UTC()
			one.Horizon = &horizon
		}
		s.Networks = append(s.Networks, one)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for i := range s.Networks {
		fresh, err := query.Freshness{Network: s.Networks[i].Network}.Ask(ctx, store)
		if err != nil {
			return err
		}
		s.Networks[i].CompleteThrough = fresh.CompleteThrough
		if s.Networks[i].History, err = (query.History{Network: s.Networks[i].Network}).Ask(ctx, store); err != nil {
			return err
		}
	}
	return nil
}

// Instants that a table can show: a horizon of a cold start lies beyond.
const (
	minInstantMs = -2_208_988_800_000 // 1900
	maxInstantMs = 7_258_118_400_000  // 2200
)

// addDisk asks the process that owns the embedded broker: it alone knows the
// budget and the thresholds in force.
func (s *status) addDisk(ctx context.Context, found *servers) {
	if found.Metrics == "" {
		return
	}
	figures, err := scrape(ctx, found.Metrics+"/metrics")
	if err != nil || figures["daybook_broker_disk_budget_bytes"] == 0 {
		return // no embedded broker, or a process that just ended
	}
	level := broker.DiskLevel(figures["daybook_broker_disk_level"])
	s.Disk = &diskStatus{
		Level:       level.String(),
		BrokerBytes: int64(figures["daybook_broker_disk_used_bytes"]),
		BudgetBytes: int64(figures["daybook_broker_disk_budget_bytes"]),
		FreeBytes:   int64(figures["daybook_broker_disk_free_bytes"]),
	}
	if level != broker.DiskFine {
		s.Problems = append(s.Problems, fmt.Sprintf("disk is %s: the broker's log has %s of %s, %s are free", level,
			byteText(s.Disk.BrokerBytes), byteText(s.Disk.BudgetBytes), byteText(s.Disk.FreeBytes)))
	}
}

func (s *status) write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "lag %d records\n\nPARTITION\tLOG\tNEXT\tLAG\tCOMMITTED\tCHECKPOINT\tOPEN SESSIONS\tWORKER\n", s.Lag)
	for _, p := range s.Partitions {
		fmt.Fprintf(w, "%d\t%d to %d\t%d\t%d\t%d\t%s\t%d\t%s\n", p.Partition, p.LogStart, p.LogEnd, p.Next, p.Lag, p.Committed,
			timeOrNone(p.CheckpointAt), p.OpenSessions, orNone(p.Worker))
	}
	fmt.Fprint(w, "\nNETWORK\tCOMPLETE THROUGH\tWATERMARK\tHORIZON\n")
	for _, n := range s.Networks {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", n.Network, timeOrNone(n.CompleteThrough), instant(n.Watermark), timeOrNone(n.Horizon))
	}
	if len(s.SetAside) > 0 {
		fmt.Fprint(w, "\nPARTITION\tOFFSET\tPANICS\tSET ASIDE\tREASON\n")
		for _, one := range s.SetAside {
			fmt.Fprintf(w, "%d\t%d\t%d\t%t\t%s\n", one.Partition, one.Offset, one.Panics, one.SetAside, one.Reason)
		}
	}
	s.writeHistories(w)
	if d := s.Disk; d != nil {
		fmt.Fprintf(w, "\ndisk %s: broker %s of %s, %s free\n", d.Level, byteText(d.BrokerBytes), byteText(d.BudgetBytes), byteText(d.FreeBytes))
	}
	return w.Flush()
}

func timeOrNone(t *time.Time) string {
	if t == nil {
		return "none"
	}
	return instant(*t)
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// writeHistories tells of the networks that late events came to since the
// workers took their partitions over.
func (s *status) writeHistories(w io.Writer) {
	head := "\nHISTORY OF\tLATE EVENTS\tA SECOND\tREAD BACK\tWORKING ON\tRECORDS WAIT\tTHROUGH IN\n"
	for i := range s.Networks {
		h := &s.Networks[i].History
		if h.Late == 0 {
			continue
		}
		through := "unknown"
		switch {
		case h.WorkingOn == nil:
			through = "none"
		case h.ThroughInS != nil:
			through = (time.Duration(*h.ThroughInS) * time.Second).String()
		}
		fmt.Fprintf(w, "%s%s\t%d\t%.0f\t%d\t%s\t%d\t%s\n", head, s.Networks[i].Network, h.Late, h.LateRate, h.ReadBack, timeOrNone(h.WorkingOn), h.Waiting, through)
		head = ""
	}
}
