package clickhouse_test

import (
	"iter"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"daybook/clickhouse"
	"daybook/clickhouse/query"
	"daybook/schemas"
)

// rows gathers an answer.
func rows[T any](tb testing.TB, seq iter.Seq2[T, error]) []T {
	tb.Helper()
	var out []T
	for row, err := range seq {
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, row)
	}
	return out
}

func date(tb testing.TB, text string) query.Date {
	tb.Helper()
	d, err := query.ParseDate(text)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func utc(tb testing.TB, rfc3339 string) time.Time {
	tb.Helper()
	return time.UnixMilli(at(tb, rfc3339)).UTC()
}

// twoDays is a user with a session over midnight and one more, and another user.
func twoDays(t *testing.T, s *clickhouse.Store) {
	t.Helper()
	f := flush(50)
	session(f, "n", "u", "p", schemas.ClassMobile, at(t, "2026-05-12T23:30:00Z"), at(t, "2026-05-13T00:30:00Z"), false)
	session(f, "n", "u", "b", schemas.ClassWeb, at(t, "2026-05-13T09:00:00Z"), at(t, "2026-05-13T09:00:00Z"), false)
	session(f, "n", "v", "b", schemas.ClassWeb, at(t, "2026-05-13T09:00:00Z"), at(t, "2026-05-13T10:00:00Z"), false)
	session(f, "other", "u", "b", schemas.ClassWeb, at(t, "2026-05-13T09:00:00Z"), at(t, "2026-05-13T10:00:00Z"), false)
	f.Users = []schemas.UserRow{{Network: "n", User: "u", Zone: "Europe/Prague", Name: "Ulla"}, {Network: "n", User: "v"}, {Network: "n", User: "w"}, {Network: "other", User: "u"}}
	f.Progress = []schemas.ProgressRow{{Network: "n", WatermarkMs: at(t, "2026-05-13T09:59:00Z")}}
	write(t, s, f)
}

func TestUserDays_NewestFirstAndPaged(t *testing.T) {
	s := open(t)
	twoDays(t, s)
	q := query.UserDays{Network: "n", User: "u", From: date(t, "2026-05-01"), To: date(t, "2026-05-14"), Limit: 1}
	first := rows(t, q.Run(t.Context(), s))
	want := []query.UserDay{{Date: date(t, "2026-05-13"), Sessions: 1, DurationS: 1800, ActiveS: 1800, MobileS: 1800}}
	if d := cmp.Diff(want, first); d != "" {
		t.Error(d)
	}
	q.After = &first[0].Date
	want = []query.UserDay{{Date: date(t, "2026-05-12"), Sessions: 1, DurationS: 1800, ActiveS: 1800, MobileS: 1800}}
	if d := cmp.Diff(want, rows(t, q.Run(t.Context(), s))); d != "" {
		t.Error(d)
	}
	q.Oldest, q.After, q.Limit = true, nil, query.All
	if got := rows(t, q.Run(t.Context(), s)); len(got) != 2 || got[0].Date != date(t, "2026-05-12") {
		t.Errorf("oldest first: %v", got)
	}
}

func TestNetworkDays_OfOneTenant(t *testing.T) {
	s := open(t)
	twoDays(t, s)
	got := rows(t, query.NetworkDays{Network: "n", From: date(t, "2026-05-12"), To: date(t, "2026-05-13"), Limit: 10}.Run(t.Context(), s))
	want := []query.NetworkDay{
		{Date: date(t, "2026-05-12"), Users: 1, Sessions: 1, DurationS: 1800, ActiveS: 1800, MobileS: 1800},
		{Date: date(t, "2026-05-13"), Users: 2, Sessions: 2, DurationS: 5400, ActiveS: 5400, MobileS: 1800, WebS: 3600},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestSessions_BelongToTheDateOfTheirStart(t *testing.T) {
	s := open(t)
	twoDays(t, s)
	q := query.Sessions{Network: "n", From: date(t, "2026-05-13"), To: date(t, "2026-05-13"), Limit: 1}
	var users []string
	for {
		page := rows(t, q.Run(t.Context(), s))
		if len(page) == 0 {
			break
		}
		users = append(users, page[0].UserID)
		q.After = &query.SessionCursor{StartedAt: page[0].StartedAt, SessionID: page[0].SessionID}
	}
	if len(users) != 2 || users[0] == users[1] {
		t.Errorf("paged users %v, want u and v once each", users)
	}
	got := rows(t, query.Sessions{Network: "n", User: "u", DeviceClass: "mobile", From: date(t, "2026-05-12"), To: date(t, "2026-05-12"), Limit: 10}.Run(t.Context(), s))
	want := []query.Session{{
		NetworkID: "n", UserID: "u", DeviceID: "p", DeviceClass: "mobile", SessionID: got[0].SessionID, Date: date(t, "2026-05-12"),
		StartedAt: utc(t, "2026-05-12T23:30:00Z"), EndedAt: utc(t, "2026-05-13T00:30:00Z"), DurationS: 3600,
		Status: "closed", EndReason: "inactivity", Events: 2, Zone: "UTC",
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestDaySessions_SliceWithItsWholeSession(t *testing.T) {
	s := open(t)
	twoDays(t, s)
	q := query.DaySessions{Network: "n", User: "u", From: date(t, "2026-05-13"), To: date(t, "2026-05-13"), Limit: 10}
	got := rows(t, q.Run(t.Context(), s))
	if len(got) != 2 {
		t.Fatalf("%d slices, want 2", len(got))
	}
	midnight, end := utc(t, "2026-05-13T00:00:00Z"), utc(t, "2026-05-13T00:30:00Z")
	want := query.DaySession{
		Date: date(t, "2026-05-13"), SessionID: got[0].SessionID, DeviceID: "p", DeviceClass: "mobile", StartedAt: midnight, EndedAt: end,
		DurationS: 1800, Runs: [][2]time.Time{{midnight, end}}, ContinuesFrom: true, Zone: "UTC",
		SessionStartedAt: utc(t, "2026-05-12T23:30:00Z"), SessionEndedAt: end, SessionDurationS: 3600,
		Status: "closed", EndReason: "inactivity", Events: 2,
	}
	if d := cmp.Diff(want, got[0]); d != "" {
		t.Error(d)
	}
	if got[1].DurationS != 0 || got[1].ContinuesFrom || got[1].Status != "closed" {
		t.Errorf("second slice %+v", got[1])
	}
	q.After = &query.DayCursor{Date: got[0].Date, StartedAt: got[0].StartedAt, SessionID: got[0].SessionID}
	if rest := rows(t, q.Run(t.Context(), s)); len(rest) != 1 || rest[0].SessionID != got[1].SessionID {
		t.Errorf("after the first: %v", rest)
	}
}

func TestUsers_SearchedPagedAndByActivity(t *testing.T) {
	s := open(t)
	twoDays(t, s)
	first, last := date(t, "2026-05-12"), date(t, "2026-05-13")
	ulla := query.User{UserID: "u", Name: "Ulla", Zone: "Europe/Prague", FirstDate: &first, LastDate: &last}
	v, w := query.User{UserID: "v", FirstDate: &last, LastDate: &last}, query.User{UserID: "w"}
	for name, tc := range map[string]struct {
		q    query.Users
		want []query.User
	}{
		"all":    {query.Users{Network: "n", Limit: 10}, []query.User{ulla, v, w}},
		"paged":  {query.Users{Network: "n", After: "u", Limit: 1}, []query.User{v}},
		"search": {query.Users{Network: "n", Search: "LLA", Limit: 10}, []query.User{ulla}},
		"active": {query.Users{Network: "n", ActiveFrom: &last, Limit: 10}, []query.User{ulla, v}},
		"early":  {query.Users{Network: "n", ActiveTo: &first, Limit: 10}, []query.User{ulla}},
		"odd":    {query.Users{Network: "n", Search: `'"\%_{x:String}`, Limit: 10}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(tc.want, rows(t, tc.q.Run(t.Context(), s))); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestNetworks_ShowTheNewestAppliedSetting(t *testing.T) {
	s := open(t)
	f := flush(20)
	f.Settings = []schemas.SettingRow{
		{Offset: 1, Control: schemas.Control{Network: "n", Position: 5, GapMs: 1_800_000}},
		{Offset: 9, Control: schemas.Control{Network: "n", Position: 7, Zone: "Europe/Prague", GapMs: 60_000, Title: "N", Dark: []schemas.Dark{{FromMs: 0, ToMs: 1<<63 - 1}}}},
		{Offset: 3, Control: schemas.Control{Network: "a", Position: 6, GapMs: 1_800_000, Dark: []schemas.Dark{{FromMs: 0, ToMs: 1}}}},
	}
	write(t, s, f)
	got := rows(t, query.Networks{Limit: 10}.Run(t.Context(), s))
	for i := range got {
		got[i].ChangedAt = time.Time{}
	}
	want := []query.Network{
		{NetworkID: "a", Zone: "UTC", GapMs: 1_800_000, Recording: true, Position: 6},
		{NetworkID: "n", Title: "N", Zone: "Europe/Prague", GapMs: 60_000, Position: 7},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got := rows(t, query.Networks{Only: []string{"n"}, Limit: 10}.Run(t.Context(), s)); len(got) != 1 || got[0].NetworkID != "n" {
		t.Errorf("only n: %v", got)
	}
	if got := rows(t, query.Networks{Only: []string{}, Limit: 10}.Run(t.Context(), s)); len(got) != 0 {
		t.Errorf("none allowed: %v", got)
	}
}

// INTERFACES.md section 2: the watermark while behind, else the last empty fetch
// less out_of_orderness; null while unowned.
func TestFreshness_LeastOverThePartitionsConcerned(t *testing.T) {
	s := open(t)
	twoDays(t, s)
	now := time.Now()
	ask := func(user string) query.FreshnessRow {
		t.Helper()
		row, err := query.Freshness{Network: "n", User: user}.Ask(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		return row
	}
	report := func(statuses ...schemas.PartitionStatus) {
		t.Helper()
		for i := range statuses {
			statuses[i].Topic, statuses[i].Epoch, statuses[i].OutOfOrderMs = schemas.TopicEvents, 1, 60_000
		}
		if err := s.Report(t.Context(), statuses); err != nil {
			t.Fatal(err)
		}
	}
	if got := ask(""); got.CompleteThrough != nil {
		t.Errorf("nobody owns: %v", got)
	}
	caught := now.Add(-time.Second).UnixMilli()
	report(schemas.PartitionStatus{Partition: 0, Next: 50, LogEnd: 80, UpdatedMs: now.UnixMilli()},
		schemas.PartitionStatus{Partition: 1, Next: 7, LogEnd: 7, CaughtUpMs: caught, UpdatedMs: now.UnixMilli()})
	behind := utc(t, "2026-05-13T09:59:00Z")
	if d := cmp.Diff(query.FreshnessRow{CompleteThrough: &behind, Partitions: 2, Owned: 2, Behind: 1, Records: 30}, ask("")); d != "" {
		t.Error("behind:", d)
	}
	every, err := query.Freshness{Every: true}.Ask(t.Context(), s)
	if d := cmp.Diff(query.FreshnessRow{CompleteThrough: &behind, Partitions: 2, Owned: 2, Behind: 1, Records: 30}, every); d != "" || err != nil {
		t.Error("all networks:", d, err)
	}
	if got := ask("u"); got.Partitions != 1 || got.CompleteThrough == nil || !got.CompleteThrough.Equal(behind) {
		t.Errorf("user u lies on partition 0 alone: %+v", got)
	}
	report(schemas.PartitionStatus{Partition: 0, Next: 80, LogEnd: 80, CaughtUpMs: caught + 500, UpdatedMs: now.UnixMilli() + 1})
	through := time.UnixMilli(caught - 60_000).UTC()
	if d := cmp.Diff(query.FreshnessRow{CompleteThrough: &through, Partitions: 2, Owned: 2}, ask("")); d != "" {
		t.Error("read to the end:", d)
	}
	report(schemas.PartitionStatus{Partition: 1, Released: true, UpdatedMs: now.UnixMilli() + 2})
	if got := ask(""); got.CompleteThrough != nil || got.Owned != 1 {
		t.Errorf("one released: %+v", got)
	}
	report(schemas.PartitionStatus{Partition: 0, CaughtUpMs: caught, UpdatedMs: now.Add(-time.Hour).UnixMilli()})
	if got := ask("u"); got.CompleteThrough == nil {
		t.Error("an older report that comes late took over")
	}
}
