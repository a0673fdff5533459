package schemas

import (
	"bytes"
	"fmt"
	"math/rand"
	"reflect"
	"strings"
	"testing"
)

// twins decode the same records: one learns, the other gives the definition.
type twins struct{ learns, whole Decoder }

// decode compares what the two make of raw, and says whether a shape fitted.
func (w *twins) decode(t *testing.T, raw []byte) (shaped bool) {
	t.Helper()
	var want Event
	wantVerdict := w.whole.whole(raw, &want)
	// What was in the event before must not show.
	got := Event{ID: []byte("left"), Props: []byte("{}"), Filled: FilledLabel, FactName: []byte("left"), FactZone: []byte("left"), ReceivedMs: 1, TimeMs: 1, DeviceClass: ClassWeb}
	if shaped = w.learns.byShape(raw, &got); shaped {
		if wantVerdict.Reason != Accepted {
			t.Fatalf("%q: a shape takes it, the verdict is %+v", raw, wantVerdict)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: by shape %q\nwant %q", raw, texts(&got), texts(&want))
		}
	}
	w.learns.shapes.wait = 0 // look at every record
	if verdict := w.learns.Decode(raw, &got); verdict != wantVerdict {
		t.Fatalf("%q: verdict %+v, want %+v", raw, verdict, wantVerdict)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%q: decoded %q\nwant %q", raw, texts(&got), texts(&want))
	}
	w.learns.Reset()
	w.whole.Reset()
	return shaped
}

// recordMaker makes records of one shape: what it draws for names and white
// space is of the shape, what it draws for values of the record.
type recordMaker struct {
	shape, value *rand.Rand
	odd          bool // values that are faults, too
	b            []byte
}

// long is a text that is too long for every field that has a limit.
var long = strings.Repeat("é", 129)

func pick[T any](r *rand.Rand, all ...T) T { return all[r.Intn(len(all))] }

func (m *recordMaker) space() {
	if m.shape.Intn(8) == 0 {
		m.b = append(m.b, pick(m.shape, " ", "\n", "\t", "\r\n", "  ")...)
	}
}

// text adds a string value, or null.
func (m *recordMaker) text(usual string) {
	v := m.value
	switch v.Intn(24) {
	case 0:
		m.b = append(m.b, "null"...)
		return
	case 1:
		usual = ""
	case 2:
		usual = pick(v, "né", "😀", "é", strings.Repeat("ü", 40), "\u2028")
	case 3:
		usual = pick(v, `a\nb`, `\"`, `\\`, `\u00e9`, `x\ud83d\ude00y`, `\/`, `Mob\u0069le`)
	case 4:
		usual = strings.Repeat("x", v.Intn(40))
	case 5:
		if m.odd {
			usual = pick(v, "\xff", "\xc3", "\x00", "a\tb", `\u0000`, `\ud83d`, `\x`, strings.Repeat("y", 257), `\u00`, "\x7f")
		}
	case 6:
		if m.odd {
			m.b = append(m.b, pick(v, "1", "true", "[]", "{}", "nul", `"a`, "", "-", `{"a":1}`)...)
			return
		}
	}
	m.b = append(append(append(m.b, '"'), usual...), '"')
}

// needed adds a string value without which there is no event, but for faults.
func (m *recordMaker) needed(good []string, bad ...string) {
	switch {
	case !m.odd || m.value.Intn(10) > 0:
		m.b = fmt.Appendf(m.b, `"%s"`, pick(m.value, good...))
	case m.value.Intn(2) > 0:
		m.b = fmt.Appendf(m.b, `"%s"`, pick(m.value, bad...))
	default:
		m.text(good[0])
	}
}

// any adds a value of any kind.
func (m *recordMaker) any(deep int) {
	v := m.value
	switch k := v.Intn(9); {
	case k < 3:
		m.text("v")
	case k == 3:
		m.b = append(m.b, pick(v, "0", "-1", "12.5", "1e9", "2E-7", "-0.0")...)
	case k == 4:
		m.b = append(m.b, pick(v, "true", "false", "null")...)
	case k == 5 && m.odd:
		m.b = append(m.b, pick(v, "01", "+1", ".5", "1.", "1e", "-", "tru", "nulll", "[", "]", "{", `{"a":1,"a":2}`, `[1,]`, `{"a":1,}`, `"`, nested("[", "]", 31), nested("[", "]", 28))...)
	case k == 6 && deep > 0:
		m.b = append(m.b, '[')
		for i := range v.Intn(3) {
			if i > 0 {
				m.b = append(m.b, ',')
			}
			m.any(deep - 1)
		}
		m.b = append(m.b, ']')
	case k == 7 && deep > 0:
		m.b = append(m.b, '{')
		for i := range v.Intn(3) {
			if i > 0 {
				m.b = append(m.b, ',')
			}
			m.b = fmt.Appendf(m.b, `"%s":`, pick(v, "a", "b", "c", "device.class"))
			m.any(deep - 1)
		}
		m.b = append(m.b, '}')
	default:
		m.b = fmt.Appendf(m.b, "%d", v.Intn(100_000))
	}
}

