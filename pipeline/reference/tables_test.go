package reference_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"daybook/pipeline"
	"daybook/pipeline/enrich"
	"daybook/pipeline/reference"
	"daybook/pipeline/source"
	"daybook/schemas"
	"daybook/schemas/zones"
)

var key = []byte("a key of the installation")

// logOf makes a log of one network: a text is an event's JSON without its
// frame, a Control a control record.
func logOf(t *testing.T, items ...any) []reference.Record {
	t.Helper()
	var log []reference.Record
	for i, x := range items {
		r := reference.Record{Offset: int64(i), TimestampMs: time.Date(2026, 3, 30, 12, 0, 0, 0, time.UTC).UnixMilli()}
		switch x := x.(type) {
		case schemas.Control:
			value, err := schemas.EncodeControl(x)
			if err != nil {
				t.Fatal(err)
			}
			r.Value = value
			r.Headers = []source.Header{{Key: []byte(schemas.HeaderControl), Value: schemas.SignControl(key, value)}}
		case string:
			r.Key, r.Value = []byte("acme/u"), fmt.Appendf(nil, `{"network":"acme","user":"u","device":{"id":"d","class":"web"},%s}`, x)
		case reference.Record:
			r.Skip = x.Skip
		}
		log = append(log, r)
	}
	return log
}

func at(id, clock string) string { return fmt.Sprintf(`"id":%q,"time":"2026-03-%sZ"`, id, clock) }

func tables(log []reference.Record) *reference.Result {
	return reference.Tables(log, pipeline.Reference(pipeline.Config{Partitions: 1, ControlKey: key}, 0))
}

// The reference is worth something as long as it can be read at once.
func TestTables_StaysShort(t *testing.T) {
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, "tables.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "Tables" {
			if n := files.Position(fn.End()).Line - files.Position(fn.Pos()).Line + 1; n > 60 {
				t.Errorf("Tables has %d lines, at most 60 were promised", n)
			}
			return
		}
	}
	t.Error("there is no function Tables")
}

// One of everything, worked out by hand.
func TestTables_ByHand(t *testing.T) {
	acme := schemas.Control{Network: "acme", Position: 1, GapMs: schemas.DefaultGapMs, Zone: "Europe/Berlin"}
	dark := acme
	dark.Position, dark.Dark = 2, []schemas.Dark{{FromMs: time.Date(2026, 3, 29, 9, 0, 0, 0, time.UTC).UnixMilli(), ToMs: time.Date(2026, 3, 29, 10, 0, 0, 0, time.UTC).UnixMilli()}}
	got := tables(logOf(t,
		at("early", "28T08:00:00"), // 0: the network is not known yet
		acme,                       // 1
		at("a", "28T22:50:00"),     // 2: 23:50 in Berlin
		at("b", "28T23:10:00.500"), // 3: past midnight there
		at("a", "28T22:50:00"),     // 4: repeat
		at("a", "28T22:55:00")+`,"label":"other"`, // 5: conflict
		at("a", "29T22:50:00"),                    // 6: a day apart: another event
		at("u", "29T06:00:00")+`,"type":"io.daybook.directory.user_upserted","props":{"tz":"Asia/Tokyo","name":"Ann"}`, // 7
		acme,                   // 8: not newer
		dark,                   // 9
		at("c", "29T09:30:00"), // 10: not recorded
		at("d", "29T22:40:00"), // 11: in Tokyo, period 1, neighbour of 6
		reference.Record{Skip: source.SkipAborted}, // 12
		`"id":"e"`, // 13: no time
		at("f", "29T22:55:00")+`,"type":"io.daybook.presence.logged_out"`, // 14
	))
	ms := func(clock string) int64 {
		x, err := time.Parse(time.RFC3339, "2026-03-"+clock+"Z")
		if err != nil {
			t.Fatal(err)
		}
		return x.UnixMilli()
	}
	base := reference.Session{Network: "acme", User: "u", Device: "d", Class: schemas.ClassWeb, GapMs: schemas.DefaultGapMs}
	first, second, third, fourth := base, base, base, base
	first.StartMs, first.EndMs, first.Events, first.Zone = ms("28T22:50:00"), ms("28T23:10:00.500"), 2, "Europe/Berlin"
	second.StartMs, second.EndMs, second.Events, second.Zone, second.End = ms("29T22:40:00"), ms("29T22:40:00"), 1, "Asia/Tokyo", schemas.EndRecording
	// 11 and 14 know of the dark hour before them, 6 came too early to.
	third.StartMs, third.EndMs, third.Events, third.Zone, third.End = ms("29T22:50:00"), ms("29T22:50:00"), 1, "Europe/Berlin", schemas.EndRecording
	fourth.StartMs, fourth.EndMs, fourth.Events, fourth.Zone, fourth.End = ms("29T22:55:00"), ms("29T22:55:00"), 1, "Asia/Tokyo", schemas.EndLoggedOut
	if want := []reference.Session{first, second, third, fourth}; !reflect.DeepEqual(got.Sessions, want) {
		t.Errorf("sessions: got\n%+v, want\n%+v", got.Sessions, want)
	}
	l := got.Ledger[0]
	if l.Next != 15 || l.Accepted != 6 || l.Duplicate != 2 || l.Conflicts != 1 || l.NotRecorded["recording_disabled"] != 1 ||
		l.Rejected["unknown_network"] != 1 || l.Rejected["no_time"] != 1 || l.Skipped["control"] != 3 || l.Skipped["aborted"] != 1 {
		t.Errorf("ledger: %+v", l)
	}
	night := []reference.Day{
		{Date: 20540, Runs: [][2]int64{{ms("28T22:50:00") / 1000, ms("28T23:00:00") / 1000}}, Seconds: 600},
		{Date: 20541, Runs: [][2]int64{{ms("28T23:00:00") / 1000, ms("28T23:10:00") / 1000}}, Seconds: 600},
	}
	if got := []reference.Day{got.Slices[0].Day, got.Slices[1].Day}; !reflect.DeepEqual(got, night) {
		t.Errorf("slices of the first session: %+v, want %+v", got, night)
	}
	if len(got.Settings) != 2 || len(got.Rejects) != 2 || got.Progress["acme"] != ms("29T22:55:00")-60_000 {
		t.Errorf("settings %+v, rejects %+v, progress %v", got.Settings, got.Rejects, got.Progress)
	}
	if want := []reference.User{{Network: "acme", User: "u", Zone: "Asia/Tokyo", Name: "Ann"}}; !reflect.DeepEqual(got.Users, want) {
		t.Errorf("users: %+v", got.Users)
	}
}

