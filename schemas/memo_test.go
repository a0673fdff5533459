package schemas

import (
	"fmt"
	"reflect"
	"testing"
)

// Every time that differs from one of the remembered date in one byte or two is
// read as one that is read alone.
func TestMemo_ReadsTimesAsParseTime(t *testing.T) {
	var m dateMemo
	check := func(s string) {
		t.Helper()
		m.parse([]byte("2026-05-12T14:20:00.123Z"))
		want, wantOK := parseTime([]byte(s))
		if ms, ok := m.parse([]byte(s)); ms != want || ok != wantOK {
			t.Fatalf("%q: %d, %v, want %d, %v", s, ms, ok, want, wantOK)
		}
		// What it has remembered of s serves the next one.
		const next = "2026-05-12T23:59:59Z"
		want, _ = parseTime([]byte(next))
		if ms, ok := m.parse([]byte(next)); ms != want || !ok {
			t.Fatalf("after %q: %q gives %d, %v", s, next, ms, ok)
		}
	}
	for _, s := range append([]string{
		"2026-05-12T14:20:00.123Z", "2026-05-12T14:20:00Z", "2026-05-12T16:20:00.5+02:00", "2026-05-12T00:00:00.000Z", "2026-05-12T23:59:60Z", "2026-05-12t14:20:00z",
		"1969-12-31T23:59:59.999Z", "0000-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "2016-12-31T23:59:60Z", "2026-05-12T14:20:00.1234567Z",
	}, badTimes...) {
		check(s)
		for i := range s {
			for c := range 256 {
				b := []byte(s)
				b[i] = byte(c)
				check(string(b))
				b[(i+1)%len(b)] = '9'
				check(string(b))
			}
		}
	}
	for hour := range 30 {
		for second := range 70 {
			check(fmt.Sprintf("2026-05-12T%02d:%02d:%02d.%03dZ", hour, second, 69-second, hour*33))
			check(fmt.Sprintf("2026-05-12T%02d:%02d:%02dZ", hour, 69-second, second))
		}
	}
}

// More types than there is room for, each twice: kind and cells are as if looked
// up anew.
func TestMemo_KnowsTypesAsTheRegistry(t *testing.T) {
	var d Decoder
	types := []string{TypeActivity, TypeLoggedOut, TypeUserUpserted, "x", "a.b", "io.daybook.ticket.edited"}
	for name := range activities() {
		types = append(types, name, name+".x")
	}
	for round := range 2 {
		for _, name := range types {
			for range 2 {
				a := Event{Type: []byte(name), Action: []byte("own"), ContentName: []byte("n"), Props: []byte(`{"credits":1,"variant":"v","kind":"rating"}`)}
				b := a
				FillLabels(&a)
				d.FillLabels(&b)
				if !reflect.DeepEqual(a, b) || d.memo.typeOf(b.Type).kind != KindOf(b.Type) {
					t.Fatalf("round %d: %s: %q, want %q", round, name, texts(&b), texts(&a))
				}
			}
		}
	}
}

func TestMemo_OfTheNetworkChangesNoVerdict(t *testing.T) {
	var m memo
	for _, network := range []string{"", "a", "a", "", "A", "a", "ab", "A", "a/b", "ab"} {
		if got := m.validNetwork([]byte(network)); got != ValidNetwork(network) {
			t.Errorf("%q: %v", network, got)
		}
	}
}
