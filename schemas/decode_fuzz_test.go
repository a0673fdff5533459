package schemas

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

// FuzzDecoder compares with go-json-experiment/json (json/v2), which is strict
// by default: both take the same texts, and read the same values of them.
func FuzzDecoder(f *testing.F) {
	for _, r := range rejectedRecords() {
		if len(r.raw) < 10_000 {
			f.Add([]byte(r.raw))
		}
	}
	f.Add([]byte(typical))
	f.Add([]byte(`{` + required + `,"received":"2026-05-12T14:20:00.5+02:00","x":{"a":[1,2.5e-7,null,"\ud83d\ude00"]},"props":{"y":"\/\b\f\n\r\t\\\""},"device":{"os":"x","class":"web"}}`))
	f.Add([]byte(`{"specversion":"1.0","id":"1","tenant":"n","subject":"u","time":"2024-03-10T09:59:59Z","x":1,"data":{"y":2,"label":"ü","props":{"x":3},"context":{"z":1}}}`))
	f.Add([]byte(`{` + required + `,"type":"io.daybook.directory.user_upserted","tz":"UTC","props":{"name":"n"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var d Decoder
		var ev Event
		got := d.Decode(raw, &ev)
		syntax := got.Reason == Accepted || got.Reason >= WrongType
		if want := oracleTakes(raw); syntax != want {
			t.Fatalf("%q: verdict %v, the oracle says %v", raw, got.Reason, want)
		}
		if syntax {
			compareFields(t, raw, &ev, got)
		}
		if got.Reason == Accepted {
			again := AppendEvent(nil, &ev)
			var ev2 Event
			r := d.Decode(again, &ev2)
			if (r.Reason == TooDeep || r.Reason == TooLarge) && len(ev.Props) > 0 {
				return // at the very limit: see AppendEvent
			}
			if r.Reason != Accepted {
				t.Fatalf("%q: encoded as %q, which is %v", raw, again, r.Reason)
			}
			if diff := cmp.Diff(texts(&ev), texts(&ev2)); diff != "" {
				t.Fatalf("%q: encoded as %q (-first +again):\n%s", raw, again, diff)
			}
			if ContentHash(&ev) != ContentHash(&ev2) || EventIdentity(&ev) != EventIdentity(&ev2) {
				t.Fatalf("%q: encoded as %q, hashes differ", raw, again)
			}
			FillLabels(&ev)
		}
	})
}

// oracleTakes says whether json/v2 and the limits take raw: one object, no NUL,
// at most MaxDepth deep and MaxProperties names.
func oracleTakes(raw []byte) bool {
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	names := 0
	if dec.PeekKind() != '{' {
		return false
	}
	for {
		token, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return false
		}
		if dec.StackDepth() > MaxDepth {
			return false
		}
		if token.Kind() == '"' {
			if strings.ContainsRune(token.String(), 0) {
				return false
			}
			if kind, length := dec.StackIndex(dec.StackDepth()); kind == '{' && length%2 == 1 {
				names++
			}
		}
	}
	return names <= MaxProperties && jsontext.Value(raw).IsValid() // one value and nothing behind it
}

// object is an object as json/v2 reads it.
type object map[string]jsontext.Value

func asObject(value jsontext.Value) object {
	var o object
	if value.Kind() == '{' {
		_ = json.Unmarshal(value, &o)
	}
	return o
}

// str gives a member's string, or nil if it is absent or something else.
func (o object) str(name string) []byte {
	var s string
	if o[name].Kind() != '"' || json.Unmarshal(o[name], &s) != nil {
		return nil
	}
	return append([]byte{}, s...)
}

// compareFields compares what is read of a flat event, and Props of any.
func compareFields(t *testing.T, raw []byte, ev *Event, got Reject) {
	t.Helper()
	top := asObject(raw)
	cloud := top["specversion"] != nil && top["specversion"].Kind() != 'n'
	want := object{}
	groups := []object{top}
	if cloud {
		groups = []object{asObject(top["data"]), top}
	}
	maps.Copy(want, asObject(groups[0]["props"]))
	for i, group := range groups {
		known := "id source network user time type received category action label device content context props "
		if cloud && i == 0 {
			known = "received category action label device content context props "
		} else if cloud {
			known = "specversion id source subject type time datacontenttype dataschema data data_base64 tenant network device deviceclass "
		}
		for name, value := range group {
			if _, ok := want[name]; !ok && (strings.Contains(name, " ") || !strings.Contains(" "+known, " "+name+" ") || name == "") {
				want[name] = value
			}
		}
	}
	if !comparableProps(groups) {
		return
	}
	have := object{}
	if ev.Props != nil {
		if err := json.Unmarshal(ev.Props, &have); err != nil {
			t.Fatalf("%q: props %q: %v", raw, ev.Props, err)
		}
	}
	if diff := cmp.Diff(want, have); diff != "" && got.Reason != WrongType {
		t.Fatalf("%q: props (-oracle +got):\n%s", raw, diff)
	}
	if cloud {
		return
	}
	device, content, context := asObject(top["device"]), asObject(top["content"]), asObject(top["context"])
	for _, f := range []struct{ got, want []byte }{
		{ev.ID, top.str("id")},
		{ev.Network, top.str("network")},
		{ev.User, top.str("user")},
		{ev.Category, top.str("category")},
		{ev.Action, top.str("action")},
		{ev.Label, top.str("label")},
		{ev.ContentID, content.str("id")},
		{ev.ContentName, content.str("name")},
		{ev.ContentSlug, content.str("slug")},
		{ev.Zone, context.str("zone")},
		{ev.UserAgent, context.str("ua")},
		{ev.URL, context.str("url")},
	} {
		if (f.got == nil) != (f.want == nil) || !bytes.Equal(f.got, f.want) {
			t.Fatalf("%q: field %q, the oracle reads %q", raw, f.got, f.want)
		}
	}
	for _, f := range []struct {
		got, want []byte
		absent    string
	}{{ev.Source, top.str("source"), DefaultSource}, {ev.Type, top.str("type"), TypeActivity}, {ev.DeviceID, device.str("id"), ""}} {
		if len(f.want) == 0 {
			f.want = []byte(f.absent)
		}
		if !bytes.Equal(f.got, f.want) {
			t.Fatalf("%q: field %q, the oracle reads %q", raw, f.got, f.want)
		}
	}
}

// keptClass tells a device.class that is none and so goes to props.
func keptClass(text []byte) bool {
	return len(text) > 0 && !bytes.EqualFold(text, []byte("mobile")) && !bytes.EqualFold(text, []byte("web"))
}

// comparableProps is false where unknown members of device, content or context
// join in; TestDecoder_KeepsUnknownFieldsInProps covers those.
func comparableProps(groups []object) bool {
	if keptClass(groups[len(groups)-1].str("deviceclass")) {
		return false
	}
	for _, name := range []string{"device", "content", "context"} {
		for member := range asObject(groups[0][name]) {
			if name+"."+member == "device.class" && keptClass(asObject(groups[0][name]).str(member)) {
				return false
			}
			switch name + "." + member {
			case "device.id", "device.class", "content.id", "content.name", "content.slug", "context.zone", "context.ua", "context.url":
			default:
				return false
			}
		}
	}
	return true
}
