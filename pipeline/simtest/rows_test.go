package simtest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"daybook/schemas"
)

// The tables of replaceable rows.
const (
	tableSessions = "session"
	tableSlices   = "slice"
	tableRejects  = "reject"
	tableLedger   = "ledger"
	tableProgress = "progress"
	tableUsers    = "user"
	tableSettings = "setting"
	tableFacts    = "fact"
)

// Release implements schemas.Rows.
func (out *flushed) Release() {}

// Add implements schemas.Rows: it copies, for the worker uses the memory again.
func (out *flushed) Add(f *schemas.Flush) {
	out.next, out.partition = f.Next, f.Partition
	for i := range f.Events {
		e := &f.Events[i]
		out.events = append(out.events, stored{partition: f.Partition, received: e.ReceivedMs, event: schemas.StoredEvent{
			Offset: e.Offset, Network: string(e.Event.Network), User: string(e.Event.User), Device: string(e.DeviceID), Source: string(e.Event.Source),
			ID: string(e.Event.ID), TimeMs: e.TimeMs, Kind: e.Event.Kind, Class: e.Class, Flags: e.Flags &^ schemas.FlagLate,
			GapMs: e.GapMs, Period: e.Period, Zone: e.Zone, Content: e.Content,
		}})
	}
	add := func(table, id, text string) { out.rows = append(out.rows, row{rowID{table, id}, text, f.Next}) }
	place := func(at int64) string { return fmt.Sprintf("%d/%d", f.Partition, at) }
	for i := range f.Rejects {
		r := &f.Rejects[i]
		add(tableRejects, place(r.Offset), rejectText(r.Reason.String(), r.Key, r.Raw, r.RawBytes))
	}
	for i := range f.Settings {
		add(tableSettings, place(f.Settings[i].Offset), fmt.Sprintf("%+v", f.Settings[i].Control))
	}
	for _, u := range f.UserFacts {
		add(tableFacts, place(u.Offset), fmt.Sprintf("%s/%s %s %s", u.Network, u.User, u.Zone, u.Name))
	}
	for i := range f.Sessions {
		add(tableSessions, sessionName(&f.Sessions[i]), sessionText(&f.Sessions[i]))
	}
	for i := range f.Slices {
		s := &f.Slices[i]
		add(tableSlices, sliceName(s.Network, s.User, s.Device, s.SessionStart, s.Date), sliceText(s))
	}
	for _, u := range f.Users {
		add(tableUsers, u.Network+"/"+u.User, fmt.Sprintf("%q %q", u.Zone, u.Name))
	}
	for _, p := range f.Progress {
		add(tableProgress, fmt.Sprintf("%d/%s", f.Partition, p.Network), strconv.FormatInt(p.WatermarkMs, 10))
	}
	for i := range f.Ledger {
		add(tableLedger, place(f.Ledger[i].Block), ledgerText(&f.Ledger[i]))
	}
}

func sessionName(s *schemas.SessionRow) string {
	return fmt.Sprintf("%s/%s/%s from %d", s.Network, s.User, s.Device, s.StartMs)
}

func sliceName(network, user, device string, start int64, date int32) string {
	return fmt.Sprintf("%s/%s/%s from %d on %d", network, user, device, start, date)
}

func rejectText(reason string, key, raw []byte, n uint32) string {
	return fmt.Sprintf("%s %q %q %d", reason, key, raw, n)
}

func sessionText(s *schemas.SessionRow) string {
	if s.Deleted {
		return ""
	}
	return fmt.Sprintf("to %d, %d events, %s %d, %s, %s, gap %d", s.EndMs, s.Events, s.Class, s.Flags, s.Zone, s.End, s.GapMs)
}

func sliceText(s *schemas.SliceRow) string {
	if s.Deleted {
		return ""
	}
	return fmt.Sprintf("%v %d %s %s %d %t %t", s.Runs, s.Seconds, s.Zone, s.Class, s.Flags, s.ContinuesFrom, s.ContinuesTo)
}

func ledgerText(l *schemas.LedgerRow) string {
	return fmt.Sprintf("next %d: %d accepted, %d duplicate (%d conflicts), %v %v %v", l.Next, l.Accepted, l.Duplicate, l.Conflicts, l.NotRecorded, l.Rejected, l.Skipped)
}

// coldHistory gives the newest settings and facts below an offset from their
// history; the caller holds the lock.
func (w *world) coldHistory(partition int32, below int64) (settings []schemas.SettingRow, facts []schemas.UserFactRow) {
	newestSetting, newestFact := make(map[string]schemas.SettingRow), make(map[string]schemas.UserFactRow)
	for id := range w.store.rows {
		if id.table != tableSettings && id.table != tableFacts {
			continue
		}
		p, at, _ := strings.Cut(id.id, "/")
		offset, err := strconv.ParseInt(at, 10, 64)
		if err != nil || p != strconv.Itoa(int(partition)) || offset >= below {
			continue
		}
		if id.table == tableSettings {
			c, err := schemas.DecodeControl(w.logs[partition].entries[offset].record.Value)
			if err != nil {
				w.fail("the setting at %d/%d: %v", partition, offset, err)
			}
			if old, ok := newestSetting[c.Network]; !ok || offset > old.Offset {
				newestSetting[c.Network] = schemas.SettingRow{Offset: offset, Control: c}
			}
			continue
		}
		f := schemas.UserFactRow{Offset: offset}
		name, rest, _ := strings.Cut(w.store.rows[id].text, " ")
		f.Network, f.User, _ = strings.Cut(name, "/")
		f.Zone, f.Name, _ = strings.Cut(rest, " ")
		if old, ok := newestFact[name]; !ok || offset > old.Offset {
			newestFact[name] = f
		}
	}
	for _, s := range newestSetting {
		settings = append(settings, s)
	}
	for _, f := range newestFact {
		facts = append(facts, f)
	}
	slices.SortFunc(settings, func(a, b schemas.SettingRow) int { return cmp.Compare(a.Offset, b.Offset) })
	slices.SortFunc(facts, func(a, b schemas.UserFactRow) int { return cmp.Compare(a.Offset, b.Offset) })
	return settings, facts
}
