package simtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"daybook/pipeline"
	"daybook/pipeline/reference"
	"daybook/schemas"
)

// want gives the rows and events that the reference derives from the logs.
func (w *world) want() (events map[eventID]string, rows map[rowID]string) {
	events, rows = make(map[eventID]string), make(map[rowID]string)
	for p := range w.traffic.Partitions {
		log := w.readable(p)
		cfg := pipeline.Config{Epoch: 1, Partitions: w.traffic.Partitions, ControlKey: controlKey, Scale: w.plan.scale}
		r := reference.Tables(log, pipeline.Reference(cfg, p))
		for i := range r.Events {
			e := &r.Events[i]
			id := eventID{e.Network, e.User, e.Source, e.ID, e.TimeMs}
			events[id] = eventText(&schemas.StoredEvent{
				Offset: e.Offset, Device: e.Device, Kind: e.Kind, Class: e.Class, Flags: e.Flags, GapMs: e.GapMs, Period: e.Period, Zone: e.Zone, Content: e.Content,
			}, e.ReceivedMs)
		}
		f := &schemas.Flush{Partition: p}
		for _, s := range r.Sessions {
			f.Sessions = append(f.Sessions, schemas.SessionRow{
				Network: s.Network, User: s.User, Device: s.Device, StartMs: s.StartMs, EndMs: s.EndMs, Events: s.Events,
				Class: s.Class, Flags: s.Flags, Zone: s.Zone, GapMs: s.GapMs, End: s.End,
			})
		}
		for _, s := range r.Slices {
			f.Slices = append(f.Slices, schemas.SliceRow{
				Network: s.Network, User: s.User, Device: s.Device, Class: s.Class, Flags: s.Flags, Zone: s.Zone, Date: s.Date, Runs: s.Runs, Seconds: s.Seconds,
				SessionStart: s.StartMs, ContinuesFrom: s.ContinuesFrom, ContinuesTo: s.ContinuesTo,
			})
		}
		for _, l := range r.Ledger {
			f.Ledger = append(f.Ledger, schemas.LedgerRow(l))
		}
		for _, s := range r.Settings {
			f.Settings = append(f.Settings, schemas.SettingRow(s))
		}
		for _, u := range r.UserFacts {
			f.UserFacts = append(f.UserFacts, schemas.UserFactRow(u))
		}
		for _, u := range r.Users {
			f.Users = append(f.Users, schemas.UserRow(u))
		}
		for n, ms := range r.Progress {
			f.Progress = append(f.Progress, schemas.ProgressRow{Network: n, WatermarkMs: ms})
		}
		var flat flushed
		flat.Add(f)
		for _, x := range flat.rows {
			rows[x.id] = x.text
		}
		for _, x := range r.Rejects {
			rows[rowID{tableRejects, fmt.Sprintf("%d/%d", p, x.Offset)}] = rejectText(x.Reason, x.Key, x.Raw, x.RawBytes)
		}
	}
	return events, rows
}

// readable gives a partition's log as the reference reads it, and looks at what
// was set aside: only what panics may be.
func (w *world) readable(p int32) []reference.Record {
	var log []reference.Record
	for i := range w.logs[p].entries {
		e := &w.logs[p].entries[i]
		r := &e.record
		log = append(log, reference.Record{Offset: int64(i), TimestampMs: r.TimestampMs, Key: r.Key, Value: r.Value, Headers: r.Headers, Skip: e.skip})
		if schemas.IsSetAside(r.Value) {
			a, err := schemas.DecodeSetAside(r.Value)
			if err != nil {
				w.fail("a record that sets another aside: %v", err)
			} else if v := string(w.logs[p].entries[a.Offset].record.Value); !strings.Contains(v, poisonDecode) && !strings.Contains(v, poisonApply) {
				w.fail("a good record was set aside: %d/%d, %s", p, a.Offset, a.Reason)
			}
		}
	}
	return log
}

// compare tells how the tables differ from the reference; the caller holds the
// lock.
func (w *world) compare() {
	events, rows := w.want()
	var diffs []string
	for id, want := range events {
		got := w.store.events[id]
		switch {
		case got == nil:
			diffs = append(diffs, fmt.Sprintf("event %v is missing", id))
		case eventText(&got.event, got.received) != want:
			diffs = append(diffs, fmt.Sprintf("event %v: got %q, want %q", id, eventText(&got.event, got.received), want))
		}
	}
	for id := range w.store.events {
		if _, ok := events[id]; !ok {
			diffs = append(diffs, fmt.Sprintf("event %v is too many", id))
		}
	}
	for id, want := range rows {
		if got := w.store.rows[id].text; got != want {
			diffs = append(diffs, fmt.Sprintf("%s %s: got %q, want %q", id.table, id.id, got, want))
		}
	}
	for id, got := range w.store.rows {
		if _, ok := rows[id]; !ok && got.text != "" {
			diffs = append(diffs, fmt.Sprintf("%s %s: got %q, want none", id.table, id.id, got.text))
		}
	}
	slices.Sort(diffs)
	if len(diffs) > 0 {
		w.fail("%s", strings.Join(diffs[:min(len(diffs), 12)], "\n"))
	}
	w.addUp()
}

// addUp proves that every offset is in exactly one class, and that the classes
// agree with the tables.
func (w *world) addUp() {
	accepted, rejected := 0, 0
	for _, id := range slices.SortedFunc(maps.Keys(w.store.rows), func(a, b rowID) int { return strings.Compare(a.id, b.id) }) {
		switch id.table {
		case tableLedger:
			var n int
			if _, err := fmt.Sscanf(w.store.rows[id].text[strings.Index(w.store.rows[id].text, ": ")+2:], "%d accepted", &n); err != nil {
				w.fail("ledger %s: %v", id.id, err)
			}
			accepted += n
		case tableRejects:
			rejected++
		}
	}
	if accepted != len(w.store.events) {
		w.fail("the ledger counts %d accepted events, %d are stored", accepted, len(w.store.events))
	}
}
