package e2e

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// cores tells what the machine's cores did since an instant. A latency, and a rate
// more so, says something of the installation only together with what was left of
// the machine for it.
type cores struct {
	m      *bench
	begin  time.Time
	before coreTimes
}

// coreTimes are CPU times since the machine, or a process, was started.
type coreTimes struct {
	parts  []usage
	own    time.Duration // this process: producers, and who looks for the rows
	busy   time.Duration // of all programs
	stolen time.Duration // taken by the host of a virtual machine
}

func (m *bench) watchCores() *cores { return &cores{m, time.Now(), m.coreTimes()} }

func (m *bench) coreTimes() coreTimes {
	m.tb.Helper()
	t := coreTimes{parts: m.usages(), own: processCPU(m.tb, os.Getpid())}
	text, err := os.ReadFile("/proc/stat")
	if err == nil {
		t.busy, t.stolen, err = allCPU(text)
	}
	if err != nil {
		m.tb.Fatal(err)
	}
	return t
}

// allCPU takes apart the first line of /proc/stat, ticks of a hundredth of a second:
// user, nice, system, idle, waiting for a disk, interrupts, soft ones, stolen.
func allCPU(stat []byte) (busy, stolen time.Duration, err error) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := strings.Fields(string(line))
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, 0, fmt.Errorf("read /proc/stat: it begins with %q", line)
	}
	for i, field := range fields[1:9] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("read /proc/stat: %w", err)
		}
		switch d := time.Duration(ticks) * 10 * time.Millisecond; i {
		case 3, 4:
		case 7:
			stolen = d
		default:
			busy += d
		}
	}
	return busy, stolen, nil
}

// String tells it, in cores.
func (c *cores) String() string {
	c.m.tb.Helper()
	now, took := c.m.coreTimes(), time.Since(c.begin).Seconds()
	share := func(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()/took) }
	others := now.busy - c.before.busy - (now.own - c.before.own)
	told := make([]string, 0, len(c.m.parts)+3)
	for i, p := range c.m.parts {
		cpu := now.parts[i].cpu - c.before.parts[i].cpu
		others -= cpu
		told = append(told, p.name+" "+share(cpu))
	}
	told = append(told, "producer and probes "+share(now.own-c.before.own), "other programs "+share(max(0, others)), "the machine's host "+share(now.stolen-c.before.stolen))
	return "cores were taken by: " + strings.Join(told, ", ")
}

func TestAllCPU(t *testing.T) {
	busy, stolen, err := allCPU([]byte("cpu  100 20 30 4000 500 6 7 80 9 1\ncpu0 1 2 3 4 5 6 7 8 9 10\n"))
	if err != nil || busy != 1630*time.Millisecond || stolen != 800*time.Millisecond {
		t.Errorf("got %v busy, %v stolen, %v; want 1.63 s, 0.8 s", busy, stolen, err)
	}
	for _, text := range []string{"", "intr 1 2 3 4 5 6 7 8 9", "cpu 1 2 3 4 5 6 7", "cpu 1 2 x 4 5 6 7 8"} {
		if _, _, err := allCPU([]byte(text)); err == nil {
			t.Errorf("%q was taken for /proc/stat", text)
		}
	}
}
