package schemas

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// typical is an event of 340 bytes, the size that ARCHITECTURE.md section 6
// measures with.
const typical = `{"id":"01J9ZK3V6Q8M4T2X7B5N0C1D2E","source":"web","network":"speakap","user":"u-1048576","time":"2026-05-12T14:20:00.123Z","type":"io.daybook.content.viewed","device":{"id":"d-7","class":"web"},"content":{"id":"c-47","name":"Opening keynote","slug":"opening-keynote"},"context":{"zone":"Europe/Amsterdam","url":"/c"},"props":{"ref":"feed"}}`

// wide is typical with unknown fields, one of them with an escape.
var wide = strings.Replace(typical, `"props"`, `"plan":"gold","escaped":"a\nb","props"`, 1)

// cloudy is a CloudEvent of about the same content.
const cloudy = `{"specversion":"1.0","id":"01J9ZK3V6Q8M4T2X7B5N0C1D2E","source":"/web","type":"io.daybook.content.viewed","subject":"u-1048576","time":"2026-05-12T14:20:00.123Z","tenant":"speakap","device":"d-7","deviceclass":"web","datacontenttype":"application/json","data":{"content":{"id":"c-47","name":"Opening keynote","slug":"opening-keynote"},"ref":"feed"}}`

// required is an event of the required fields only, without its braces.
const required = `"id":"1","network":"n","user":"u","time":"2026-05-12T14:20:00Z"`

// text is an event with its fields as strings, for diffs.
type text map[string]string

func texts(ev *Event) text {
	fields := text{}
	for name, value := range map[string][]byte{
		"id": ev.ID, "source": ev.Source, "network": ev.Network, "user": ev.User, "type": ev.Type, "category": ev.Category,
		"action": ev.Action, "label": ev.Label, "device.id": ev.DeviceID, "content.id": ev.ContentID, "content.name": ev.ContentName,
		"content.slug": ev.ContentSlug, "zone": ev.Zone, "ua": ev.UserAgent, "url": ev.URL, "props": ev.Props, "fact.zone": ev.FactZone,
		"fact.name": ev.FactName,
	} {
		if value != nil {
			fields[name] = string(value)
		}
	}
	fields["time"] = string(AppendTime(nil, ev.TimeMs))
	if ev.ReceivedMs != 0 {
		fields["received"] = string(AppendTime(nil, ev.ReceivedMs))
	}
	if ev.DeviceClass != ClassUnknown {
		fields["class"] = ev.DeviceClass.String()
	}
	return fields
}

