package clickhouse_test

import (
	"fmt"
	"testing"
	"time"

	"daybook/clickhouse"
	"daybook/schemas"
)

// at reads an instant as milliseconds.
func at(tb testing.TB, rfc3339 string) int64 {
	tb.Helper()
	t, err := time.Parse(time.RFC3339Nano, rfc3339)
	if err != nil {
		tb.Fatal(err)
	}
	return t.UnixMilli()
}

// flush is an empty flush of partition 0 that ends at next.
func flush(next int64) *schemas.Flush {
	return &schemas.Flush{Topic: schemas.TopicEvents, Epoch: 1, Partition: 0, From: 0, Next: next}
}

// event makes an accepted signal.
func event(network, user, id string, offset, ms int64) schemas.EventRow {
	return schemas.EventRow{
		Event: &schemas.Event{
			ID: []byte(id), Source: []byte("unknown"), Network: []byte(network), User: []byte(user), TimeMs: ms,
			Type: []byte("io.daybook.presence.activity"),
		},
		Offset: offset, TimeMs: ms, ReceivedMs: ms, DeviceID: []byte("web"), Class: schemas.ClassWeb, GapMs: schemas.DefaultGapMs, Zone: "UTC",
	}
}

// session makes a session with slices as the pipeline would: a slice for each
// UTC date, which is enough where the zone does not matter.
func session(f *schemas.Flush, network, user, device string, class schemas.DeviceClass, fromMs, toMs int64, deleted bool) {
	id := schemas.SessionID(network, user, device, fromMs)
	f.Sessions = append(f.Sessions, schemas.SessionRow{
		ID: id, Network: network, User: user, Device: device, StartMs: fromMs, EndMs: toMs, Events: 2, Class: class, Zone: "UTC",
		GapMs: schemas.DefaultGapMs, Deleted: deleted,
	})
	from, to := fromMs/1000, toMs/1000
	for date := from / 86400; date <= to/86400; date++ {
		start, end := max(from, date*86400), min(to, (date+1)*86400)
		if start == end && start != from {
			break // ends at midnight: nothing shows the next date
		}
		f.Slices = append(f.Slices, schemas.SliceRow{
			Session: id, Network: network, User: user, Device: device, Class: class, Zone: "UTC", Date: int32(date),
			Runs: [][2]int64{{start, end}}, Seconds: int32(end - start), SessionStart: fromMs,
			ContinuesFrom: start != from, ContinuesTo: end != to, Deleted: deleted,
		})
	}
}

func write(tb testing.TB, s *clickhouse.Store, flushes ...*schemas.Flush) {
	tb.Helper()
	for _, f := range flushes {
		if err := s.Write(tb.Context(), f); err != nil {
			tb.Fatalf("write flush up to %d: %v", f.Next, err)
		}
	}
}

// merge makes ClickHouse merge what it would merge some day.
func merge(tb testing.TB, s *clickhouse.Store, tables ...string) {
	tb.Helper()
	for _, table := range tables {
		exec(tb, s, fmt.Sprintf("OPTIMIZE TABLE %s FINAL", table))
	}
}
