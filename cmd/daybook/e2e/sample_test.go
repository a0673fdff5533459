package e2e

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sampleLog is what `make run` replays: 10,000 lines of a real Apache log, one
// of which lacks its closing quote.
const sampleLog = "../testdata/sample/apache_logs.gz"

// The sample's account: 9,999 lines accepted, one kept with its reason, and
// both device classes told from the user agents (SPK-19).
func TestSample_IsTakenButForOneLine(t *testing.T) {
	d := startDev(t, t.TempDir())
	account := d.run(3, "replay", sampleLog, "--network", "web", "--wait")
	for _, line := range []string{"read 10000", "accepted 9999", "duplicate 0", "not recorded 0", "rejected 1"} {
		if !strings.Contains(account, line) {
			t.Errorf("the account lacks %q:\n%s", line, account)
		}
	}
	if n := d.number("SELECT count() FROM daybook.events WHERE network_id = 'web'"); n != 9_999 {
		t.Errorf("%d events, want 9,999", n)
	}
	rejects := d.sql("SELECT reason, position(raw, 'Googlebot') > 0, detail != '' FROM daybook.rejects")
	if diff := cmp.Diff([][]string{{"unmappable", "1", "1"}}, rejects); diff != "" {
		t.Errorf("rejects (-want +got):\n%s", diff)
	}
	classes := d.counts("SELECT toString(device_class), count() FROM daybook.sessions WHERE network_id = 'web' GROUP BY device_class")
	if len(classes) != 2 || classes["mobile"] == 0 || classes["web"] == 0 {
		t.Errorf("sessions by device class: %v, want mobile and web", classes)
	}
	if n := d.number("SELECT sum(events) FROM daybook.sessions WHERE network_id = 'web'"); n != 9_999 {
		t.Errorf("%d events in sessions, want 9,999", n)
	}
	days := 0
	d.list("/v1/networks/web/rollups/daily?from=2015-05-01&to=2015-05-31", func(map[string]any) { days++ })
	if days != 4 {
		t.Errorf("the API shows %d days, want 4", days)
	}

	// Ctrl-C in a terminal reaches dev and its engine at once: the engine must
	// outlive the worker's last flush.
	d.stopBy(-d.cmd.Process.Pid, syscall.SIGINT)
	if _, err := os.Stat(filepath.Join(d.data, "dev.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("dev.json after a clean end: %v, want it gone", err)
	}
	for line := range strings.Lines(d.log.String()) {
		if strings.Contains(line, `"level":"WARN"`) || strings.Contains(line, `"level":"ERROR"`) {
			t.Errorf("a clean run complained: %s", line)
		}
	}
}
