package readapi_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"daybook/clickhouse"
	"daybook/clickhouse/engine/enginetest"
	"daybook/clickhouse/query"
	"daybook/clickhouse/readapi"
	"daybook/schemas"
)

const testKey = "dbk_test"

// now is the present of the tests: 14:00 in Amsterdam on 14 March 2026.
var now = time.Date(2026, 3, 14, 13, 0, 0, 0, time.UTC)

// fixture gathers rows as a worker would flush them.
type fixture struct {
	tb    testing.TB
	flush schemas.Flush
}

func newFixture(tb testing.TB) *fixture {
	tb.Helper()
	return &fixture{tb: tb, flush: schemas.Flush{Topic: schemas.TopicEvents, Epoch: 1, Partition: 0, From: 0, Next: 100}}
}

func (f *fixture) network(id, zone string, dark ...schemas.Dark) {
	n := int64(len(f.flush.Settings))
	f.flush.Settings = append(f.flush.Settings, schemas.SettingRow{Offset: n, Control: schemas.Control{
		Network: id, Position: n + 1, Zone: zone, GapMs: schemas.DefaultGapMs, Title: strings.ToUpper(id[:1]) + id[1:], Dark: dark,
	}})
	f.flush.Progress = append(f.flush.Progress, schemas.ProgressRow{Network: id, WatermarkMs: now.Add(-time.Minute).UnixMilli()})
}

func (f *fixture) user(network, id, name, zone string) {
	f.flush.Users = append(f.flush.Users, schemas.UserRow{Network: network, User: id, Name: name, Zone: zone})
}

// session adds a session with the slices that a count of its seconds, one by
// one, gives: slow, and independent of the splitter of the pipeline.
func (f *fixture) session(network, user, device string, class schemas.DeviceClass, zone, start, end string) {
	f.tb.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		f.tb.Fatal(err)
	}
	from, to := parse(f.tb, start), parse(f.tb, end)
	row := schemas.SessionRow{
		ID: schemas.SessionID(network, user, device, from.UnixMilli()), Network: network, User: user, Device: device,
		StartMs: from.UnixMilli(), EndMs: to.UnixMilli(), Events: 3, Class: class, Zone: zone, GapMs: schemas.DefaultGapMs,
	}
	f.flush.Sessions = append(f.flush.Sessions, row)
	first := query.DateOf(from.In(loc))
	var slices []schemas.SliceRow
	add := func(date query.Date) *schemas.SliceRow {
		for i := range slices {
			if slices[i].Date == int32(date) {
				return &slices[i]
			}
		}
		slices = append(slices, schemas.SliceRow{
			Session: row.ID, Network: network, User: user, Device: device, Class: class, Zone: zone, Date: int32(date),
			SessionStart: row.StartMs, ContinuesFrom: date != first,
		})
		return &slices[len(slices)-1]
	}
	add(first).Runs = [][2]int64{{from.Unix(), from.Unix()}}
	for s := from.Unix(); s < to.Unix(); s++ {
		slice := add(query.DateOf(time.Unix(s, 0).In(loc)))
		slice.Seconds++
		if n := len(slice.Runs); n > 0 && slice.Runs[n-1][1] == s {
			slice.Runs[n-1][1] = s + 1
		} else {
			slice.Runs = append(slice.Runs, [2]int64{s, s + 1})
		}
	}
	for i := range slices {
		slices[i].ContinuesTo = i < len(slices)-1
	}
	f.flush.Slices = append(f.flush.Slices, slices...)
}

// store writes everything to a fresh database.
func (f *fixture) store() *clickhouse.Store {
	f.tb.Helper()
	s := openStore(f.tb)
	f.writeTo(s)
	return s
}

