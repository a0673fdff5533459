package schemas

import (
	"strings"
	"testing"
)

func TestFillLabels_RendersTheRegistry(t *testing.T) {
	tests := []struct{ eventType, more, category, action, label string }{
		{"io.daybook.content.content.viewed", `"content":{"name":"Keynote"}`, "View Content", "View Content", "Keynote"},
		{"io.daybook.content.content.viewed", `"content":{"name":"Keynote"},"props":{"variant":"List"}`, "View Content", "List", "Keynote"},
		{"io.daybook.content.credit.earned", `"props":{"credits":2.5}`, "Accumulative Content", "Earned", "2.5"},
		{"io.daybook.content.question.answered", `"props":{"question":"Lunch?","answer":"yes"}`, "Poll - Lunch?", "Question", "yes"},
		{"io.daybook.content.question.answered", `"props":{"x":[{"kind":"poll"},"]"],"kind":"rating","question":"Lunch?","answer":4}`, "Rating - Lunch?", "Question", "4"},
		{"io.daybook.content.review.submitted", `"props":{"stars":5,"text":"great \"session\"!"}`, "5", "review", `great "session"!`},
		{"io.daybook.content.review.submitted", `"props":{"stars":5}`, "5", "review", "<nil>"},
		{"io.daybook.content.programme_session.joined", `"content":{"name":"A"},"props":{"breakout":7}`, "Session", "Joined", "Breakout from A #7"},
		{"io.daybook.content.programme_session.joined", `"content":{"name":"A"}`, "Session", "Joined", "A"},
		{"io.daybook.content.resource.downloaded", `"content":{"name":"A"},"props":{"t\u0069tle":"B"}`, "Download", "Resource", "B"},
		{"io.daybook.content.resource.downloaded", `"content":{"name":"A"},"props":{"title":null}`, "Download", "Resource", "A"},
		{"io.daybook.content.call.requested", `"content":{"name":"A"}`, "Talk Now", "Requested", "<nil>"},
		// Unknown types: object, verb, name of the content.
		{"io.daybook.content.emoji.sent", `"content":{"name":"A"}`, "emoji", "sent", "A"},
		{"com.example.page", ``, "example", "page", "<nil>"},
		{"page", ``, "page", "<nil>", "<nil>"},
		{"", ``, "presence", "activity", "<nil>"},
		// What an event brings stays, even if it is blank.
		{"io.daybook.content.content.viewed", `"category":"C","action":"","content":{"name":"Keynote"}`, "C", "", "Keynote"},
		{"com.example.page", `"category":"C","action":"A","label":"L"`, "C", "A", "L"},
	}
	for _, tt := range tests {
		raw := `{"id":"1","network":"n","user":"u","time":"2026-05-12T14:20:00Z","type":"` + tt.eventType + `"`
		if tt.more != "" {
			raw += "," + tt.more
		}
		ev := decoded(t, raw+"}")
		before := ContentHash(&ev)
		FillLabels(&ev)
		for i, got := range [][]byte{ev.Category, ev.Action, ev.Label} {
			text := string(got)
			if got == nil {
				text = "<nil>"
			}
			if want := []string{tt.category, tt.action, tt.label}[i]; text != want {
				t.Errorf("%s %s: cell %d is %q, want %q", tt.eventType, tt.more, i, text, want)
			}
		}
		if after := ContentHash(&ev); after != before {
			t.Errorf("%s: labels change the content's hash", tt.eventType)
		}
	}
}

// decoded decodes an event that must be accepted.
func decoded(tb testing.TB, raw string) Event {
	tb.Helper()
	var d Decoder
	var ev Event
	if r := d.Decode([]byte(raw), &ev); r.Reason != Accepted {
		tb.Fatalf("%s: rejected %+v", raw, r)
	}
	return ev
}

func TestFillLabels_DoesNotAllocateForPlainCells(t *testing.T) {
	ev := decoded(t, `{"id":"1","network":"n","user":"u","time":"2026-05-12T14:20:00Z","type":"io.daybook.content.credit.earned","props":{"a":{"b":[1,2]},"credits":3}}`)
	blank := ev
	FillLabels(&ev)
	if n := testing.AllocsPerRun(100, func() { ev = blank; FillLabels(&ev) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFillLabels_SurvivesPropsThatAreNoJSON(t *testing.T) {
	for _, props := range []string{"", "{", "{}", "null", `{"credits`, `{"credits"`, `{"credits":`, `{"credits":"`, `{"credits":"\`, `{"credits":"\u12`, `{"\`, `{"\u00`, `{"a":[}`, `{"a":1,`, `{"a" 1}`, "xxxxxx"} {
		ev := Event{Type: []byte("io.daybook.content.credit.earned"), Props: []byte(props)}
		FillLabels(&ev)
		if len(ev.Label) > 0 {
			t.Errorf("%q gives label %q", props, ev.Label)
		}
	}
}

func TestActivityTypes_EveryRowIsReachable(t *testing.T) {
	rows, err := parseActivities(activityTypes)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for name, alternatives := range rows {
		for i, a := range alternatives {
			count++
			if last := i == len(alternatives)-1; last != (a.when == "") {
				t.Errorf("%s row %d: only the last row has no condition, and every type ends with one", name, i)
			}
			if !strings.Contains("none name url user_text", a.textClass) {
				t.Errorf("%s row %d: text class %q", name, i, a.textClass)
			}
		}
	}
	// 39 rows of SPEC.md section 2, row 15 in two, and the breakouts of joined and left.
	if count != 42 {
		t.Errorf("%d rows", count)
	}
	for _, bad := range []string{"a\tb", "a\tx=1\tc\ta\tl\tnone", "a\t\tc[\ta\tl\tnone", "a\t\t[content.x]\ta\tl\tnone", "a\t\t[props.]\ta\tl\tnone"} {
		if _, err := parseActivities(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