func TestDecoder_ReadsEveryFieldOfFlatJSON(t *testing.T) {
	ev := decoded(t, ` {
		"id": "e-1", "source": "s", "network": "net", "user": "us\u00e9r\/\ud83d\ude00", "time": "2026-05-12T16:20:00.1239+02:00",
		"received": "2026-05-12T14:20:01Z", "type": "t.x", "category": "c", "action": "a\n", "label": "",
		"device": {"id": "d", "class": "MoBile"}, "content": {"id": "1", "name": "né", "slug": "s"},
		"context": {"zone": "Europe/Prague", "ua": "UA/1", "url": "https://x/\"y"}, "props": { "a" : [1, {"b":null}] }
	}`+"\r\n\t ")
	want := text{
		"id": "e-1", "source": "s", "network": "net", "user": "usér/😀", "time": "2026-05-12T14:20:00.123Z",
		"received": "2026-05-12T14:20:01.000Z", "type": "t.x", "category": "c", "action": "a\n", "label": "",
		"device.id": "d", "class": "mobile", "content.id": "1", "content.name": "né", "content.slug": "s",
		"zone": "Europe/Prague", "ua": "UA/1", "url": `https://x/"y`, "props": `{ "a" : [1, {"b":null}] }`,
	}
	if d := cmp.Diff(want, texts(&ev)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestDecoder_DefaultsAndAbsentFields(t *testing.T) {
	want := text{"id": "1", "source": "unknown", "network": "n", "user": "u", "time": "2026-05-12T14:20:00.000Z", "type": TypeActivity}
	for _, more := range []string{
		"", `,"source":"","type":""`, `,"source":null,"type":null,"category":null,"action":null,"label":null,"received":null`,
		`,"device":null,"content":null,"context":null,"props":null`, `,"device":{},"content":{},"context":{},"props":{ }`,
		`,"device":{"id":null,"class":null},"content":{"id":null,"name":null,"slug":null},"context":{"zone":null,"ua":null,"url":null}`,
		`,"device":{"id":"","class":""}`, `,"specversion":null`,
	} {
		ev := decoded(t, "{"+required+more+"}")
		wants := want
		if strings.Contains(more, "specversion") {
			wants = text{"props": `{"specversion":null}`}
			maps.Copy(wants, want)
		}
		if d := cmp.Diff(wants, texts(&ev)); d != "" {
			t.Errorf("%s (-want +got):\n%s", more, d)
		}
		if ev.Kind != KindSignal {
			t.Errorf("%s: kind %d", more, ev.Kind)
		}
	}
}

func TestDecoder_KeepsUnknownFieldsInProps(t *testing.T) {
	for _, tt := range []struct{ more, props string }{
		{`"x":1`, `{"x":1}`},
		{`"x" : [1, 2] , "y":{"z":"}"}`, `{"x" : [1, 2],"y":{"z":"}"}}`},
		{`"props":{"a":1},"x":2`, `{"a":1,"x":2}`},
		{`"x":2,"props":{ "a" : 1 }`, `{ "a" : 1 ,"x":2}`},
		{`"x":2,"props":{}`, `{"x":2}`},
		{`"x":2,"props":null`, `{"x":2}`},
		// What the producer put into props wins.
		{`"x":2,"props":{"x":1}`, `{"x":1}`},
		{`"\u0078":2,"y":3,"props":{"x":1}`, `{"x":1,"y":3}`},
		{`"x":2,"y":3,"props":{"\u0078":1}`, `{"\u0078":1,"y":3}`},
		// Names are case-sensitive.
		{`"User":"x","ID":1,"Props":{"a":1}`, `{"User":"x","ID":1,"Props":{"a":1}}`},
		// Unknown fields of known objects keep the object's name.
		{`"device":{"os":"ios"},"context":{"ip":"::1","zone":"UTC"},"content":{"kind":3}`, `{"device.os":"ios","context.ip":"::1","content.kind":3}`},
		{`"device":{"os":"ios"},"device.os":"android"`, `{"device.os":"ios"}`},
		{`"device.os":"android","device":{"os":"ios"}`, `{"device.os":"android"}`},
		{`"device":{"os":"ios"},"props":{"device.os":1}`, `{"device.os":1}`},
		{`"devic":{"e.os":1},"device":{"os":"ios"}`, `{"devic":{"e.os":1},"device.os":"ios"}`},
		{`"":1`, `{"":1}`},
		// A class that is neither mobile nor web is told by the user agent, and kept.
		{`"device":{"class":"iOS"}`, `{"device.class":"iOS"}`},
		{`"device":{"class":"Web "}`, `{"device.class":"Web "}`},
	} {
		ev := decoded(t, "{"+required+","+tt.more+"}")
		if string(ev.Props) != tt.props {
			t.Errorf("%s: props %s, want %s", tt.more, ev.Props, tt.props)
		}
		again := decoded(t, string(AppendEvent(nil, &ev)))
		if d := cmp.Diff(texts(&ev), texts(&again)); d != "" {
			t.Errorf("%s: round trip (-first +again):\n%s", tt.more, d)
		}
	}
}

func TestDecoder_ReadsCloudEvents(t *testing.T) {
	base := `"specversion":"1.0","id":"e1","source":"/web","subject":"u1","type":"com.example.page","time":"2024-03-10T09:59:59.999Z"`
	want := func(more text) text {
		all := text{"id": "e1", "source": "/web", "network": "net", "user": "u1", "type": "com.example.page", "time": "2024-03-10T09:59:59.999Z"}
		maps.Copy(all, more)
		return all
	}
	for _, tt := range []struct {
		more string
		want text
	}{
		{`"tenant":"net"`, nil},
		{`"network":"net"`, nil},
		{`"network":"net","tenant":"net"`, nil},
		{`"tenant":"net","datacontenttype":"application/json","dataschema":"https://x/1","data":{"a":1}`, text{"props": `{"a":1}`}},
		{`"tenant":"net","data":null,"data_base64":null`, nil},
		{
			`"tenant":"net","device":"d1","deviceclass":"WEB","data":{"category":"c","action":"a","label":"l","received":"2024-03-10T10:00:00Z",` +
				`"content":{"id":"1","name":"n","slug":"s"},"context":{"zone":"UTC","ua":"x","url":"y"},"props":{"p":1}}`,
			text{
				"device.id": "d1", "class": "web", "category": "c", "action": "a", "label": "l", "received": "2024-03-10T10:00:00.000Z",
				"content.id": "1", "content.name": "n", "content.slug": "s", "zone": "UTC", "ua": "x", "url": "y", "props": `{"p":1}`,
			},
		},
		{`"tenant":"net","data":{"device":{"id":"d2","class":"mobile"}}`, text{"device.id": "d2", "class": "mobile"}},
		// The extensions win, wherever they stand.
		{`"tenant":"net","device":"d1","data":{"device":{"id":"d2","class":"mobile"}},"deviceclass":"web"`, text{"device.id": "d1", "class": "web"}},
		// Props first, then data, then extensions; the envelope's names are no fields of data.
		{`"tenant":"net","x":1,"y":2,"data":{"x":3,"z":4,"props":{"z":5}}`, text{"props": `{"z":5,"x":3,"y":2}`}},
		{`"tenant":"net","user":"x","data":{"user":"y","id":7}`, text{"props": `{"user":"y","id":7}`}},
	} {
		ev := decoded(t, "{"+base+","+tt.more+"}")
		if d := cmp.Diff(want(tt.want), texts(&ev)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.more, d)
		}
	}
	// The order of the attributes does not matter; specversion may come last.
	ev := decoded(t, `{"data":{"device":{"id":"d"}},"subject":"u","tenant":"n","id":"1","time":"2024-03-10T09:59:59Z","specversion":"1.0"}`)
	if string(ev.User) != "u" || string(ev.DeviceID) != "d" || ev.Props != nil {
		t.Errorf("got %v", texts(&ev))
	}
}

func TestDecoder_ReadsFactsOfTheDirectory(t *testing.T) {
	for _, tt := range []struct{ more, zone, name string }{
		{`"props":{"tz":"Europe/Prague","name":"Jiří"}`, "Europe/Prague", "Jiří"},
		{`"props":{"zone":"UTC"}`, "UTC", ""},
		{`"props":{"zone":"UTC","tz":"Asia/Tokyo"}`, "Asia/Tokyo", ""},
		{`"props":{"zone":"UTC","tz":""}`, "UTC", ""},
		{`"tz":"Asia/Tokyo","name":"N"`, "Asia/Tokyo", "N"},
		{`"tz":"Asia/Tokyo","props":{"tz":"Europe/Atlantis"}`, "Europe/Atlantis", ""},
		{`"props":{"team":"a"}`, "", ""},
		{`"props":{"a":{"tz":"UTC"}}`, "", ""},
	} {
		ev := decoded(t, "{"+required+`,"type":"io.daybook.directory.user_upserted",`+tt.more+"}")
		if ev.Kind != KindUserFact || string(ev.FactZone) != tt.zone || string(ev.FactName) != tt.name || (tt.zone == "") != (ev.FactZone == nil) {
			t.Errorf("%s: kind %d, zone %q, name %q", tt.more, ev.Kind, ev.FactZone, ev.FactName)
		}
	}
	ev := decoded(t, "{"+required+`,"props":{"tz":"UTC"}}`)
	if ev.FactZone != nil {
		t.Error("an activity is taken for a fact")
	}
}

func TestKindOf_TellsSignalsFromTheRest(t *testing.T) {
	for eventType, want := range map[string]Kind{
		TypeActivity: KindSignal, TypeHeartbeat: KindSignal, "io.daybook.presence.logged_in": KindSignal, "": KindSignal,
		"io.daybook.presence.foregrounded": KindSignal, "io.daybook.content.content.viewed": KindSignal, "com.example.page": KindSignal,
		"logged_out": KindSignal, "io.daybook.agent": KindSignal, "io.daybook.agents.x": KindSignal, "io.daybook.presence.logged_out.x": KindSignal,
		TypeLoggedOut: KindLoggedOut, TypeBackgrounded: KindBackgrounded, TypeUserUpserted: KindUserFact,
		"io.daybook.agent.logged_out": KindOther, "io.daybook.interaction.closed": KindOther, "io.daybook.ticket.edited": KindOther,
		"io.daybook.directory.user_deactivated": KindOther, "io.daybook.control.recording_enabled": KindOther,
	} {
		if got := KindOf([]byte(eventType)); got != want {
			t.Errorf("KindOf(%q) = %d, want %d", eventType, got, want)
		}
	}
}

func TestDecoder_EventsOfABatchLiveTogether(t *testing.T) {
	var d Decoder
	for range 3 { // the second and third batch reuse the arena
		events := make([]Event, 100)
		for i := range events {
			raw := `{` + required + `,"label":"\u0041` + strings.Repeat("x", i) + `","n":` + strings.Repeat("1", i+1) + `}`
			if r := d.Decode([]byte(raw), &events[i]); r.Reason != Accepted {
				t.Fatal(r)
			}
		}
		for i := range events {
			if want := "A" + strings.Repeat("x", i); string(events[i].Label) != want {
				t.Fatalf("event %d: label %q", i, events[i].Label)
			}
			if want := `{"n":` + strings.Repeat("1", i+1) + `}`; string(events[i].Props) != want {
				t.Fatalf("event %d: props %q", i, events[i].Props)
			}
		}
		d.Reset()
	}
}

func TestDecoder_DoesNotAllocate(t *testing.T) {
	var d Decoder
	var ev Event
	for _, raw := range []string{
		typical,
		"{" + required + `,"label":"a\u0041\n","x":{"y":[1,2,{"z":null}]},"props":{"p":true},"device":{"os":"x"}}`,
		`{"specversion":"1.0","id":"1","tenant":"n","subject":"u","time":"2024-03-10T09:59:59Z","x":1,"data":{"y":2,"label":"ü"}}`,
		"{" + required + `,"user":7}`, `{`, "\xff",
	} {
		record := []byte(raw)
		d.Decode(record, &ev)
		d.Reset()
		if n := testing.AllocsPerRun(100, func() { d.Decode(record, &ev); d.Reset() }); n != 0 {
			t.Errorf("%s: %v allocations", raw, n)
		}
	}
}

func TestAppendEvent_ReplacesWhatCannotTravel(t *testing.T) {
	ev := Event{ID: []byte("1"), Network: []byte("n"), User: []byte("a\xff\xfeb\x00c\x1f\"\\/\u2028é\xed\xa0\x80"), Label: []byte{}}
	again := decoded(t, string(AppendEvent(nil, &ev)))
	if want := "a\uFFFD\uFFFDb\uFFFDc\x1f\"\\/\u2028é\uFFFD\uFFFD\uFFFD"; string(again.User) != want {
		t.Errorf("user %q, want %q", again.User, want)
	}
	if again.Label == nil || again.Category != nil {
		t.Error("blank and absent are confused")
	}
	if !bytes.Contains(AppendEvent(nil, &again), []byte(`"time":"1970-01-01T00:00:00.000Z"`)) {
		t.Error("no time")
	}
}

// benchRecords gives n events of about 340 bytes with other values each, and of
// so many shapes.
func benchRecords(n, shapes int) (records [][]byte) {
	r := rand.New(rand.NewSource(1))
	for i := range n {
		user, shape := r.Intn(1_000_000), i%shapes
		raw := fmt.Appendf(nil, `{"id":"%016x-%04x","source":"web","network":"speakap","user":"u-%d","time":"%s","type":"io.daybook.content.viewed","device":{"id":"d-%d","class":"web"}`,
			r.Int63(), i%65536, user, AppendTime(nil, 1_778_595_600_123+int64(i)), user)
		if shape%2 == 0 {
			raw = fmt.Appendf(raw, `,"content":{"id":"c-%d","name":"%s"}`, r.Intn(5000), strings.Repeat("Opening ", 1+r.Intn(4)))
		}
		if shape%3 != 1 {
			raw = append(raw, `,"context":{"zone":"Europe/Amsterdam","url":"/c"}`...)
		}
		records = append(records, fmt.Appendf(raw, `,"props":{"n%d":%d,"ref":"feed"}}`, shape/6, i))
	}
	return records
}

func BenchmarkDecoder_Decode(b *testing.B) {
	for _, bb := range []struct {
		name    string
		records [][]byte
	}{
		{"340 bytes", [][]byte{[]byte(typical)}},
		{"other values", benchRecords(1000, 1)},
		{"20 shapes", benchRecords(1000, 20)},
		{"ever new shapes", benchRecords(10_000, 60_000)},
		{"unknown fields", [][]byte{[]byte(wide)}},
		{"CloudEvent", [][]byte{[]byte(cloudy)}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			benchDecode(b, bb.records, (*Decoder).Decode)
		})
	}
	b.Run("definition", func(b *testing.B) { benchDecode(b, [][]byte{[]byte(typical)}, (*Decoder).whole) })
}

