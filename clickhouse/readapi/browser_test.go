package readapi_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// browserSaw is what testdata/browser/drive.mjs prints.
type browserSaw struct {
	Error, AfterEnter, Lang, Lead, Fresh, CSV, CSVText, ScriptNote, StrangerTitle string

	CSVStatus, SecondUse, DayBars, FailedBefore, ConsoleBefore int
	Titles, Found, Days, Totals, Sessions                      []string
	Short, Running, Continued, Older                           []string
	Outside, Failed, Console, Cookie                           []string
	SessionSeconds, DayTotal                                   []int
	Sideways                                                   bool
}

// browser runs the script, or says that it cannot.
func browser(t *testing.T, address string) browserSaw {
	t.Helper()
	const folder = "web/testdata/browser"
	var chromium string
	var err error
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if chromium, err = exec.LookPath(name); err == nil {
			break
		}
	}
	node, nodeErr := exec.LookPath("node")
	_, modules := os.Stat(folder + "/node_modules/playwright-core")
	if err != nil || nodeErr != nil || modules != nil {
		fmt.Println("browser tests not run: chromium missing")
		if os.Getenv("DAYBOOK_REQUIRE_BROWSER") == "1" || os.Getenv("REQUIRE_CHROMIUM") != "" {
			t.Fatalf("chromium: %v, node: %v, node_modules: %v", err, nodeErr, modules)
		}
		t.Skip("chromium, node or node_modules missing; run npm ci --ignore-scripts in " + folder)
	}
	shots := os.Getenv("DAYBOOK_BROWSER_SHOTS") // a folder to look at the page; none by default
	cmd := exec.CommandContext(t.Context(), node, "drive.mjs", chromium, address, shots)
	cmd.Dir, cmd.Stderr, cmd.WaitDelay = folder, logWriter{t}, 10*time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("run drive.mjs: %v", err)
	}
	var saw browserSaw
	if err := json.Unmarshal(out, &saw); err != nil {
		t.Fatalf("read what drive.mjs saw: %v in %s", err, out)
	}
	if saw.Error != "" {
		t.Fatalf("drive.mjs: %s\nseen so far: %s", saw.Error, out)
	}
	return saw
}

// SPK-11, SPK-13 to SPK-27 on the page, without scripts: choose network and
// user, see the days with totals, open a day, add up its sessions.
func TestPage_WorksInBrowserWithoutScripts(t *testing.T) {
	s := serve(t, company(t).store())
	saw := browser(t, s.url+s.api.PagePath())

	want := []string{"Networks · Daybook", "Acme · Daybook", "Anna Nováková · Daybook", "12 March 2026, Anna Nováková · Daybook"}
	if diff := cmp.Diff(want, saw.Titles); diff != "" {
		t.Errorf("titles (-want +got):\n%s", diff)
	}
	if saw.Lang != "en" || saw.AfterEnter != "/" {
		t.Errorf("lang %q, address after entering %q", saw.Lang, saw.AfterEnter)
	}
	if diff := cmp.Diff([]string{"Anna Nováková"}, saw.Found); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Sat, 14 Mar 2026", "Fri, 13 Mar 2026", "Thu, 12 Mar 2026", "Wed, 11 Mar 2026", "Tue, 10 Mar 2026"}, saw.Days); diff != "" {
		t.Errorf("days (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"0:45", "< 1 min", "3:05, of which 0:30 on two devices at once", "1:15", "0:30"}, saw.Totals); diff != "" {
		t.Errorf("totals (-want +got):\n%s", diff)
	}
	if saw.DayBars != 7 {
		t.Errorf("%d rectangles in the day bars, want one a slice: 7", saw.DayBars)
	}
	if !strings.Contains(saw.Lead, "5 active days, 6 sessions") || !strings.Contains(saw.Fresh, "No worker is reading") {
		t.Errorf("lead %q, freshness %q", saw.Lead, saw.Fresh)
	}
	if saw.CSVStatus != 200 || strings.Count(saw.CSVText, "\r\n") != 8 {
		t.Errorf("csv %q: %d\n%s", saw.CSV, saw.CSVStatus, saw.CSVText)
	}
	wantRows := []string{
		"1 Web 08:00:00 10:00:00 2:00:00 Times in Europe/Prague, 1 h ahead of you",
		"2 Mobile 09:30:00 10:15:00 0:45:00 Times in Europe/Prague, 1 h ahead of you",
		"3 Mobile 21:00:00 21:20:00 0:20:00 Times in Europe/Prague, 1 h ahead of you",
	}
	if diff := cmp.Diff(wantRows, saw.Sessions); diff != "" {
		t.Errorf("sessions (-want +got):\n%s", diff)
	}
	total := 0
	for _, n := range saw.SessionSeconds {
		total += n
	}
	if total != 11100 || len(saw.DayTotal) != 1 || saw.DayTotal[0] != total {
		t.Errorf("rows add up to %d, the day's total says %v", total, saw.DayTotal)
	}
	checkRest(t, &saw)
}

func checkRest(t *testing.T, saw *browserSaw) {
	t.Helper()
	for name, pair := range map[string][2][]string{
		"short":     {saw.Short, {"1 Mobile 07:00:00 07:00:00 < 1 min Times in Europe/Prague, 1 h ahead of you"}},
		"running":   {saw.Running, {"1 Web 13:10:00 still open last seen 13:55:00 0:45:00 Times in Europe/Prague, 1 h ahead of you"}},
		"continued": {saw.Continued, {"1 Web 00:00:00 from the day before 01:15:00 1:15:00 Times in Europe/Prague, 1 h ahead of you"}},
		"older":     {saw.Older, {"Sat, 25 Oct 2025", "Fri, 24 Oct 2025"}},
		"cookie":    {saw.Cookie, {"daybook_page httpOnly=true sameSite=Strict"}},
		"outside":   {saw.Outside, nil},
	} {
		if strings.Join(pair[0], "\n") != strings.Join(pair[1], "\n") {
			t.Errorf("%s: got %q, want %q", name, pair[0], pair[1])
		}
	}
	if !strings.Contains(saw.ScriptNote, "Times in Europe/Prague, 8 h behind you") {
		t.Errorf("note with the zone that the script told: %q", saw.ScriptNote)
	}
	if saw.FailedBefore != 0 || saw.ConsoleBefore != 0 || saw.SecondUse != 401 || saw.StrangerTitle != "Sign in · Daybook" || saw.Sideways {
		t.Errorf("failed %v, console %v, second use of the link %d, stranger sees %q, page wider than the phone %v", saw.Failed, saw.Console, saw.SecondUse, saw.StrangerTitle, saw.Sideways)
	}
}