func openStore(tb testing.TB) *clickhouse.Store {
	tb.Helper()
	s, err := clickhouse.Open(tb.Context(), clickhouse.Options{DSN: enginetest.StartForTest(tb)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	if _, err := s.Migrate(tb.Context(), nil); err != nil {
		tb.Fatal(err)
	}
	return s
}

func (f *fixture) writeTo(s *clickhouse.Store) {
	f.tb.Helper()
	if err := s.Write(f.tb.Context(), &f.flush); err != nil {
		f.tb.Fatal(err)
	}
}

// company is the network most tests look at.
func company(tb testing.TB) *fixture {
	tb.Helper()
	f := newFixture(tb)
	f.network("acme", "Europe/Amsterdam")
	f.network("other", "UTC")
	f.network("dark", "UTC", schemas.Dark{FromMs: 0, ToMs: 1 << 62})
	f.user("acme", "anna", "Anna Nováková", "Europe/Prague")
	f.user("acme", "a/b %2F č?#", "", "")
	f.user("acme", "=cmd", "=1+1", "")
	f.user("other", "olga", "Olga", "")
	f.user("dark", "dora", "Dora", "")
	// Golden vector 11: 3:05 in all, of which 0:30 on two devices at once.
	f.session("acme", "anna", "laptop", schemas.ClassWeb, "Europe/Prague", "2026-03-12T08:00:00+01:00", "2026-03-12T10:00:00+01:00")
	f.session("acme", "anna", "phone", schemas.ClassMobile, "Europe/Prague", "2026-03-12T09:30:00+01:00", "2026-03-12T10:15:00+01:00")
	f.session("acme", "anna", "phone", schemas.ClassMobile, "Europe/Prague", "2026-03-12T21:00:00+01:00", "2026-03-12T21:20:00+01:00")
	// Golden vector 1: over midnight.
	f.session("acme", "anna", "laptop", schemas.ClassWeb, "Europe/Prague", "2026-03-10T23:30:00+01:00", "2026-03-11T01:15:00+01:00")
	// One signal; and one that still runs.
	f.session("acme", "anna", "phone", schemas.ClassMobile, "Europe/Prague", "2026-03-13T07:00:00+01:00", "2026-03-13T07:00:00+01:00")
	f.session("acme", "anna", "laptop", schemas.ClassWeb, "Europe/Prague", "2026-03-14T13:10:00+01:00", "2026-03-14T13:55:00+01:00")
	// Outside the past two weeks: golden vector 4, the day has 25 hours.
	f.session("acme", "anna", "laptop", schemas.ClassWeb, "Europe/Amsterdam", "2025-10-24T23:00:00+02:00", "2025-10-25T05:00:00+02:00")
	f.session("acme", "a/b %2F č?#", "web", schemas.ClassWeb, "Europe/Amsterdam", "2026-03-13T09:00:00+01:00", "2026-03-13T09:10:00+01:00")
	f.session("acme", "=cmd", "web", schemas.ClassWeb, "Europe/Amsterdam", "2026-03-13T09:00:00+01:00", "2026-03-13T09:10:00+01:00")
	f.session("other", "olga", "web", schemas.ClassWeb, "UTC", "2026-03-13T09:00:00Z", "2026-03-13T09:10:00Z")
	f.session("dark", "dora", "web", schemas.ClassWeb, "UTC", "2026-03-13T09:00:00Z", "2026-03-13T09:10:00Z")
	return f
}

// server is an API over a store, served as in production.
type server struct {
	tb  testing.TB
	api *readapi.API
	url string
	key string
}

func serve(tb testing.TB, db query.Exporter, change ...func(*readapi.Config)) *server {
	tb.Helper()
	cfg := readapi.Config{
		DB: db, AdminKeys: []readapi.KeyHash{readapi.HashKey("another"), readapi.HashKey(testKey)},
		Clock: func() time.Time { return now }, TzdataVersion: "2025c",
		Logger: slog.New(slog.NewTextHandler(logWriter{tb}, nil)),
	}
	for _, f := range change {
		f(&cfg)
	}
	api, err := readapi.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	http := httptest.NewUnstartedServer(api)
	http.Config = readapi.NewServer(api)
	http.Start()
	tb.Cleanup(http.Close)
	return &server{tb: tb, api: api, url: http.URL, key: testKey}
}

// reply is an answer that was read whole.
type reply struct {
	status int
	header http.Header
	body   string
}

func (s *server) do(method, path, body string, headers ...string) reply {
	s.tb.Helper()
	request, err := http.NewRequestWithContext(context.Background(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.tb.Fatal(err)
	}
	if s.key != "" {
		request.Header.Set("Authorization", "Bearer "+s.key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			request.Header.Del(headers[i])
		}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		s.tb.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, string(content)}
}

// get reads a JSON answer into v and wants 200.
func (s *server) get(path string, v any) reply {
	s.tb.Helper()
	r := s.do(http.MethodGet, path, "")
	if r.status != http.StatusOK {
		s.tb.Fatalf("GET %s: %d %s", path, r.status, r.body)
	}
	if err := json.Unmarshal([]byte(r.body), v); err != nil {
		s.tb.Fatalf("GET %s: %v in %s", path, err, r.body)
	}
	return r
}

type logWriter struct{ tb testing.TB }

func (w logWriter) Write(p []byte) (int, error) {
	w.tb.Logf("%s", strings.TrimSpace(string(p)))
	return len(p), nil
}

func parse(tb testing.TB, s string) time.Time {
	tb.Helper()
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}