func benchDecode(b *testing.B, records [][]byte, decode func(*Decoder, []byte, *Event) Reject) {
	b.Helper()
	var d Decoder
	var ev Event
	size := 0
	for _, raw := range records {
		size += len(raw)
	}
	b.SetBytes(int64(size / len(records)))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if r := decode(&d, records[i], &ev); r.Reason != Accepted {
			b.Fatal(r)
		}
		d.Reset()
		if i++; i == len(records) {
			i = 0
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// The worst that 1,000 names can do to the search for repeated ones.
func BenchmarkDecoder_ManyNames(b *testing.B) {
	var d Decoder
	var ev Event
	raw := []byte("{" + required)
	for i := range 990 {
		raw = append(raw, `,"`...)
		raw = append2(append2(raw, i/100), i%100)
		raw = append(raw, `":1`...)
	}
	raw = append(raw, '}')
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if r := d.Decode(raw, &ev); r.Reason != Accepted {
			b.Fatal(r)
		}
		d.Reset()
	}
}

func BenchmarkStages(b *testing.B) {
	var d Decoder
	var ev Event
	if r := d.Decode([]byte(typical), &ev); r.Reason != Accepted {
		b.Fatal(r)
	}
	dst := AppendEvent(nil, &ev)
	b.Run("AppendEvent", func(b *testing.B) {
		for b.Loop() {
			dst = AppendEvent(dst[:0], &ev)
		}
	})
	b.Run("FillLabels", func(b *testing.B) {
		for b.Loop() {
			ev.Category, ev.Action, ev.Label = nil, nil, nil
			FillLabels(&ev)
		}
	})
	b.Run("ContentHash", func(b *testing.B) {
		for b.Loop() {
			ContentHash(&ev)
		}
	})
	b.Run("EventIdentity", func(b *testing.B) {
		for b.Loop() {
			EventIdentity(&ev)
		}
	})
	b.Run("Partition", func(b *testing.B) {
		key := AppendKey(nil, ev.Network, ev.User)
		for b.Loop() {
			Partition(key, 12)
		}
	})
}
