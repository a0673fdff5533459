package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/clickhouse"
	"daybook/clickhouse/verify"
	"daybook/pipeline/source"
	"daybook/schemas"
)

// tablesOf lists the base tables that a copy needs.
func tablesOf(t *testing.T, v *verified) []string {
	t.Helper()
	return strings.Fields(v.sql(t, "SELECT name FROM system.tables WHERE database = currentDatabase() AND name LIKE '%\\_versions' ORDER BY name"))
}

// copied gives a database of its own with the same contents, merged.
func (v *verified) copied(t *testing.T, name string) *clickhouse.Store {
	t.Helper()
	from := strings.Trim(v.dsn.Path, "/")
	if err := v.store.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	s := v.open(t, name)
	if _, err := s.Migrate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for _, table := range tablesOf(t, v) {
		if err := s.Exec(t.Context(), "INSERT INTO "+name+"."+table+" SELECT * FROM "+from+"."+table+" FINAL"); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// complaints lists what a report says is wrong.
func complaints(r *verify.Report) string {
	var all []string
	for i := range r.Checks {
		for _, d := range r.Checks[i].Details {
			all = append(all, r.Checks[i].Name+": "+d.Identity+": "+d.Wrong)
		}
	}
	return strings.Join(all, "\n")
}

// TRUST.md section 4: the checker finds at least 20 of 20 seeded bugs, and a run
// of the real worker without a bug is clean, also while it runs.
func TestVerify_FindsSeededBugs(t *testing.T) {
	v := startVerified(t)
	v.fill(t)
	if err := v.store.Exec(t.Context(), storedDays); err != nil {
		t.Fatal(err)
	}
	report := v.verify(t, v.store, true)
	if report.Wrong() > 0 {
		t.Fatalf("a run without a bug:\n%s", complaints(report))
	}
	for i := range report.Checks {
		if c := &report.Checks[i]; c.Looked == 0 && c.Name != "gaps" || c.Flying > 0 {
			t.Errorf("%s looked at %d, %d in flight: everything is published", c.Name, c.Looked, c.Flying)
		}
	}
	v.checkTruncated(t)
	v.checkEarlierEpoch(t)
	v.checkExits(t)
	for i, bug := range seededBugs(v) {
		t.Run(bug.name, func(t *testing.T) { v.find(t, v.copied(t, fmt.Sprintf("daybook_bug_%d", i)), &bug) })
	}
}

// find seeds a bug and looks for it.
func (v *verified) find(t *testing.T, s *clickhouse.Store, b *bug) {
	t.Helper()
	for _, sql := range b.sql {
		if err := s.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	var only []string // the others would find nothing more, or something by the way
	if !b.deep {
		only = []string{b.check}
	}
	got := v.verify(t, s, b.deep, only...)
	plain := func(c verify.Check) bool { return c.Wrong > 0 && !strings.HasPrefix(c.Name, "deep ") }
	if b.deep && slices.ContainsFunc(got.Checks, plain) {
		t.Errorf("it is found without the log, too:\n%s", complaints(got))
	}
	says := func(d verify.Difference) bool { return strings.Contains(d.Identity+": "+d.Wrong, b.says) }
	if c := got.Find(b.check); c == nil || !slices.ContainsFunc(c.Details, says) {
		t.Errorf("%s does not say %q:\n%s", b.check, b.says, complaints(got))
	}
}

// truncated is a log that has lost what lies below an offset.
type truncated struct {
	*source.Client

	start int64
}

func (l truncated) ListOffsets(ctx context.Context, partition int32) (start, end int64, err error) {
	_, end, err = l.Client.ListOffsets(ctx, partition)
	return min(l.start, end), end, err
}

// checkTruncated compares with what retention left of the log: what is gone is
// taken as given and said, the rest is compared.
func (v *verified) checkTruncated(t *testing.T) {
	t.Helper()
	for _, start := range []int64{1, 40, 9000, 1 << 40} {
		report := v.verify(t, v.store, false)
		if err := v.deep(t, v.store, truncated{v.client, start}, report); err != nil {
			t.Fatal(err)
		}
		if report.Wrong() > 0 {
			t.Errorf("the log begins at %d:\n%s", start, complaints(report))
		}
		if len(report.Notes) != int(v.partitions) || report.Find("deep sessions").Looked == 0 {
			t.Errorf("the log begins at %d: notes %q", start, report.Notes)
		}
	}
	s := v.copied(t, "daybook_truncated")
	if err := s.Exec(t.Context(), drop("events", "event_id = 'tea'")); err != nil {
		t.Fatal(err)
	}
	report := v.verify(t, s, false)
	if err := v.deep(t, s, truncated{v.client, 30}, report); err != nil || report.Find("deep events").Wrong != 1 {
		t.Errorf("an event behind the log's start is gone: %v\n%s", err, complaints(report))
	}
}

// checkEarlierEpoch looks at the same rows when the topic was made anew: they
// are judged as before, but for what only Kafka knows.
func (v *verified) checkEarlierEpoch(t *testing.T) {
	t.Helper()
	report, err := verify.Run(t.Context(), v.store, verify.Options{Topic: v.client.EventsTopic(), Epoch: 2, Log: empty{}})
	if err != nil {
		t.Fatal(err)
	}
	if c := report.Find("sessions"); report.Wrong() > 0 || c.Looked == 0 || c.Flying > 0 {
		t.Errorf("an earlier epoch: %d sessions, %d in flight\n%s", c.Looked, c.Flying, complaints(report))
	}
}

// empty is a topic of which nothing was read.
type empty struct{}

func (empty) Committed(context.Context) (map[int32]verify.Committed, error) {
	return map[int32]verify.Committed{0: {Offset: -1, Pointer: -1}}, nil
}

func (empty) Ends(context.Context) (map[int32][2]int64, error) {
	return map[int32][2]int64{0: {}}, nil
}

// checkExits looks at what scripts see: 0 clean, 1 differences, 2 cannot tell.
func (v *verified) checkExits(t *testing.T) {
	t.Helper()
	s := v.copied(t, "daybook_exits")
	if err := s.Exec(t.Context(), drop("events", "event_id = 'ticket'")); err != nil {
		t.Fatal(err)
	}
	wrong := v.dsn
	wrong.Path = "/daybook_exits"
	for _, tt := range []struct {
		dsn  string
		args []string
		code int
		out  string
		err  string
	}{
		{v.dsn.String(), []string{"--deep"}, exitOK, "P5       deep events", ""},
		{v.dsn.String(), []string{"--deep", "--topic-partition=0"}, exitOK, "note: daily_networks was not compared", ""},
		{v.dsn.String(), []string{"--json"}, exitOK, `"name": "sessions"`, ""},
		{wrong.String(), nil, exitFailed, "blocks: 1 wrong\n  daybook.events epoch 1 partition " + v.at("alfa/ann"), "verify: 1 difference"},
		{wrong.String(), []string{"--deep"}, exitFailed, "the log makes it, it is not stored", "verify: 2 differences"},
		{"http://127.0.0.1:1/daybook", nil, exitUsage, "", "verify: "},
	} {
		var stdout, stderr bytes.Buffer
		args := append([]string{"verify", "--data", v.data}, tt.args...)
		// The workers' out-of-orderness counts, not that of whoever checks.
		env := []string{"DAYBOOK_LOG_FORMAT=json", "DAYBOOK_OUT_OF_ORDERNESS=5m", "DAYBOOK_CLICKHOUSE_DSN=" + tt.dsn}
		code := run(args, stdio{out: &stdout, err: &stderr}, env)
		if code != tt.code || !strings.Contains(stdout.String(), tt.out) || !strings.Contains(stderr.String(), tt.err) {
			t.Errorf("daybook %s: exit %d, want %d\n%s\n%s", strings.Join(args, " "), code, tt.code, stdout.String(), stderr.String())
		}
	}
}

// What workers are about to write is in flight, never wrong.
func TestVerify_WhileTheWorkerRuns(t *testing.T) {
	v := startVerified(t)
	v.set(t, schemas.Control{Network: "alfa", Zone: "Europe/Berlin", GapMs: schemas.DefaultGapMs})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		pace := time.NewTicker(50 * time.Millisecond) // 800 records a second: the worker keeps up
		defer pace.Stop()
		for i := 0; ; i++ {
			<-pace.C
			var records []source.Outgoing
			for u := range 20 {
				who, at := fmt.Sprintf("alfa/u%d", u), fmt.Sprintf("%02d %02d:%02d:00", 1+i/24%20, i%24, (i*7+u)%60) // also back in time
				records = append(records, said(who, fmt.Sprintf("e%d", i), at, phone), said(who, fmt.Sprintf("e%d", i-1), at, phone))
			}
			if err := v.client.Produce(ctx, records); err != nil {
				done <- err
				return
			}
		}
	}()
	judged := uint64(0)
	for round := 0; round < 6 || judged == 0; round++ {
		report := v.verify(t, v.store, round%2 == 1)
		if report.Wrong() > 0 {
			t.Errorf("round %d:\n%s", round, complaints(report))
		}
		if c := report.Find("events"); c != nil {
			judged += c.Looked
		}
	}
	stop()
	if err := <-done; ctx.Err() == nil {
		t.Errorf("produce: %v", err)
	}
	v.settle(t)
	if report := v.verify(t, v.store, true); report.Wrong() > 0 || report.Find("sessions").Looked == 0 || report.Find("sessions").Flying > 0 {
		t.Errorf("at rest:\n%s", complaints(report))
	}
}
