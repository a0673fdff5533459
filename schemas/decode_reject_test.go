package schemas

import (
	"bytes"
	"strings"
	"testing"
)

// rejected is a record with the verdict that it must get.
type rejected struct {
	reason Reason
	field  string
	raw    string
}

// nested gives a value of depth objects or arrays.
func nested(open, shut string, depth int) string {
	return strings.Repeat(open, depth) + strings.Repeat(shut, depth)
}

// names gives n members of distinct names.
func names(n int) string {
	var b []byte
	for i := range n {
		b = append(b, `,"m`...)
		b = append2(append2(b, i/100), i%100)
		b = append(b, `":0`...)
	}
	return string(b)
}

// rejectedRecords has at least five records for every reason that the decoder
// gives. The table is also the seed of the fuzzers.
func rejectedRecords() []rejected {
	flat := func(fields ...string) string { return "{" + strings.Join(fields, ",") + "}" }
	ok := func(more string) string { return "{" + required + "," + more + "}" }
	const id, net, user, at = `"id":"1"`, `"network":"n"`, `"user":"u"`, `"time":"2026-05-12T14:20:00Z"`
	cloud := func(more string) string {
		return `{"specversion":"1.0","id":"1","tenant":"n","subject":"u","time":"2026-05-12T14:20:00Z",` + more + `}`
	}
	long := strings.Repeat("x", 257)
	var all []rejected
	add := func(reason Reason, field string, raws ...string) {
		for _, raw := range raws {
			all = append(all, rejected{reason, field, raw})
		}
	}
	add(TooLarge, "",
		ok(`"label":"`+strings.Repeat("x", MaxEventBytes)+`"`), strings.Repeat(" ", MaxEventBytes+1), strings.Repeat("\x00", MaxEventBytes+1),
		strings.Repeat("{", MaxEventBytes+1), ok(`"a":1`)+strings.Repeat("\n", MaxEventBytes))
	add(Empty, "", "", " ", "\n", "\t\r\n ", strings.Repeat(" ", MaxEventBytes))
	add(NotJSON, "",
		"null", "[]", `"x"`, "1", "true", "nil", "\xef\xbb\xbf{}", "\x00\x01\x02", "\x1f\x8b\x08\x00", "\xff{}", "\v{}", "<a/>", "{", "}", "{}}", "{} {}", "{}x", "{},",
		"{}\x00", "{,}", `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a" 1}`, `{"a":1 "b":2}`, `{a:1}`, `{'a':1}`, `{"a":1`, `{"a":"`, `{"a":"\`, `{"a":"\u12`, `{"a`,
		ok(`"a":01`), ok(`"a":+1`), ok(`"a":.5`), ok(`"a":1.`), ok(`"a":1e`), ok(`"a":-`), ok(`"a":1e+`), ok(`"a":0x1`), ok(`"a":NaN`), ok(`"a":Infinity`),
		ok(`"a":True`), ok(`"a":nul`), ok(`"a":"\x41"`), ok(`"a":"\u00g0"`), ok(`"a":"\ud83d\u12"`), ok("\"a\":\"tab\there\""), ok("\"a\":\"line\nend\""), ok("\"a\":\"\x1f\""),
		ok(`"a":[1,]`), ok(`"a":[1 2]`), ok(`"a":[`), ok(`"a":{"b":1]`), ok(`"a":1 /* x */`), ok("\u00a0\"a\":1"), flat(required)+flat(required))
	add(InvalidUTF8, "",
		ok("\"a\":\"\xff\""), ok("\"a\":\"\xc3\""), ok("\"a\":\"\xc0\x80\""), ok("\"a\":\"\xed\xa0\x80\""), ok("\"a\":\"\xf4\x90\x80\x80\""), ok("\"\xe9\":1"),
		ok("\"props\":{\"a\":[\"\x80\"]}"), ok(`"a":"\u0000"`), ok(`"\u0000":1`), ok("\"a\":\"\x00\""), ok(`"a":"\ud83d"`), ok(`"a":"\ud83dx"`), ok(`"a":"\ude00"`),
		ok(`"a":"\ude00\ud83d"`), ok(`"a":"\ud83d\ud83d"`), ok(`"a":"\ud83d\n"`), ok(`"\ud83d":1`), "{\"user\":\"\xff\"}")
	add(DuplicateKey, "",
		ok(`"id":"1"`), ok(`"id":"2"`), ok(`"\u0069d":"1"`), ok(`"a":1,"a":1`), ok(`"a":1,"b":2,"\u0061":3`), ok(`"device":{"id":"1","id":"1"}`),
		ok(`"props":{"a":1,"a":2}`), ok(`"props":{"a":{"b":{"c":1,"c":1}}}`), ok(`"x":[1,{"y":1,"y":2}]`), ok(`"":1,"":2`), ok(`"context":null,"context":null`),
		cloud(`"data":{"a":1,"a":2}`), ok(`"abcdefghij":1,"ABcdefghij":2,"abcdefghij":3`), "{"+required+names(900)+`,"m0500":1}`, `{"a":1,"a":1}`)
	add(TooDeep, "",
		ok(`"a":`+nested("[", "]", 32)), ok(`"a":`+strings.Repeat(`{"a":`, 32)+"1"+strings.Repeat("}", 32)), ok(`"props":{"a":`+nested("[", "]", 31)+"}"),
		strings.Repeat(`{"a":`, 33), ok(`"a":`+strings.Repeat("[", 5000)), "{"+required+names(997)+"}", ok(`"props":{"a":0`+names(996)+"}"),
		ok(`"a":[{"x":0`+names(500)+`},{"x":0`+names(500)+"}]"))
	add(WrongType, "id", flat(`"id":1`, net, user, at), flat(`"id":["1"]`, net, user, at), flat(`"id":{}`), flat(`"id":true`), flat(`"id":1.5e3`))
	add(WrongType, "user", flat(id, net, `"user":7`, at))
	add(WrongType, "network", flat(id, `"network":{}`, user, at))
	add(WrongType, "time", flat(id, net, user, `"time":1747059600`), flat(id, net, user, `"time":[]`))
	add(WrongType, "received", ok(`"received":0`))
	add(WrongType, "source", ok(`"source":false`))
	add(WrongType, "type", ok(`"type":[]`))
	add(WrongType, "category", ok(`"category":1`))
	add(WrongType, "action", ok(`"action":1`))
	add(WrongType, "label", ok(`"label":{}`), cloud(`"data":{"label":1}`))
	add(WrongType, "device", ok(`"device":"d"`), ok(`"device":[]`), cloud(`"device":{"id":"d"}`), cloud(`"data":{"device":1}`))
	add(WrongType, "device.id", ok(`"device":{"id":1}`), cloud(`"data":{"device":{"id":1}}`))
	add(WrongType, "device.class", ok(`"device":{"class":1}`))
	add(WrongType, "deviceclass", cloud(`"deviceclass":1`))
	add(WrongType, "content", ok(`"content":"c"`))
	add(WrongType, "content.id", ok(`"content":{"id":4711}`))
	add(WrongType, "content.name", ok(`"content":{"name":[]}`))
	add(WrongType, "content.slug", ok(`"content":{"slug":true}`))
	add(WrongType, "context", ok(`"context":1`))
	add(WrongType, "context.zone", ok(`"context":{"zone":1}`))
	add(WrongType, "context.ua", ok(`"context":{"ua":{}}`))
	add(WrongType, "context.url", ok(`"context":{"url":1}`))
	add(WrongType, "props", ok(`"props":[]`), ok(`"props":"{}"`), cloud(`"data":{"props":1}`))
	add(WrongType, "props.tz", ok(`"type":"io.daybook.directory.user_upserted","props":{"tz":1}`))
	add(WrongType, "props.name", ok(`"type":"io.daybook.directory.user_upserted","name":1`))
	add(WrongType, "subject", `{"specversion":"1.0","subject":1}`)
	add(WrongType, "tenant", `{"specversion":"1.0","tenant":1}`)
	add(WrongType, "specversion", `{"specversion":1.0,"id":"1"}`)
	add(WrongType, "dataschema", cloud(`"dataschema":1`))
	add(WrongType, "datacontenttype", cloud(`"datacontenttype":[]`))
	add(BadCloudEvent, "specversion", `{"specversion":"0.3"}`, `{"specversion":"1.1"}`, `{"specversion":""}`, `{"specversion":"1"}`)
	add(BadCloudEvent, "data", cloud(`"data":"text"`), cloud(`"data":1`), cloud(`"data":[{}]`), cloud(`"datacontenttype":"text/xml","data":"<a/>"`), cloud(`"data":false`))
	add(BadCloudEvent, "data_base64", cloud(`"data_base64":"e30="`), cloud(`"data":{},"data_base64":""`))
	add(BadCloudEvent, "tenant", cloud(`"network":"m"`))
	add(NoID, "id", flat(net, user, at), "{}", flat(`"id":""`, net, user, at), flat(`"id":null`, net, user, at), flat(`"ID":"1"`, net, user, at), `{"specversion":"1.0"}`)
	add(BadID, "id", flat(`"id":"`+long+`"`, net, user, at), flat(`"id":"`+long+long+`"`), flat(`"id":"`+strings.Repeat("é", 129)+`"`),
		flat(`"id":"`+strings.Repeat(`\u00e9`, 129)+`"`), `{"specversion":"1.0","id":"`+long+`"}`)
	add(NoNetwork, "network", flat(id, user, at), flat(id), flat(id, `"network":null`, user, at), flat(id, `"Network":"n"`, user, at), flat(id, `"tenant":"n"`, user, at))
	add(NoNetwork, "tenant", `{"specversion":"1.0","id":"1","subject":"u"}`)
	add(BadNetwork, "network", flat(id, `"network":""`, user, at), flat(id, `"network":"N"`, user, at), flat(id, `"network":"a/b"`, user, at), flat(id, `"network":".a"`, user, at),
		flat(id, `"network":"a b"`), flat(id, `"network":"`+strings.Repeat("n", 65)+`"`), flat(id, `"network":"é"`))
	add(BadNetwork, "tenant", `{"specversion":"1.0","id":"1","tenant":"N"}`)
	add(NoUser, "user", flat(id, net, at), flat(id, net), flat(id, net, `"user":""`, at), flat(id, net, `"user":null`, at), flat(id, net, `"subject":"u"`, at), flat(id, net, `"User":"u"`, at))
	add(NoUser, "subject", `{"specversion":"1.0","id":"1","tenant":"n","user":"u"}`)
	add(BadUser, "user", flat(id, net, `"user":"`+long+`"`, at), flat(id, net, `"user":"`+strings.Repeat("😀", 65)+`"`), flat(id, net, `"user":"`+strings.Repeat(`\ud83d\ude00`, 65)+`"`),
		flat(id, net, `"user":"`+long+long+`"`), flat(id, net, `"user":" `+long+`"`))
	add(BadUser, "subject", `{"specversion":"1.0","id":"1","tenant":"n","subject":"`+long+`"}`)
	add(NoTime, "time", flat(id, net, user), flat(id, net, user, `"time":null`), flat(id, net, user, `"Time":"2026-05-12T14:20:00Z"`), flat(id, net, user, `"timestamp":"2026-05-12T14:20:00Z"`),
		flat(id, net, user, `"received":"2026-05-12T14:20:00Z"`), `{"specversion":"1.0","id":"1","tenant":"n","subject":"u"}`)
	for _, bad := range badTimes {
		add(BadTime, "time", flat(id, net, user, `"time":"`+bad+`"`))
		add(BadTime, "received", ok(`"received":"`+bad+`"`))
	}
	add(FieldTooLong, "source", ok(`"source":"`+long+`"`), cloud(`"source":"`+long+`"`))
	add(FieldTooLong, "type", ok(`"type":"`+long+`"`))
	add(FieldTooLong, "device.id", ok(`"device":{"id":"`+long+`"}`), cloud(`"device":"`+long+`"`))
	return all
}

func TestDecoder_GivesEveryReason(t *testing.T) {
	var d Decoder
	counts := map[Reason]int{}
	for _, tt := range rejectedRecords() {
		var ev Event
		got := d.Decode([]byte(tt.raw), &ev)
		if got.Reason != tt.reason || got.Field != tt.field {
			t.Errorf("%.200s: %v %q, want %v %q", tt.raw, got.Reason, got.Field, tt.reason, tt.field)
		}
		if got.Remedy == "" {
			t.Errorf("%.200s: no remedy", tt.raw)
		}
		counts[tt.reason]++
		// A good event behind it is read as ever.
		if r := d.Decode([]byte(typical), &ev); r != (Reject{}) {
			t.Fatalf("after %.200s: %+v", tt.raw, r)
		}
	}
	for r := TooLarge; r <= BadTime; r++ {
		if counts[r] < 5 {
			t.Errorf("%d records for %v", counts[r], r)
		}
	}
}

// The verdict is that of the first reason in order, whatever else is missing.
func TestDecoder_ExaminesInAFixedOrder(t *testing.T) {
	var d Decoder
	var ev Event
	for _, tt := range []struct {
		raw    string
		reason Reason
	}{
		{`{"user":1,"x":"\ud800"}`, InvalidUTF8},
		{`{"user":1,"x":}`, NotJSON},
		{`{"x":"\ud800","x":}`, InvalidUTF8},
		{`{"specversion":"2","user":1,"data":1,"id":7}`, WrongType},
		{`{"specversion":"2"}`, BadCloudEvent},
		{`{"device":{"class":"x"},"time":"x","user":"","network":"","id":""}`, NoID},
		{`{"device":{"class":"x"},"time":"x","user":"","network":"","id":"1"}`, BadNetwork},
		{`{"device":{"class":"x"},"time":"x","user":"","network":"n","id":"1"}`, NoUser},
		{`{"device":{"class":"x"},"time":"x","user":"u","network":"n","id":"1"}`, BadTime},
		{`{"device":{"class":"x"},"user":"u","network":"n","id":"1"}`, NoTime},
		{`{"device":{"class":"x"},` + required + `}`, Accepted},
	} {
		if got := d.Decode([]byte(tt.raw), &ev); got.Reason != tt.reason {
			t.Errorf("%s: %v, want %v", tt.raw, got.Reason, tt.reason)
		}
	}
}

func TestDecoder_TakesTheLimitsThemselves(t *testing.T) {
	for name, raw := range map[string]string{
		"id and user":        `{"id":"` + strings.Repeat("i", 256) + `","network":"` + strings.Repeat("n", 64) + `","user":"` + strings.Repeat("é", 128) + `","time":"2026-05-12T14:20:00Z"}`,
		"depth of arrays":    "{" + required + `,"a":` + nested("[", "]", 31) + "}",
		"depth of objects":   "{" + required + `,"a":` + strings.Repeat(`{"a":`, 30) + "{}" + strings.Repeat("}", 30) + "}",
		"number of names":    "{" + required + names(996) + "}",
		"size":               "{" + required + `,"a":"` + strings.Repeat("x", MaxEventBytes-len(required)-len(`{,"a":""}`)) + `"}`,
		"same name, nested":  "{" + required + `,"a":{"a":{"id":1}},"b":[{"a":1},{"a":1}]}`,
		"long similar names": "{" + required + `,"abcdefgh1":1,"abcdefgh2":1,"1abcdefgh":1,"2abcdefgh":1}`,
	} {
		var d Decoder
		var ev Event
		if r := d.Decode([]byte(raw), &ev); r.Reason != Accepted {
			t.Errorf("%s: %+v", name, r)
		}
	}
	d := Decoder{MaxBytes: 10}
	var ev Event
	inBytes := "{" + required + `,"device":{"id":"` + strings.Repeat("é", 129) + `"}}` // JSON Schema counts characters
	if r := (&Decoder{}).Decode([]byte(inBytes), &ev); r.Reason != FieldTooLong {
		t.Errorf("a device id of 129 characters in 258 bytes gives %v", r.Reason)
	}
	if r := d.Decode([]byte(typical), &ev); r.Reason != TooLarge {
		t.Errorf("a limit of 10 bytes gives %v", r.Reason)
	}
}

func TestReject_NamesAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Reasons() {
		if name := r.String(); name == "" || seen[name] {
			t.Errorf("reason %d is called %q", r, name)
		} else {
			seen[name] = true
		}
	}
	if n := len(Reasons()); n != len(reasonNames)-1 || Accepted.String() != "accepted" {
		t.Errorf("%d reasons", n)
	}
}

func TestDecoder_DoesNotWriteToTheRecord(t *testing.T) {
	var d Decoder
	var ev Event
	for _, tt := range rejectedRecords() {
		raw := []byte(tt.raw)
		d.Decode(raw, &ev)
		if !bytes.Equal(raw, []byte(tt.raw)) {
			t.Fatalf("%.100s was changed", tt.raw)
		}
	}
}
