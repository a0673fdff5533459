package schemas

import (
	"strings"
	"testing"
)

func TestSetAside_TravelsAndIsNoSetting(t *testing.T) {
	want := SetAside{Epoch: 2, Partition: 3, Offset: 1 << 40, Reason: `runtime error: index out of range [5] with length 3 in "x"`}
	value, err := EncodeSetAside(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeSetAside(value); err != nil || got != want || !IsSetAside(value) {
		t.Errorf("%s is %+v, %v, told from a setting: %t", value, got, err, IsSetAside(value))
	}
	if _, err := DecodeControl(value); err == nil {
		t.Errorf("%s is taken for a network's setting", value)
	}
	setting, err := EncodeControl(Control{Network: "acme", GapMs: DefaultGapMs})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeSetAside(setting); err == nil || IsSetAside(setting) {
		t.Errorf("%s is taken for a record that sets another aside", setting)
	}
}

func TestSetAside_RefusesWhatIsNone(t *testing.T) {
	for _, value := range []string{
		``, `null`, `{}`, `{"set_aside":null}`, `{"set_aside":{"offset":-1}}`, `{"set_aside":{"partition":-1}}`, `{"set_aside":{"offset":1},"more":1}`,
		`{"set_aside":{"offset":1,"offset":2}}`, `{"set_aside":{"offset":"1"}}`, `{"set_aside":{"reason":"` + strings.Repeat("x", 1025) + `"}}`,
	} {
		if a, err := DecodeSetAside([]byte(value)); err == nil {
			t.Errorf("%s is taken: %+v", value, a)
		}
	}
	if _, err := EncodeSetAside(SetAside{Offset: -1}); err == nil {
		t.Error("an offset below 0 is encoded")
	}
}