// A record that was set aside is not decoded: what panicked on it may panic here,
// too, whatever headers a producer gave it.
func TestTables_DoesNotTouchWhatWasSetAside(t *testing.T) {
	log := []reference.Record{
		{Offset: 0, Value: []byte("venom"), Headers: []source.Header{{Key: []byte("traceparent"), Value: []byte("00")}}},
		{Offset: 1, Headers: []source.Header{{Key: []byte(schemas.HeaderControl)}}},
	}
	r := pipeline.Reference(pipeline.Config{Partitions: 1}, 0)
	r.Decode = func(in *reference.Record) reference.Decoded {
		if in.Offset == 0 {
			panic("venom")
		}
		return reference.Decoded{SetAside: &schemas.SetAside{Offset: 0}}
	}
	if got := reference.Tables(log, r); len(got.Rejects) != 1 || got.Rejects[0].Reason != schemas.HandlerPanic.String() {
		t.Errorf("rejects %+v, want the one that was set aside", got.Rejects)
	}
}

// Split is its own code; the days must be those of package enrich, where clocks
// change and at midnight.
func TestDays_AgreeWithEnrich(t *testing.T) {
	split, own := reference.Days(), enrich.NewZones()
	for _, zone := range []string{"UTC", "Europe/Berlin", "America/Santiago", "America/St_Johns", "Pacific/Apia", "Africa/Cairo", "Australia/Lord_Howe"} {
		loc, err := zones.Load(zone)
		if err != nil {
			t.Fatal(err)
		}
		for at := int64(1_262_304_000); at < 1_356_998_400; at += 40_009 { // 2010 to 2012
			var want []reference.Day
			for _, s := range own.Split(nil, loc, at, at+30_011) {
				want = append(want, reference.Day(s))
			}
			if got := split(zone, at*1000, (at+30_011)*1000+999); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s from %d: got %+v, want %+v", zone, at, got, want)
			}
		}
	}
}

// The cases of other engines, with what the specification's rules give
// (testdata/README.md of package pipeline).
func TestTables_CasesOfOtherEngines(t *testing.T) {
	raw, err := os.ReadFile("../testdata/session_cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		ID     string
		GapMs  int32 `json:"gap_ms"`
		Events []struct {
			Key *string
			TS  int64
		}
		Daybook []struct {
			Key        string
			Start, End int64
			Count      uint32
		}
	}
	if err := json.Unmarshal(raw, &cases); err != nil || len(cases) != 44 {
		t.Fatalf("read %d cases, want 44: %v", len(cases), err)
	}
	for _, c := range cases {
		log := make([]reference.Record, 1+len(c.Events)) // the first one makes the network
		for i := range log {
			log[i].Offset = int64(i)
		}
		r := pipeline.Reference(pipeline.Config{Partitions: 1}, 0)
		r.Decode = func(in *reference.Record) reference.Decoded {
			if in.Offset == 0 {
				return reference.Decoded{Control: &schemas.Control{Network: "case", GapMs: c.GapMs}}
			}
			e := c.Events[in.Offset-1]
			if e.Key == nil {
				return reference.Decoded{Reject: reference.Reject{Reason: "no_user"}}
			}
			return reference.Decoded{Event: reference.Event{Network: "case", User: *e.Key, ID: strconv.FormatInt(in.Offset, 10), TimeMs: e.TS}}
		}
		var got, want []string
		for _, s := range reference.Tables(log, r).Sessions {
			got = append(got, fmt.Sprint(s.User, s.StartMs, s.EndMs, s.Events))
		}
		for _, s := range c.Daybook {
			want = append(want, fmt.Sprint(s.Key, s.Start, s.End, s.Count))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", c.ID, got, want)
		}
	}
}

// BenchmarkTables is there because verify --deep runs it over whole logs.
func BenchmarkTables(b *testing.B) {
	value, err := schemas.EncodeControl(schemas.Control{Network: "acme", GapMs: schemas.DefaultGapMs})
	if err != nil {
		b.Fatal(err)
	}
	log := []reference.Record{{Value: value, Headers: []source.Header{{Key: []byte(schemas.HeaderControl), Value: schemas.SignControl(key, value)}}}}
	for i := range 200_000 {
		when := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * 200 * time.Millisecond)
		log = append(log, reference.Record{
			Offset: int64(len(log)), TimestampMs: when.UnixMilli(), Key: fmt.Appendf(nil, "acme/u%d", i%5000),
			Value: fmt.Appendf(nil, `{"id":"%d","network":"acme","user":"u%d","time":%q}`, i, i%5000, when.Format(time.RFC3339Nano)),
		})
	}
	for b.Loop() {
		tables(log)
	}
	b.ReportMetric(float64(b.N*len(log))/b.Elapsed().Seconds(), "records/s")
}
