package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// newerFirst puts an event of November into every partition of a network, so that
// all that follows is late: before the horizon.
func (d *instance) newerFirst(network string) {
	d.t.Helper()
	var lines strings.Builder
	for i := range 64 { // of four partitions each gets some
		fmt.Fprintf(&lines, `{"id":"newer-%d","source":"newer","user":"newer-%d","time":"2026-11-01T00:00:00Z","type":"io.daybook.presence.heartbeat"}`+"\n", i, i)
	}
	file := filepath.Join(d.t.TempDir(), "newer.ndjson")
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.run(0, "replay", file, "--network", network, "--wait")
}

// Events of a network in order of arrival, and the same events in a network that
// has newer ones already, so that each of them is late, end in the same tables
// (ARCHITECTURE.md section 4.5): late is a matter of speed only.
func TestHistory_EverythingLateGivesTheSameTables(t *testing.T) {
	const events = 100_000
	d := startDev(t, t.TempDir())
	load := func(network string) {
		d.run(0, "generate", "--seed", "21", "--events", strconv.Itoa(events), "--users", "3000", "--days", "20", "--late", "0.02", "--name", network, "--wait")
	}
	load("intime")
	d.newerFirst("late")
	load("late")
	accepted := d.number("SELECT count() FROM daybook.events WHERE network_id = 'intime'")
	// What the workers report comes a moment after the rows.
	deadline := time.Now().Add(startLimit)
	for d.number("SELECT sum(late) FROM daybook.history WHERE network_id = 'late'") < accepted {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d events were late", d.number("SELECT sum(late) FROM daybook.history WHERE network_id = 'late'"), accepted)
		}
	}
	for table, ignore := range map[string]string{
		"events":       "network_id, topic, epoch, partition, offset, received_at",
		"sessions":     "network_id, session_id, topic, epoch, partition, status",
		"session_days": "network_id, session_id, topic, epoch, partition",
	} {
		of := func(network string) string {
			return "(SELECT * EXCEPT (" + ignore + ") FROM daybook." + table + " WHERE network_id = '" + network + "' AND user_id NOT LIKE 'newer-%')"
		}
		rows := d.number("SELECT count() FROM " + of("intime"))
		if rows < 1000 {
			t.Errorf("%s: %d rows prove nothing", table, rows)
		}
		for _, q := range []string{of("intime") + " EXCEPT " + of("late"), of("late") + " EXCEPT " + of("intime")} {
			if n := d.number("SELECT count() FROM (" + q + ")"); n != 0 {
				t.Errorf("%s: %d of %d rows differ:\n%s", table, n, rows, d.run(0, "sql", "SELECT * FROM ("+strings.ReplaceAll(q, "daybook.", "")+") LIMIT 5"))
			}
		}
	}
	if text := d.run(0, "status"); !strings.Contains(text, "HISTORY OF") {
		t.Errorf("status does not tell of the history:\n%s", text)
	}
	d.stop()
}
