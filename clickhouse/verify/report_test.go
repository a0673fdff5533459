package verify_test

import (
	"testing"

	"daybook/clickhouse/verify"
)

// A log with records of which the tables know nothing is no clean result.
func TestReport_IsBlind(t *testing.T) {
	for name, tt := range map[string]struct {
		places []verify.Place
		want   bool
	}{
		"nothing was produced":           {[]verify.Place{{Current: true}}, false},
		"nothing was read":               {[]verify.Place{{Current: true, LogEnd: 9}, {Current: true}}, true},
		"only an earlier epoch was read": {[]verify.Place{{Current: true, LogEnd: 9}, {Stored: 7, LogEnd: 7}}, true},
		"a partition was read":           {[]verify.Place{{Current: true, LogEnd: 9}, {Current: true, LogEnd: 9, Stored: 3}}, false},
	} {
		if got := (&verify.Report{Places: tt.places}).Blind(); got != tt.want {
			t.Errorf("%s: blind %t, want %t", name, got, tt.want)
		}
	}
}
