//go:build deskdrop

package e2e

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The Deskdrop log (72,312 events of a company's content platform, a year) is
// not ours to ship: `make deskdrop DATA=…/users_interactions.csv.zip` names it.

const deskdrop = "deskdrop"

// deskdropTotals are the four figures that must come out of every door.
type deskdropTotals struct {
	Sessions, Users, Seconds, UserDays int64
}

func deskdropReplay(t *testing.T) []string {
	t.Helper()
	file := os.Getenv("DESKDROP")
	if file == "" {
		t.Fatal("DESKDROP names no file: use make deskdrop DATA=…/users_interactions.csv.zip")
	}
	return []string{
		"replay", file, "--format", "csv", "--network", deskdrop,
		"--map", "user=personId,time=timestamp:unix,content.id=contentId,action=eventType",
	}
}

func (d *instance) deskdropBySQL() deskdropTotals {
	const of = " WHERE network_id = '" + deskdrop + "' AND date < '2018-01-01'" // without those of newerFirst
	return deskdropTotals{
		Sessions: d.number("SELECT count() FROM daybook.sessions" + of),
		Users:    d.number("SELECT uniqExact(user_id) FROM daybook.sessions" + of),
		Seconds:  d.number("SELECT sum(duration_s) FROM daybook.sessions" + of),
		UserDays: d.number("SELECT count() FROM daybook.daily_users" + of),
	}
}

const (
	deskdropRange    = "?from=2016-03-14&to=2017-02-28"
	deskdropSessions = "/v1/networks/" + deskdrop + "/sessions" + deskdropRange
	deskdropRollups  = "/v1/networks/" + deskdrop + "/rollups/daily" + deskdropRange
)

func (d *instance) deskdropByAPI() deskdropTotals {
	var got deskdropTotals
	users := make(map[any]bool)
	d.list(deskdropSessions, func(item map[string]any) {
		got.Sessions++
		got.Seconds += int64(item["duration_s"].(float64))
		users[item["user_id"]] = true
	})
	got.Users = int64(len(users))
	d.list(deskdropRollups, func(item map[string]any) { got.UserDays += int64(item["users"].(float64)) })
	return got
}

func (d *instance) deskdropByCSV() deskdropTotals {
	var got deskdropTotals
	users := make(map[string]bool)
	number := func(text string) int64 {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			d.t.Fatal(err)
		}
		return n
	}
	for _, row := range d.csv(deskdropSessions + "&format=csv") {
		got.Sessions++
		got.Seconds += number(row["duration_s"])
		users[row["user_id"]] = true
	}
	got.Users = int64(len(users))
	for _, row := range d.csv(deskdropRollups + "&format=csv") {
		got.UserDays += number(row["users"])
	}
	return got
}

func (d *instance) checkDeskdrop(when string) {
	d.t.Helper()
	want := deskdropTotals{Sessions: 38_508, Users: 1_895, Seconds: 5_906_028, UserDays: 28_740}
	for door, got := range map[string]deskdropTotals{"SQL": d.deskdropBySQL(), "API": d.deskdropByAPI(), "CSV": d.deskdropByCSV()} {
		fmt.Printf("%s, %s: %d sessions, %d users, %d s, %d user-days\n", when, door, got.Sessions, got.Users, got.Seconds, got.UserDays)
		if diff := cmp.Diff(want, got); diff != "" {
			d.t.Errorf("%s, by %s (-want +got):\n%s", when, door, diff)
		}
	}
}

func TestDeskdrop(t *testing.T) {
	replay := deskdropReplay(t)
	d := startDev(t, t.TempDir())
	fmt.Print(d.run(0, append(replay, "--wait")...))
	d.checkDeskdrop("one replay")
	fmt.Print(d.run(0, append(replay, "--wait")...))
	d.checkDeskdrop("two replays")
	d.stop()

	data := t.TempDir()
	killed := startDev(t, data)
	killDuringReplay(killed, 20_000, append(replay, "--rate", "20000")...)
	again := startDev(t, data)
	fmt.Printf("killed with %d events stored\n", again.number("SELECT count() FROM daybook.events"))
	fmt.Print(again.run(0, append(replay, "--wait")...))
	again.checkDeskdrop("after kill -9 and a repeated replay")
	again.stop()
}

// The file is not in the order of time: 66,906 of its events come before the
// horizon. And it may come when the network has newer events already, so that
// every event of it is late. Both end in the same sessions.
func TestDeskdrop_History(t *testing.T) {
	replay := deskdropReplay(t)
	d := startDev(t, t.TempDir())
	fmt.Print(d.run(0, append(replay, "--order", "file", "--wait")...))
	d.checkDeskdrop("in the order of the file")
	d.stop()

	late := startDev(t, t.TempDir())
	late.newerFirst(deskdrop)
	fmt.Print(late.run(0, append(replay, "--wait")...))
	late.checkDeskdrop("after newer events")
	late.stop()
}
