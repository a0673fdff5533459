package readapi_test

import (
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type dayItem struct {
	Date      string `json:"date"`
	Sessions  int    `json:"sessions"`
	DurationS int    `json:"duration_s"`
	ActiveS   int    `json:"active_s"`
	OverlapS  int    `json:"overlap_s"`
	MobileS   int    `json:"mobile_s"`
	WebS      int    `json:"web_s"`
}

type sessionItem struct {
	Date          string `json:"date"`
	SessionID     string `json:"session_id"`
	DeviceClass   string `json:"device_class"`
	StartedAt     string `json:"started_at"`
	EndedAt       string `json:"ended_at"`
	DurationS     int    `json:"duration_s"`
	Status        string `json:"status"`
	ContinuesFrom bool   `json:"continues_from"`
	ContinuesTo   bool   `json:"continues_to"`
	ZoneNote      *struct {
		DifferenceMin int    `json:"difference_min"`
		Text          string `json:"text"`
	} `json:"zone_note"`
}

type answerOf[T any] struct {
	Items              []T     `json:"items"`
	NextCursor         *string `json:"next_cursor"`
	AsOf               string  `json:"as_of"`
	CompleteThrough    *string `json:"complete_through"`
	TzdataVersion      string  `json:"tzdata_version"`
	DefinitionsVersion string  `json:"definitions_version"`
	TimeZone           string  `json:"time_zone"`
	Day                dayItem `json:"day"`
}

const annaRecord = "/v1/networks/acme/users/anna/activity-record"

// SPK-13, SPK-14, SPK-16, SPK-17: the past two weeks, active days only, newest
// first, with totals.
func TestActivityRecord_ListsActiveDaysOfPastTwoWeeks(t *testing.T) {
	s := serve(t, company(t).store())
	var got answerOf[dayItem]
	s.get(annaRecord, &got)
	want := []dayItem{
		{Date: "2026-03-14", Sessions: 1, DurationS: 2700, ActiveS: 2700, WebS: 2700},
		{Date: "2026-03-13", Sessions: 1},
		{Date: "2026-03-12", Sessions: 3, DurationS: 11100, ActiveS: 9300, OverlapS: 1800, MobileS: 3900, WebS: 7200},
		{Date: "2026-03-11", DurationS: 4500, ActiveS: 4500, WebS: 4500},
		{Date: "2026-03-10", Sessions: 1, DurationS: 1800, ActiveS: 1800, WebS: 1800},
	}
	if diff := cmp.Diff(want, got.Items); diff != "" {
		t.Errorf("days (-want +got):\n%s", diff)
	}
	if got.TimeZone != "Europe/Prague" || got.AsOf == "" || got.TzdataVersion != "2025c" || got.DefinitionsVersion == "" || got.NextCursor != nil {
		t.Errorf("stamp %+v", got)
	}
	if got.CompleteThrough != nil {
		t.Errorf("complete_through %q, want null while nobody owns the partition", *got.CompleteThrough)
	}
}

// SPK-15: another range; SPK-27: rows of every day add up to its total.
func TestActivityRecord_DaysEqualSumOfTheirSessions(t *testing.T) {
	s := serve(t, company(t).store())
	var days answerOf[dayItem]
	s.get(annaRecord+"?from=2025-10-01&to=2026-03-31", &days)
	if len(days.Items) != 7 {
		t.Fatalf("%d days, want 7", len(days.Items))
	}
	for _, d := range days.Items {
		var day answerOf[sessionItem]
		s.get(annaRecord+"/"+d.Date, &day)
		sum, counted := 0, 0
		for _, row := range day.Items {
			sum += row.DurationS
			if !row.ContinuesFrom {
				counted++
			}
		}
		if sum != d.DurationS || counted != d.Sessions {
			t.Errorf("%s: rows add up to %d s in %d sessions, want %d in %d", d.Date, sum, counted, d.DurationS, d.Sessions)
		}
		if diff := cmp.Diff(d, day.Day); diff != "" {
			t.Errorf("%s: day's own total (-list +day):\n%s", d.Date, diff)
		}
	}
}

// SPK-18 to SPK-24, SPK-29, SPK-31.
func TestActivityDay_ShowsSessionsInZoneOfSubject(t *testing.T) {
	s := serve(t, company(t).store())
	var day answerOf[sessionItem]
	s.get(annaRecord+"/2026-03-12?viewer_tz=Europe/London", &day)
	var got []string
	for _, r := range day.Items {
		got = append(got, strings.Join([]string{r.DeviceClass, r.StartedAt, r.EndedAt, strconv.Itoa(r.DurationS), r.ZoneNote.Text}, " "))
	}
	want := []string{
		"web 2026-03-12T08:00:00+01:00 2026-03-12T10:00:00+01:00 7200 Times in Europe/Prague, 1 h ahead of you",
		"mobile 2026-03-12T09:30:00+01:00 2026-03-12T10:15:00+01:00 2700 Times in Europe/Prague, 1 h ahead of you",
		"mobile 2026-03-12T21:00:00+01:00 2026-03-12T21:20:00+01:00 1200 Times in Europe/Prague, 1 h ahead of you",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sessions (-want +got):\n%s", diff)
	}

	s.get(annaRecord+"/2026-03-12?viewer_tz=Europe/Amsterdam", &day)
	if day.Items[0].ZoneNote != nil {
		t.Errorf("note %+v for a viewer with the same offset", day.Items[0].ZoneNote)
	}
	s.get(annaRecord+"/2026-03-10", &day)
	if r := day.Items[0]; !r.ContinuesTo || r.ContinuesFrom || r.EndedAt != "2026-03-11T00:00:00+01:00" || r.DurationS != 1800 {
		t.Errorf("slice before midnight %+v", r)
	}
	s.get(annaRecord+"/2026-03-11", &day)
	if r := day.Items[0]; r.ContinuesTo || !r.ContinuesFrom || r.StartedAt != "2026-03-11T00:00:00+01:00" || r.DurationS != 4500 {
		t.Errorf("slice after midnight %+v", r)
	}
	s.get(annaRecord+"/2026-03-14", &day)
	if r := day.Items[0]; r.Status != "open" {
		t.Errorf("running session %+v, want status open", r)
	}
	s.get(annaRecord+"/2026-03-12", &day)
	if r := day.Items[0]; r.Status != "closed" {
		t.Errorf("old session %+v, want status closed", r)
	}
	s.get(annaRecord+"/2026-03-09", &day)
	if len(day.Items) != 0 || day.Day.Date != "2026-03-09" {
		t.Errorf("empty day %+v", day)
	}
}

// SPK-25, SPK-26: one user's record as CSV, contract 1, adds up.
func TestActivityRecord_CSVIsContractOneAndAddsUp(t *testing.T) {
	s := serve(t, company(t).store())
	r := s.do(http.MethodGet, annaRecord+"?format=csv", "")
	if r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	lines := strings.Split(r.body, "\r\n")
	want := []string{
		"user_id,user_name,date,session_no,device_type,start,end,duration_s,duration,time_zone,utc_offset,continues_from,continues_to,end_reason,day_total_s",
		"anna,Anna Nováková,2026-03-10,1,Web,2026-03-10T23:30:00+01:00,2026-03-11T00:00:00+01:00,1800,0:30:00,Europe/Prague,+01:00,false,true,inactivity,1800",
		"anna,Anna Nováková,2026-03-11,1,Web,2026-03-11T00:00:00+01:00,2026-03-11T01:15:00+01:00,4500,1:15:00,Europe/Prague,+01:00,true,false,inactivity,4500",
		"anna,Anna Nováková,2026-03-12,1,Web,2026-03-12T08:00:00+01:00,2026-03-12T10:00:00+01:00,7200,2:00:00,Europe/Prague,+01:00,false,false,inactivity,11100",
	}
	if diff := cmp.Diff(want, lines[:4]); diff != "" {
		t.Errorf("csv (-want +got):\n%s", diff)
	}
	rows, err := csv.NewReader(strings.NewReader(r.body)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, row := range rows[1:] {
		n, _ := strconv.Atoi(row[7])
		sum += n
	}
	if sum != 2700+11100+4500+1800 || len(rows) != 8 {
		t.Errorf("%d rows add up to %d s", len(rows)-1, sum)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/csv; charset=utf-8; header=present", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		"Daybook-Complete-Through": "null", "Daybook-Tzdata-Version": "2025c", "Daybook-As-Of": "2026-03-14T13:00:00Z",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if d := r.header.Get("Content-Disposition"); !strings.HasPrefix(d, `attachment; filename="activity-record_acme_`) {
		t.Errorf("Content-Disposition %q", d)
	}
	if day := s.do(http.MethodGet, annaRecord+"/2026-03-12", "", "Accept", "text/csv"); strings.Count(day.body, "\r\n") != 4 {
		t.Errorf("day as csv:\n%s", day.body)
	}
}

// User ids may hold anything: they travel percent-encoded and come back whole.
func TestActivityRecord_TakesAnyUserID(t *testing.T) {
	s := serve(t, company(t).store())
	var got answerOf[dayItem]
	s.get("/v1/networks/acme/users/a%2Fb%20%252F%20%C4%8D%3F%23/activity-record", &got)
	if len(got.Items) != 1 || got.Items[0].DurationS != 600 {
		t.Errorf("days %+v", got.Items)
	}
	var day answerOf[sessionItem]
	s.get("/v1/networks/acme/users/a%2Fb%20%252F%20%C4%8D%3F%23/activity-record/2026-03-13", &day)
	if len(day.Items) != 1 {
		t.Errorf("sessions %+v", day.Items)
	}
	r := s.do(http.MethodGet, "/v1/networks/acme/users/%3Dcmd/activity-record?format=csv", "")
	if !strings.Contains(r.body, "\r\n'=cmd,'=1+1,2026-03-13,") {
		t.Errorf("guarded csv:\n%s", r.body)
	}
	r = s.do(http.MethodGet, "/v1/networks/acme/users/%3Dcmd/activity-record?format=csv&raw=1", "")
	if !strings.Contains(r.body, "\r\n=cmd,=1+1,2026-03-13,") {
		t.Errorf("raw csv:\n%s", r.body)
	}
}
