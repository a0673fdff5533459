package peers

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// report gathers the runs and makes the table of them.
type report struct {
	head []string
	runs []measured

	events int // of the log
}

func newReport(tb testing.TB) *report {
	tb.Helper()
	load, _ := os.ReadFile("/proc/loadavg") // "" elsewhere than on Linux
	r := &report{}
	r.say("Machine: %d cores of %s, %s of memory, load at the start %s; %s.", runtime.NumCPU(), first(`(?m)^model name\s*: (.*)$`, "/proc/cpuinfo"),
		first(`(?m)^MemTotal:\s*(.*)$`, "/proc/meminfo"), strings.Join(strings.Fields(string(load))[:3], " "), time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	r.say("Versions: Daybook %s, %s; Java %s; broker Apache Kafka %s; Flink %s with its Kafka connector %s; Kafka Streams %s; ClickHouse %s, the engine that Daybook embeds.",
		output("git", "describe", "--always", "--dirty"), runtime.Version(), firstIn(`"([^"]+)"`, output("java", "-version")),
		jar("kafka/jars", "kafka-server-common"), jar("peers/flink", "flink-runtime"), jar("peers/flink", "flink-connector-kafka"), jar("peers/streams", "kafka-streams"),
		firstIn(`chdb/lib-linux-x64-gnu": *"([^"]+)"`, read(filepath.Join(top, "clickhouse/engine/package.json"))))
	return r
}

func (r *report) say(format string, args ...any) {
	r.head = append(r.head, fmt.Sprintf(format, args...))
}

// log describes the log of a site, once.
func (r *report) log(s *site) {
	if r.events = s.events; len(r.head) > 2 {
		return
	}
	r.say("Log: %d events of %.0f bytes (LZ4 in the topic), %d users, %d sessions, 5 %% of the events out of order by up to a minute, no repeats; whole in Kafka before anyone reads. Median of %d.",
		s.events, float64(s.bytes)/float64(s.events), max(1, s.events/eventsAUser), s.want.count, *peersRounds)
}

func (r *report) add(m measured) { r.runs = append(r.runs, m) }

// legend says what the columns are, as DESIGN.md explains.
const legend = `events/s: from the first record read to everything committed (Flink: the job's end; Streams: closed; Daybook: the group's commit at the log's end; Kafka engine: from CREATE, sessions made).
CPU: user and system time of the processes from the first record to the end, merges of ClickHouse that follow included; and in their whole lives, start-up included. Broker and harness are in neither.
Memory: VmHWM of the processes, added. D = Daybook with rows dropped, S = everything stored. "CPU ÷ D": how many times D's CPU an event, by the first of the two, which favours what starts slowly; "D ÷ rate": how many times its events/s D has.`

// warmEvents is a log in which start-up and compiling no longer decide about a
// JVM: of Flink with heap state half of all CPU lay before the first record of a
// million.
const warmEvents = 5_000_000

func (r *report) text() string {
	var b strings.Builder
	fmt.Fprintln(&b, strings.Join(r.head, "\n"))
	fmt.Fprintf(&b, "%s\n", legend)
	if r.events < warmEvents {
		fmt.Fprintln(&b, "A short log: compiling is a large part of what the JVMs' figures show, at its start-up and after. Quote a whole run.")
	}
	for _, partitions := range r.partitions() {
		rows := r.medians(partitions)
		find := func(name string) *measured {
			if i := slices.IndexFunc(rows, func(m measured) bool { return m.peer == name }); i >= 0 {
				return &rows[i]
			}
			return nil
		}
		d, s := find(nameDropped), find(nameStored)
		fmt.Fprintf(&b, "\n%d partitions, parallelism %d\n\n| system | events/s | CPU µs an event | in whole life | memory MB | CPU ÷ D | CPU ÷ S | D ÷ rate | S ÷ rate |\n|---|---|---|---|---|---|---|---|---|\n", partitions, partitions)
		for i := range rows {
			m := &rows[i]
			name := m.peer
			if m.events < r.events {
				name += fmt.Sprintf(" (stopped after %s and %d events)", memoryLimit, m.events)
			}
			fmt.Fprintf(&b, "| %s | %s | %.2f | %.2f | %.0f | %s | %s | %s | %s |\n", name, thousands(m.rate()), m.cpu(), m.life(), m.peakMB(),
				ratio(m, d, (*measured).cpu, false), ratio(m, s, (*measured).cpu, false), ratio(m, d, (*measured).rate, true), ratio(m, s, (*measured).rate, true))
			if len(m.parts) > 1 {
				for _, part := range m.parts {
					one := measured{events: m.events, parts: []usage{part}}
					fmt.Fprintf(&b, "| – its %s | | %.2f | %.2f | %.0f | | | | |\n", part.name, one.cpu(), one.life(), one.peakMB())
				}
			}
		}
	}
	return b.String()
}

func (r *report) partitions() (all []int) {
	for i := range r.runs {
		if !slices.Contains(all, r.runs[i].partitions) {
			all = append(all, r.runs[i].partitions)
		}
	}
	return all
}

// medians gives one run of each system, that with the median of CPU.
func (r *report) medians(partitions int) (rows []measured) {
	var names []string
	by := make(map[string][]measured)
	for _, m := range r.runs {
		if m.partitions == partitions {
			if by[m.peer] == nil {
				names = append(names, m.peer)
			}
			by[m.peer] = append(by[m.peer], m)
		}
	}
	for _, name := range names {
		slices.SortFunc(by[name], func(a, b measured) int { return cmp.Compare(a.cpu(), b.cpu()) })
		rows = append(rows, by[name][len(by[name])/2])
	}
	return rows
}

// ratio is of a figure to Daybook's, or of Daybook's to it.
func ratio(m, daybook *measured, figure func(*measured) float64, inverse bool) string {
	if daybook == nil || m == daybook {
		return ""
	}
	x := figure(m) / figure(daybook)
	if inverse {
		x = 1 / x
	}
	return fmt.Sprintf("%.2f", x)
}

func thousands(x float64) string { return fmt.Sprintf("%.0f k", x/1000) }

func read(path string) string {
	text, _ := os.ReadFile(path) // what is unknown is left out of the report
	return string(text)
}

func first(pattern, path string) string { return firstIn(pattern, read(path)) }

func firstIn(pattern, text string) string {
	if found := regexp.MustCompile(pattern).FindStringSubmatch(text); found != nil {
		return found[1]
	}
	return "unknown"
}

func output(name string, args ...string) string {
	text, _ := exec.Command(name, args...).CombinedOutput() // likewise
	return strings.TrimSpace(string(text))
}

// jar gives the version of a jar, which its name has.
func jar(folder, name string) string {
	found, _ := filepath.Glob(filepath.Join(top, "."+folder, name+"-[0-9]*.jar"))
	if len(found) == 0 {
		return "unknown"
	}
	return strings.TrimSuffix(strings.TrimPrefix(filepath.Base(found[0]), name+"-"), ".jar")
}