// object adds an object of the names, in any order, some twice.
func (m *recordMaker) object(names []string, member func(name string)) {
	m.b = append(m.b, '{')
	m.space()
	order := m.shape.Perm(len(names))
	if m.shape.Intn(40) == 0 && len(order) > 0 {
		order = append(order, order[0])
	}
	for i, at := range order {
		if i > 0 {
			m.b = append(m.b, ',')
			m.space()
		}
		m.b = append(append(append(m.b, '"'), names[at]...), '"')
		m.space()
		m.b = append(m.b, ':')
		m.space()
		name := names[at]
		if name == `\u0069d` {
			name = "id"
		}
		member(name)
		m.space()
	}
	m.b = append(m.b, '}')
}

// some gives a few of all.
func (m *recordMaker) some(in int, all ...string) (names []string) {
	for _, name := range all {
		if m.shape.Intn(in) == 0 {
			names = append(names, name)
		}
	}
	return names
}

// group adds one of device, content, context and props.
func (m *recordMaker) group(name string) {
	if m.shape.Intn(12) == 0 {
		m.b = append(m.b, pick(m.shape, "null", "{}", "{ }")...)
		return
	}
	known := map[string][]string{"device": {"id", "class"}, "content": {"id", "name", "slug"}, "context": {"zone", "ua", "url"}}[name]
	names := m.some(2, known...)
	if name == "props" {
		names = m.some(3, "x", "y", "n", "tz", "device.class", "device.os", "deviceclass", `\u0078`)
	} else {
		names = append(names, m.some(9, "os", "x", "class", "Id")...)
	}
	m.object(names, func(member string) {
		switch {
		case name == "device" && member == "class":
			m.text(pick(m.value, "web", "mobile", "Mobile", "WEB", "ios", "desktop"))
		case bytes.Contains([]byte(strings.Join(known, " ")), []byte(member)) && name != "props":
			m.text("v-" + member)
		default:
			m.any(2)
		}
	})
}

// member adds the value of a member of a flat event, a CloudEvent or its data.
func (m *recordMaker) member(name string, cloud bool) {
	v := m.value
	switch name {
	case "source", "category", "action", "label", "dataschema", "datacontenttype":
		m.text(name)
	case "id":
		m.needed([]string{"e-1", "01J9ZK3V6Q8M4T2X7B5N0C1D2E", `\u00e9`, "é"}, "", long)
	case "network", "tenant":
		m.needed([]string{"net", "net", "net", "net", "a.b-c"}, "Net", ".net", "", strings.Repeat("n", 65), "other")
	case "user", "subject":
		m.needed([]string{"u-1", "ann/b", "user-104857", "ž"}, "", long)
	case "time", "received":
		m.needed([]string{"2026-05-12T14:20:00Z", "2026-05-12T14:20:00.123Z", "2026-05-12T16:20:00.123456+02:00", "2016-12-31T23:59:60Z", "2024-02-29t00:00:00.1z"}, "2026-02-29T00:00:00Z", "x", "")
	case "type":
		m.text(pick(v, "io.daybook.content.content.viewed", "io.daybook.presence.logged_out", "io.daybook.directory.user_upserted", "com.example.x"))
	case "specversion":
		m.needed([]string{"1.0"}, "1.1", "")
	case "deviceclass":
		m.text(pick(v, "web", "mobile", "ios"))
	case "device":
		if cloud {
			m.text("d-9")
			return
		}
		m.group(name)
	case "content", "context", "props":
		m.group(name)
	case "data":
		if !cloud {
			m.any(2)
			return
		}
		if m.shape.Intn(10) == 0 {
			m.b = append(m.b, pick(m.shape, "null", "{}")...)
			return
		}
		names := m.some(2, "received", "category", "action", "label", "device", "content", "context", "props")
		m.object(append(names, m.some(7, "x", "y", "user", "deviceclass", "id")...), func(name string) { m.member(name, false) })
	case "data_base64":
		m.b = append(m.b, pick(m.shape, "null", `""`)...)
	default:
		m.any(3)
	}
}

