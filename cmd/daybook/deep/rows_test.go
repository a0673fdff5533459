package deep

import (
	"math"
	"reflect"
	"testing"

	"daybook/pipeline/reference"
	"daybook/schemas"
)

// What stands in for a lost control record is that record, with every field: by
// each of them a record that follows may be judged.
func TestControl_IsWhatWasStored(t *testing.T) {
	want := schemas.Control{
		Network: "acme", Position: 7, Zone: "Europe/Berlin", GapMs: 60_000, Title: "Acme", RetentionDays: 400,
		Dark: []schemas.Dark{{FromMs: -5, ToMs: 9}, {FromMs: 12, ToMs: math.MaxInt64}},
	}
	for v, i := reflect.ValueOf(want), 0; i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Fatalf("the test leaves out %s", v.Type().Field(i).Name)
		}
	}
	row := settingRow(&reference.Setting{Offset: 3, Control: want})
	got, err := control(&row)
	if err != nil || !reflect.DeepEqual(*got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}
