package main

import (
	"bytes"
	"strings"
	"testing"

	"daybook/clickhouse"
)

// A session that is open has not ended, whatever its row would say next.
func TestWriteTraced_OpenSessionHasNotEnded(t *testing.T) {
	for _, c := range []struct{ status, want string }{
		{"open", ", 3 events, still open\n"},
		{"closed", ", 3 events, closed, ended by inactivity\n"},
		{"final", ", 3 events, final, ended by inactivity\n"},
	} {
		var out bytes.Buffer
		writeTraced(&out, &clickhouse.TracedEvent{Session: &clickhouse.TracedSession{Status: c.status, EndReason: "inactivity", Events: 3}})
		if !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: %q lacks %q", c.status, out.String(), c.want)
		}
	}
}