// record makes one.
func (m *recordMaker) record() []byte {
	m.b = m.b[:0]
	m.space()
	var names []string
	cloud := m.shape.Intn(3) == 0
	if cloud {
		names = append(m.some(2, "source", "type", "device", "deviceclass", "datacontenttype", "data"), "specversion", "id", "subject", "time", pick(m.shape, "tenant", "network"))
		names = append(names, m.some(12, "network2", "x", "user", "device.class", "dataschema", "data_base64", "props")...)
	} else {
		names = append(m.some(2, "source", "type", "category", "action", "label", "device", "content", "context", "props", "received"), pick(m.shape, "id", "id", `\u0069d`), "network", "user", "time")
		names = append(names, m.some(12, "x", "y", "", "Id", "tenant", "device.class", "device.os", "deviceclass", "data", `\u0078`)...)
		names = append(names, m.some(60, "specversion")...)
	}
	m.object(names, func(name string) { m.member(name, cloud) })
	m.space()
	return m.b
}

// Records of random shapes, each with several values, and faults: what a decoder
// makes of them that has learnt is what one makes that has not.
func TestShapes_DecodeAsTheDefinition(t *testing.T) {
	const shapes = 3000
	w := new(twins)
	taken := 0
	for seed := range int64(shapes) {
		if seed%300 == 0 {
			w = new(twins) // the tree would be full after a while
		}
		for n := range int64(8) {
			m := recordMaker{shape: rand.New(rand.NewSource(seed)), value: rand.New(rand.NewSource(seed*8 + n)), odd: n >= 5}
			if w.decode(t, m.record()) {
				taken++
			}
		}
	}
	if taken < 2*shapes {
		t.Errorf("shapes took %d of %d records: the test shows little", taken, 8*shapes)
	}
}

// Every record that differs from a learnt one in a byte, or ends early, gets the
// verdict that it gets from a decoder that has not learnt it.
func TestShapes_OneByteDiffers(t *testing.T) {
	for _, raw := range []string{
		typical, wide, cloudy,
		"{" + required + `,"props":{"a":"né","b":[1,{"c":2}],"d":1e5,"e":true},"x":{"y":1},"device":{"class":"ios","os":null}}` + "\n",
		`{"specversion":"1.0","id":"1","tenant":"n","network":"n","subject":"u","time":"2024-03-10T09:59:59Z","x":1,"deviceclass":"web","data":{"y":2,"label":"ü","device":{"id":"d","os":1},"props":{"z":3}}}`,
	} {
		var w twins
		for range 2 {
			w.decode(t, []byte(raw))
		}
		for i := range raw {
			w.decode(t, []byte(raw[:i]))
			w.decode(t, []byte(raw[:i]+raw[i+1:]))
			for _, c := range []byte("\x00 \t\n\"\\{}[],:019aenI-.\x7f\x80\xc3\xff") {
				w.decode(t, []byte(raw[:i]+string([]byte{c})+raw[i+1:]))
				w.decode(t, []byte(raw[:i]+string([]byte{c})+raw[i:]))
			}
		}
		if !w.decode(t, []byte(raw)) {
			t.Fatalf("%s: not learnt, or forgotten", raw)
		}
	}
}

// Records that have the literals of another one, and mean something else.
func TestShapes_WhatALearntShapeMustNotTake(t *testing.T) {
	flat := func(more string) string { return "{" + required + more + "}" }
	cloud := func(more string) string {
		return `{"specversion":"1.0","id":"1","tenant":"n","subject":"u","time":"2026-05-12T14:20:00Z"` + more + "}"
	}
	many := func(n int) string { return `{"a":0` + names(n) + "}" }
	spaces := strings.Repeat(" ", 1<<16)
	for _, tt := range []struct{ taught, raw string }{
		{flat(`,"specversion":null`), flat(`,"specversion":"1.0"`)},
		{flat(`,"specversion":null`), flat(`,"specversion":1`)},
		{cloud(""), strings.Replace(cloud(""), `"1.0"`, "null", 1)},
		{cloud(`,"data":{"device":{"class":"web"}},"deviceclass":"mobile"`), cloud(`,"data":{"device":{"class":"web"}},"deviceclass":""`)},
		{cloud(`,"data":{"device":{"class":"web"}},"deviceclass":"mobile"`), cloud(`,"data":{"device":{"class":"tv"}},"deviceclass":"ios"`)},
		{flat(`,"x":{"a":1}`), flat(`,"x":` + many(994))},
		{flat(`,"x":{"a":1}`), flat(`,"x":` + many(995))},
		{flat(`,"x":{"a":1}`), flat(`,"x":` + many(1000))},
		{flat(`,"props":{"x":1}`), flat(`,"props":{"x":[` + many(400) + "," + many(400) + "," + many(400) + "]}")},
		{flat(`,"x":1`), flat(`,"x":` + nested("[", "]", 31))},
		{flat(`,"x":1`), flat(`,"x":` + nested("[", "]", 32))},
		{flat(`,"props":{"x":1}`), flat(`,"props":{"x":` + nested("[", "]", 30) + "}")},
		{flat(`,"props":{"x":1}`), flat(`,"props":{"x":` + nested("[", "]", 31) + "}")},
		{flat("," + spaces + `"x":1`), flat("," + spaces + `"x":2`)},
		{flat(`,"props":` + spaces + `{"x":1}`), flat(`,"props":` + spaces + `{"x":2}`)},
	} {
		var w twins
		for _, raw := range []string{tt.taught, tt.taught, tt.taught, tt.raw, tt.raw, tt.raw, tt.taught} {
			w.decode(t, []byte(raw))
		}
	}
}

