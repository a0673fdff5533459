package schemas

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestControl_RoundTrip(t *testing.T) {
	for _, c := range []Control{
		{Network: "n", GapMs: DefaultGapMs},
		{
			Network: "speakap", Position: 7, Zone: "Europe/Amsterdam", GapMs: MaxGapMs, Title: "Speakap é",
			Dark: []Dark{{-5, 10}, {10, 20}, {30, math.MaxInt64}},
		},
	} {
		value, err := EncodeControl(c)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeControl(value)
		if err != nil {
			t.Fatalf("%s: %v", value, err)
		}
		if d := cmp.Diff(c, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
}

func TestDecodeControl_RefusesWhatIsNoSetting(t *testing.T) {
	for _, tt := range []struct{ value, says string }{
		{``, "decode control"},
		{`null`, "network"},
		{`[]`, "decode control"},
		{`{}`, "network"},
		{`{"network":"n","position":0,"zone":"","gap_ms":60000} x`, "decode control"},
		{`{"network":"N","position":0,"zone":"","gap_ms":60000}`, "network"},
		{`{"network":"a/b","position":0,"zone":"","gap_ms":60000}`, "network"},
		{`{"network":"n","position":-1,"zone":"","gap_ms":60000}`, "position"},
		{`{"network":"n","position":0,"zone":"Europe/Atlantis","gap_ms":60000}`, "zone"},
		{`{"network":"n","position":0,"zone":"Local","gap_ms":60000}`, "zone"},
		{`{"network":"n","position":0,"zone":"../../etc/passwd","gap_ms":60000}`, "zone"},
		{`{"network":"n","position":0,"zone":"","gap_ms":59999}`, "gap"},
		{`{"network":"n","position":0,"zone":"","gap_ms":14400001}`, "gap"},
		{`{"network":"n","position":0,"zone":"","gap_ms":60000.5}`, "decode control"},
		{`{"network":"n","position":0,"zone":"","gap_ms":"60000"}`, "decode control"},
		{`{"network":"n","network":"n","position":0,"zone":"","gap_ms":60000}`, "decode control"},
		{`{"Network":"n","position":0,"zone":"","gap_ms":60000}`, "decode control"},
		{`{"network":"n","position":0,"zone":"","gap_ms":60000,"more":1}`, "decode control"},
		{`{"network":"n","position":0,"zone":"","gap_ms":60000,"dark":[{"from_ms":5,"to_ms":5}]}`, "dark"},
		{`{"network":"n","position":0,"zone":"","gap_ms":60000,"dark":[{"from_ms":5,"to_ms":9},{"from_ms":8,"to_ms":11}]}`, "dark"},
		{`{"network":"n","position":0,"zone":"","gap_ms":60000,"title":"` + strings.Repeat("x", 1025) + `"}`, "title"},
		{"{\"network\":\"n\xff\",\"position\":0,\"zone\":\"\",\"gap_ms\":60000}", "decode control"},
	} {
		c, err := DecodeControl([]byte(tt.value))
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v, want one of %q", tt.value, err, tt.says)
		}
		if d := cmp.Diff(Control{}, c); d != "" {
			t.Errorf("%s: something is decoded: %s", tt.value, d)
		}
	}
	if _, err := EncodeControl(Control{Network: "n"}); err == nil {
		t.Error("a control without gap is encoded")
	}
}

func TestVerifyControl_TakesOnlyTheRightKeyAndValue(t *testing.T) {
	key, value := []byte("key"), []byte("The quick brown fox jumps over the lazy dog")
	signature := SignControl(key, value)
	// The example of HMAC-SHA256 in Wikipedia.
	if want := "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"; string(signature) != want {
		t.Errorf("signature %s", signature)
	}
	if !VerifyControl(key, value, signature) {
		t.Error("the right signature is refused")
	}
	for _, bad := range [][]byte{nil, {}, signature[:63], append([]byte("0"), signature...), []byte(strings.ToUpper(string(signature)))} {
		if VerifyControl(key, value, bad) {
			t.Errorf("signature %q is taken", bad)
		}
	}
	if VerifyControl([]byte("kez"), value, signature) || VerifyControl(key, value[1:], signature) || VerifyControl(nil, value, signature) {
		t.Error("another key or value is taken")
	}
}
