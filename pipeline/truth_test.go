package pipeline

import (
	"fmt"

	"daybook/pipeline/reference"
	"daybook/schemas"
)

// truth gives what the tables of a log's one partition must hold.
func (l *fakeLog) truth() *tables {
	l.mu.Lock()
	defer l.mu.Unlock()
	log := make([]reference.Record, len(l.records))
	for i, r := range l.records {
		log[i] = reference.Record{Offset: r.Offset, TimestampMs: r.TimestampMs, Key: r.Key, Value: r.Value, Headers: r.Headers}
	}
	want := reference.Tables(log, Reference(Config{Epoch: 1, Partitions: 1, ControlKey: rigKey}, 0))
	t := tablesOf(want, func(e *reference.Event) *schemas.Event {
		return &schemas.Event{Network: []byte(e.Network), User: []byte(e.User), Source: []byte(e.Source), ID: []byte(e.ID)}
	})
	for _, r := range want.Rejects { // where memory keeps them
		t.put("rejects", t.progress, fmt.Sprintf("reject %d", r.Offset), r.Offset, r.Reason)
	}
	return t
}