// Objects of many names within a learnt shape use the index anew each.
func TestShapes_ManyNamesInEveryRecord(t *testing.T) {
	var w twins
	raw := []byte("{" + required + `,"x":{"a":0` + names(900) + "}}")
	for i := range 20 {
		if shaped := w.decode(t, raw); shaped != (i > 1) {
			t.Fatalf("record %d: by shape: %v", i, shaped)
		}
	}
}

// A producer that uses ever other names in props is served all the same: what is
// around them is the shape.
func TestShapes_PropsOfAnyNames(t *testing.T) {
	const head, foot = "{" + required + `,"device":{"class":"web"},"props":`, `,"label":"l"}`
	for _, class := range []string{"web", "ios"} {
		var w twins
		head := strings.Replace(head, "web", class, 1)
		for i := range 3 * maxVariants {
			for range 2 {
				w.decode(t, fmt.Appendf(nil, `%s{"k%d":%d,"z":0}%s`, head, i, i, foot))
			}
		}
		for _, props := range []string{
			`{"new":1}`, `{"k0":1,"new":2}`, `{"k0":1,"z":2}`, `{"k0":1,"z":2,"a":3}`, `{"k1":{"a":1,"a":2}}`, `{"k1":1,"k1":2}`, `{"a":"\n","b":[{}]}`,
			`{}`, `{ }`, `null`, `1`, `true`, `"x"`, `""`, `[]`, `[{"x":1}]`, `{"a":1`, `{"a":1}}`, `{"a"}`, `{"device.class":"x"}`, ``, nested("[", "]", 30),
			`{"a":` + nested("[", "]", 30) + `}`, `{"a":` + nested("[", "]", 31) + `}`,
		} {
			w.decode(t, []byte(head+props+foot))
			w.decode(t, []byte(head+props+`,"unknown":1}`))
			w.decode(t, []byte(head+props+`,"unknown":1,"device.class":2}`))
		}
		if shaped := w.decode(t, []byte(head+`{"k0":1,"any":2}`+foot)); shaped != (class == "web") {
			t.Errorf("class %s: by shape: %v", class, shaped)
		}
	}
}

// A flood of shapes that come three times each fills no memory, and a shape that
// stays is learnt after it, without help.
func TestShapes_AreBoundedAndForgotten(t *testing.T) {
	var w twins
	for i := range 2000 {
		for range 3 {
			w.decode(t, fmt.Appendf(nil, `{%s,"device":{"id":"d"},"f%d":1,"context":{"zone":"UTC"},"x":1}`, required, i))
		}
		if n := w.learns.shapes.nodes; n > maxNodes {
			t.Fatalf("%d nodes", n)
		}
	}
	for range 10_000 {
		w.learns.Decode([]byte(typical), new(Event))
		w.learns.Reset()
	}
	if !w.decode(t, []byte(typical)) {
		t.Error("not learnt after the flood")
	}
}

// FuzzShapes decodes one record by what another one has taught.
func FuzzShapes(f *testing.F) {
	for _, r := range rejectedRecords() {
		if len(r.raw) < 1000 {
			f.Add([]byte("{"+required+"}"), []byte(r.raw))
		}
	}
	for _, raw := range []string{typical, wide, cloudy} {
		f.Add([]byte(raw), []byte(strings.ReplaceAll(raw, "e", `\u0065`)))
		f.Add([]byte(raw), []byte(strings.ReplaceAll(raw, "2", "")))
	}
	for seed := range int64(50) {
		a := recordMaker{shape: rand.New(rand.NewSource(seed)), value: rand.New(rand.NewSource(seed))}
		b := recordMaker{shape: rand.New(rand.NewSource(seed)), value: rand.New(rand.NewSource(-seed)), odd: true}
		f.Add(a.record(), b.record())
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var w twins
		for _, raw := range [][]byte{a, a, a, b, b, b, a} {
			w.decode(t, raw)
		}
	})
}
