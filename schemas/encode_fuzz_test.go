package schemas

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// Any bytes become a string that json/v2 reads, each bad byte as U+FFFD.
func FuzzAppendString(f *testing.F) {
	for _, text := range []string{"", "plain", "a\xff\xfeb\x00c\x1f\"\\/\u2028é\xed\xa0\x80", "\xf0\x9f\x98", "\uFFFD\x7f", "\xc0\x80"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var got string
		if err := json.Unmarshal(AppendString(nil, text), &got); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if want := strings.ReplaceAll(string([]rune(string(text))), "\x00", "\uFFFD"); got != want {
			t.Fatalf("%q became %q", text, got)
		}
		ev := Event{ID: []byte("1"), Network: []byte("n"), User: append([]byte("u"), text[:min(len(text), 80)]...), Label: text, UserAgent: text}
		var d Decoder
		var again Event
		if r := d.Decode(AppendEvent(nil, &ev), &again); r.Reason != Accepted || string(again.UserAgent) != got {
			t.Fatalf("%q: %v, user agent %q", text, r, again.UserAgent)
		}
	})
}

// Whatever comes, a control is decoded into one that is valid, and that encodes
// to something that gives the same.
func FuzzDecodeControl(f *testing.F) {
	f.Add([]byte(`{"network":"n","position":1,"zone":"Europe/Prague","gap_ms":60000,"dark":[{"from_ms":1,"to_ms":2}],"title":"t"}`))
	f.Add([]byte(`{"network":"n","gap_ms":6e4}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		c, err := DecodeControl(value)
		if err != nil {
			return
		}
		first, err := EncodeControl(c)
		if err != nil {
			t.Fatal(err)
		}
		c2, err := DecodeControl(first)
		if err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		if second, err := EncodeControl(c2); err != nil || string(first) != string(second) {
			t.Fatalf("%s then %s", first, second)
		}
	})
}
