package e2e

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What the tables say of the network, row by row, without versions and clocks.
func (d *instance) tablesOf(network string) string {
	return d.run(0, "sql", "SELECT * EXCEPT (status) FROM sessions WHERE network_id = '"+network+"' ORDER BY user_id, started_ms, session_id LIMIT 1000000") +
		d.run(0, "sql", "SELECT * FROM session_days WHERE network_id = '"+network+"' ORDER BY user_id, date, session_id LIMIT 1000000")
}

// Rows that somebody damaged by hand are right again after daybook repair: a
// session that was deleted, slices that were changed or deleted, and ghosts that
// no event supports, of one user and of everybody. Again, it changes nothing.
func TestRepair_MendsWhatWasDamagedByHand(t *testing.T) {
	d := startDev(t, t.TempDir())
	d.run(0, "generate", "--seed", "5", "--events", "4000", "--users", "40", "--days", "5", "--name", "shop", "--wait")
	want := d.tablesOf("shop")
	damage := func(where string) {
		const columns = "network_id, user_id, session_id, device_id, device_class, zone, topic, epoch, partition, version, started_at, ended_at, date, duration_s"
		d.sql("ALTER TABLE daybook.sessions_versions DELETE WHERE network_id = 'shop' AND " + where + " AND started_at < '2026-01-07' SETTINGS mutations_sync = 2")
		d.sql("ALTER TABLE daybook.session_days_versions DELETE WHERE network_id = 'shop' AND " + where + " AND date = '2026-01-08' SETTINGS mutations_sync = 2")
		d.sql("ALTER TABLE daybook.session_days_versions UPDATE duration_s = duration_s + 7 WHERE network_id = 'shop' AND " + where + " SETTINGS mutations_sync = 2")
		d.sql("INSERT INTO daybook.sessions_versions (" + columns + ", started_ms, ended_ms) SELECT network_id, user_id, generateUUIDv4(), 'ghost', device_class, zone, topic, epoch, partition, version, started_at + 60, ended_at + 90, date, 30, started_ms + 60000, ended_ms + 90000 FROM daybook.sessions_versions FINAL WHERE network_id = 'shop' AND " + where + " LIMIT 3")
		d.sql("INSERT INTO daybook.session_days_versions (" + columns + ", session_started_ms) SELECT network_id, user_id, session_id, device_id, device_class, zone, topic, epoch, partition, version, started_at, ended_at, date + 1, duration_s, session_started_ms FROM daybook.session_days_versions FINAL WHERE network_id = 'shop' AND " + where + " LIMIT 3")
		if d.tablesOf("shop") == want {
			t.Fatal("the damage does not show")
		}
	}
	span := []string{"--from", "2026-01-03", "--to", "2026-01-12"}
	damage("user_id = 'user-1'")
	d.run(0, append([]string{"repair", "--network", "shop", "--user", "user-1"}, span...)...)
	if diff := cmp.Diff(want, d.tablesOf("shop")); diff != "" {
		t.Errorf("one user (-want +got):\n%s", diff)
	}
	damage("1")
	for range 2 {
		d.run(0, append([]string{"repair", "--network", "shop"}, span...)...)
		if diff := cmp.Diff(want, d.tablesOf("shop")); diff != "" {
			t.Errorf("everybody (-want +got):\n%s", diff)
		}
	}
	d.stop()
}
