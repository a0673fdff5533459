package zones

import (
	"testing"
	"time"
)

func TestLoad_EveryName(t *testing.T) {
	n := 0
	for name, f := range index() {
		if f.FileInfo().IsDir() {
			continue
		}
		n++
		loc, err := Load(name)
		if err != nil {
			t.Errorf("Load(%q): %v", name, err)
		} else if loc.String() != name {
			t.Errorf("Load(%q) is called %q", name, loc)
		}
	}
	if n < 590 { // 2025c has 598 names
		t.Errorf("the archive has %d zones, want the whole database", n)
	}
}

func TestLoad_Unknown(t *testing.T) {
	for _, name := range []string{"", "Local", "Europe", "Europe/", "../etc/passwd", "Europe/Atlantis", "europe/amsterdam"} {
		if loc, err := Load(name); err == nil {
			t.Errorf("Load(%q) gives %v, want an error", name, loc)
		}
	}
}

// Golden vectors 2 and 3 begin at these instants.
func TestLoad_Transitions(t *testing.T) {
	loc, err := Load("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	for instant, want := range map[string]int{"2026-03-29T00:59:59Z": 3600, "2026-03-29T01:00:00Z": 7200, "2026-10-25T01:00:00Z": 3600} {
		at, err := time.Parse(time.RFC3339, instant)
		if err != nil {
			t.Fatal(err)
		}
		if _, got := at.In(loc).Zone(); got != want {
			t.Errorf("offset of Amsterdam at %s is %d s, want %d", instant, got, want)
		}
	}
}
