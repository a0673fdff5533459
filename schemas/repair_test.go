package schemas

import (
	"slices"
	"testing"
)

func TestRepair_TravelsAndIsNoSetting(t *testing.T) {
	want := Repair{Network: "acme", Users: []string{"ann", `b"ob`}, FromMs: -5, ToMs: 10}
	value, err := EncodeRepair(want)
	if err != nil || !IsRepair(value) || IsSetAside(value) {
		t.Fatalf("%s, %v", value, err)
	}
	got, err := DecodeRepair(value)
	if err != nil || got.Network != want.Network || !slices.Equal(got.Users, want.Users) || got.FromMs != -5 || got.ToMs != 10 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := DecodeControl(value); err == nil {
		t.Error("it passes for a setting")
	}
	for name, bad := range map[string]Repair{
		"no user":         {Network: "acme", ToMs: 1},
		"no network":      {Users: []string{"ann"}, ToMs: 1},
		"ends before":     {Network: "acme", Users: []string{"ann"}, FromMs: 2, ToMs: 1},
		"too long":        {Network: "acme", Users: []string{"ann"}, ToMs: MaxRepairMs + 1},
		"too many users":  {Network: "acme", Users: make([]string, MaxRepairUsers+1), ToMs: 1},
		"an empty user":   {Network: "acme", Users: []string{""}, ToMs: 1},
		"far too long id": {Network: "acme", Users: []string{string(make([]byte, MaxUserBytes+1))}, ToMs: 1},
	} {
		if _, err := EncodeRepair(bad); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
}
