package clickhouse_test

import (
	"testing"

	"daybook/schemas"
)

const dailySQL = "SELECT concat(toString(date), ' ', toString(sessions), ' ', toString(duration_s), ' ', toString(active_s), ' ', toString(overlap_s), ' '," +
	" toString(mobile_s), ' ', toString(web_s)) FROM daily_users WHERE network_id = 'n' AND user_id = 'u' ORDER BY date"

// SEMANTICS.md section 8, vector 11; SPK-18: sum, union and overlap of a day.
func TestGolden_11_SumUnionAndOverlap(t *testing.T) {
	s := open(t)
	f := flush(9)
	session(f, "n", "u", "b", schemas.ClassWeb, at(t, "2026-05-12T08:00:00Z"), at(t, "2026-05-12T10:00:00Z"), false)
	session(f, "n", "u", "p", schemas.ClassMobile, at(t, "2026-05-12T09:30:00Z"), at(t, "2026-05-12T10:15:00Z"), false)
	session(f, "n", "u", "p", schemas.ClassMobile, at(t, "2026-05-12T21:00:00Z"), at(t, "2026-05-12T21:20:00Z"), false)
	session(f, "n", "v", "p", schemas.ClassMobile, at(t, "2026-05-12T21:00:00Z"), at(t, "2026-05-12T21:20:00Z"), false)
	write(t, s, f, f)
	if got := text(t, s, dailySQL); len(got) != 1 || got[0] != "2026-05-12 3 11100 9300 1800 3900 7200" {
		t.Errorf("user day %v", got)
	}
	// The union of a network is the sum over users of theirs, not one over all.
	got := text(t, s, "SELECT concat(toString(users), ' ', toString(sessions), ' ', toString(duration_s), ' ', toString(active_s), ' ', toString(overlap_s)) FROM daily_networks")
	if len(got) != 1 || got[0] != "2 4 12300 10500 1800" {
		t.Errorf("network day %v", got)
	}
}

// SEMANTICS.md section 8, vector 7: St John's 2010-11-06 and 07 are two runs
// each, 24 h 59 min and 24 h 01 min; the union must not bridge the hole.
func TestDailyUsers_DateOfTwoRuns(t *testing.T) {
	s := open(t)
	f := flush(9)
	ms := at(t, "2010-11-06T02:30:00Z")
	id := schemas.SessionID("n", "u", "web", ms)
	slice := func(date string, secs int32, from bool, runs ...string) {
		r := schemas.SliceRow{
			Session: id, Network: "n", User: "u", Device: "web", Class: schemas.ClassWeb, Zone: "America/St_Johns",
			Date: int32(at(t, date+"T00:00:00Z") / 86_400_000), Seconds: secs, SessionStart: ms, ContinuesFrom: from, ContinuesTo: !from,
		}
		for i := 0; i < len(runs); i += 2 {
			r.Runs = append(r.Runs, [2]int64{at(t, runs[i]) / 1000, at(t, runs[i+1]) / 1000})
		}
		f.Slices = append(f.Slices, r)
	}
	// The zone went back one hour at 00:01 on the 7th (02:31Z): 23:01 to 24:00 of
	// the 6th shows twice.
	slice("2010-11-06", 24*3600+59*60, false, "2010-11-06T02:30:00Z", "2010-11-07T02:30:00Z", "2010-11-07T02:31:00Z", "2010-11-07T03:30:00Z")
	slice("2010-11-07", 24*3600+60, true, "2010-11-07T02:30:00Z", "2010-11-07T02:31:00Z", "2010-11-07T03:30:00Z", "2010-11-08T03:30:00Z")
	write(t, s, f)
	got := text(t, s, dailySQL)
	want := []string{"2010-11-06 1 89940 89940 0 0 89940", "2010-11-07 0 86460 86460 0 0 86460"}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %v\nwant %v", got, want)
	}
}
