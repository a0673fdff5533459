package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tables says what the tables hold in a form that two installations can be
// compared by: rows, sums, and a hash over everything that is a function of
// the log's set of events. Offsets, versions and received times are not.
func (d *instance) tables(network string) map[string]string {
	d.t.Helper()
	got := make(map[string]string)
	for table, columns := range map[string]string{
		"events":         "count(), groupBitXor(cityHash64(user_id, event_id, source, time, type, category, action, label, device_id, device_class, content_id))",
		"sessions":       "count(), sum(duration_s), groupBitXor(cityHash64(user_id, device_id, device_class, session_id, started_at, ended_at, duration_s, end_reason, events, zone))",
		"session_days":   "count(), sum(duration_s), groupBitXor(cityHash64(user_id, date, session_id, device_class, started_at, ended_at, duration_s))",
		"daily_users":    "count(), sum(duration_s), groupBitXor(cityHash64(user_id, date, sessions, duration_s, active_s, overlap_s))",
		"daily_networks": "count(), sum(duration_s), groupBitXor(cityHash64(date, users, sessions, duration_s, active_s))",
	} {
		rows := d.sql(fmt.Sprintf("SELECT %s FROM daybook.%s WHERE network_id = '%s'", columns, table, network))
		got[table] = strings.Join(rows[0], " ")
	}
	return got
}

// killDuringReplay starts a replay of a file and sends SIGKILL to every
// process, the replay's too, as soon as so many events are stored. On a slow
// machine the replay itself may be through by then; the worker is not.
func killDuringReplay(d *instance, events int64, args ...string) {
	d.t.Helper()
	killDuring(d, d.kill, events, args...)
}

func killDuring(d *instance, kill func(), events int64, args ...string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	replay := d.command(ctx, args...)
	var out bytes.Buffer
	replay.Stdout, replay.Stderr = &out, &out
	if err := replay.Start(); err != nil {
		d.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = replay.Wait() // killed, or reported below
	}()
	d.await("the replay to be half way", func() bool {
		select {
		case <-ended:
			if !replay.ProcessState.Success() {
				d.t.Fatalf("replay failed before it was killed: %v\n%s", replay.ProcessState, &out)
			}
		default:
		}
		return d.number("SELECT count() FROM daybook.events") >= events
	})
	kill()
	_ = replay.Process.Kill()
	<-ended
}

// generated makes a file of so many events with `daybook generate`.
func generated(t *testing.T, d *instance, events int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "events.ndjson")
	d.run(0, "generate", "--seed", "7", "--events", strconv.Itoa(events), "--networks", "1", "--users", "200", "--days", "3", "--out", file)
	if info, err := os.Stat(file); err != nil || info.Size() == 0 {
		t.Fatalf("generate wrote nothing: %v", err)
	}
	return file
}

// killRig is what the kills are compared with: a file, and the tables of an
// installation that took it and to which nothing ever happened.
type killRig struct {
	replay []string // the command line, without --wait
	stored int64
	want   map[string]string
}

func newKillRig(t *testing.T) *killRig {
	t.Helper()
	calm := startDev(t, t.TempDir())
	file := generated(t, calm, 20_000)
	// A name of our own instead of the generator's networks, with one id space.
	r := &killRig{replay: []string{"replay", file, "--network", "net", "--source", "test"}}
	calm.run(0, r.with("--wait")...)
	r.want = calm.tables("net")
	calm.run(0, r.with("--wait")...)
	r.check(calm, "a second replay")
	r.stored = calm.number("SELECT count() FROM daybook.events")
	calm.stop()
	return r
}

func (r *killRig) with(flags ...string) []string { return append(slices.Clone(r.replay), flags...) }

func (r *killRig) check(d *instance, after string) {
	d.t.Helper()
	if diff := cmp.Diff(r.want, d.tables("net")); diff != "" {
		d.t.Errorf("tables after %s (-undisturbed +got):\n%s", after, diff)
	}
}

// Whatever is killed in the middle of a replay, and however often: after a
// restart and the same replay once more the tables equal those of an
// installation that nothing ever happened to (P2, P4, P5).
func TestKill_LeavesTheTablesOfAnUndisturbedRun(t *testing.T) {
	rig := newKillRig(t)

	t.Run("dev and its engine, three times", func(t *testing.T) {
		data := t.TempDir()
		for part := range int64(3) {
			killDuringReplay(startDev(t, data), rig.stored*(part+1)/5, rig.with("--rate", "8000")...)
		}
		d := startDev(t, data)
		d.run(0, rig.with("--wait")...)
		rig.check(d, "three kills")
		d.stop()
		// What was there before a clean stop is there after it.
		again := startDev(t, data)
		rig.check(again, "a restart")
		again.stop()
	})

	// Its partitions go to the other one, which resumes from its checkpoints.
	t.Run("one of two workers", func(t *testing.T) {
		d := startDev(t, t.TempDir())
		second := d.startWorker()
		d.await("the second worker to own partitions", func() bool {
			return d.number("SELECT uniqExact(worker) FROM daybook.partitions WHERE NOT released") == 2
		})
		killDuring(d, func() { _ = second.Process.Kill() }, rig.stored/3, rig.with("--rate", "8000")...)
		d.run(0, rig.with("--wait")...)
		rig.check(d, "the kill of one of two workers")
		d.stop()
	})
}
