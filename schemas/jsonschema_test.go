package schemas

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func TestEventSchema_AgreesWithTheDecoder(t *testing.T) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(EventSchema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("event.v1.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("event.v1.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	// What a schema cannot say, by the reason: it sees no bytes, and each name
	// of an object once.
	blind := map[Reason]bool{TooLarge: true, Empty: true, NotJSON: true, InvalidUTF8: true, DuplicateKey: true, TooDeep: true}
	accepted := []string{
		typical, "{" + required + "}", "{" + required + `,"x":[1],"source":null,"device":null,"props":null,"received":null}`,
		"{" + required + `,"device":{"class":"MOBILE","os":1},"content":{"name":"n"},"context":{"ua":"x"},"received":"2026-05-12T14:20:00.5+02:00"}`,
		`{"specversion":"1.0","id":"1","tenant":"n","subject":"u","time":"2026-05-12T14:20:00Z"}`,
		`{"specversion":"1.0","id":"1","network":"n","tenant":null,"subject":"u","time":"2026-05-12T14:20:00Z","device":"d","deviceclass":"Web","data":{"x":1,"label":"l"}}`,
		"{" + required + `,"specversion":null,"device":{"class":""}}`,
		"{" + required + `,"device":{"class":"tablet"}}`,
	}
	var d Decoder
	var ev Event
	for _, raw := range accepted {
		if r := d.Decode([]byte(raw), &ev); r.Reason != Accepted {
			t.Errorf("%s: the decoder says %v", raw, r)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(raw)))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: the schema says %v", raw, err)
		}
	}
	for _, tt := range rejectedRecords() {
		if blind[tt.reason] {
			continue
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(tt.raw)))
		if err != nil {
			t.Fatalf("%s: %v", tt.raw, err)
		}
		if schema.Validate(value) == nil && !schemaCannotSay(tt) {
			t.Errorf("%s: the schema takes it, the decoder says %v", tt.raw, tt.reason)
		}
	}
}

// schemaCannotSay lists what passes the schema and not the decoder: lengths in
// bytes, two members that must be equal, facts, and the corners of the calendar
// that the validator's date-time leaves open.
func schemaCannotSay(r rejected) bool {
	switch r.reason { //nolint:exhaustive // the schema says the others
	case BadID, BadUser:
		return bytes.ContainsAny([]byte(r.raw), "é😀\\")
	case BadCloudEvent:
		return r.field == "tenant"
	case WrongType:
		return r.field == "props.tz" || r.field == "props.name"
	case BadTime:
		return bytes.Contains([]byte(r.raw), []byte("0000-01-01")) || bytes.Contains([]byte(r.raw), []byte("9999-12-31"))
	}
	return false
}
