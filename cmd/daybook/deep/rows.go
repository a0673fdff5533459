package deep

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"daybook/clickhouse/verify"
	"daybook/pipeline/reference"
	"daybook/schemas"
	"daybook/schemas/zones"
)

// The cells that the tables must hold, made of what the reference says. They are
// spelled here once more, apart from the encoder that they judge.

func kinds() []schemas.Kind {
	return []schemas.Kind{schemas.KindSignal, schemas.KindLoggedOut, schemas.KindBackgrounded, schemas.KindUserFact, schemas.KindOther}
}

func kindName(k schemas.Kind) string {
	return [...]string{"signal", "logged_out", "backgrounded", "user_fact", "other"}[k]
}

// eventRow adds to what was decided about an event what its record says beside.
func (h *history) eventRow(e *reference.Event, d *schemas.Decoder) (row verify.EventRow, err error) {
	d.Reset()
	var said schemas.Event
	if x := d.Decode(h.records[e.Record].Value, &said); x.Reason != schemas.Accepted {
		return row, fmt.Errorf("decode the record at offset %d again: %s", e.Offset, x.Reason)
	}
	schemas.FillLabels(&said)
	return verify.EventRow{
		EventKey: keyOf(e), Offset: e.Offset, ReceivedMs: e.ReceivedMs, Device: e.Device, Class: e.Class.String(), Kind: kindName(e.Kind),
		Robot: e.Flags&schemas.FlagRobot != 0, ClassUnknown: e.Flags&schemas.FlagClassUnknown != 0, TimeClamped: e.Flags&schemas.FlagTimeClamped != 0,
		GapMs: uint32(e.GapMs), Period: e.Period, Zone: e.Zone, Content: e.Content,
		Type: string(said.Type), Category: string(said.Category), Action: string(said.Action), Label: string(said.Label),
		ContentID: string(said.ContentID), ContentName: string(said.ContentName), ContentSlug: string(said.ContentSlug),
		ContextZone: string(said.Zone), UserAgent: string(said.UserAgent), URL: string(said.URL), Props: string(said.Props),
	}, nil
}

func keyOf(e *reference.Event) verify.EventKey {
	return verify.EventKey{Network: e.Network, User: e.User, Source: e.Source, ID: e.ID, TimeMs: e.TimeMs}
}

// idOf spells a session's id as ClickHouse does.
func idOf(s *reference.Session) string {
	id := schemas.SessionID(s.Network, s.User, s.Device, s.StartMs)
	x := hex.EncodeToString(id[:])
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}

func sessionRow(s *reference.Session) verify.SessionRow {
	from, to := floorSecond(s.StartMs), floorSecond(s.EndMs)
	return verify.SessionRow{
		SessionKey: verify.SessionKey{Network: s.Network, User: s.User, Device: s.Device, StartedMs: s.StartMs},
		ID:         idOf(s), Class: s.Class.String(), Date: localDate(s.Zone, from), Started: from, Ended: to, Seconds: uint32(to - from), EndedMs: s.EndMs,
		EndReason: s.End.String(), Events: s.Events, Zone: s.Zone, GapMs: uint32(s.GapMs),
		Robot: s.Flags&schemas.FlagRobot != 0, ClassUnknown: s.Flags&schemas.FlagClassUnknown != 0,
	}
}

func sliceRow(s *reference.Slice) verify.SliceRow {
	from, to := floorSecond(s.StartMs), floorSecond(s.StartMs)
	runs := make([]string, len(s.Runs))
	for i, r := range s.Runs {
		runs[i] = strconv.FormatInt(r[0], 10) + "-" + strconv.FormatInt(r[1], 10)
	}
	if n := len(s.Runs); n > 0 {
		from, to = s.Runs[0][0], s.Runs[n-1][1]
	}
	return verify.SliceRow{
		SliceKey: verify.SliceKey{Network: s.Network, User: s.User, Date: s.Date, Session: idOf(&s.Session)},
		Device:   s.Device, Class: s.Class.String(), Started: from, Ended: to, Seconds: uint32(s.Seconds), Runs: strings.Join(runs, " "), Zone: s.Zone,
		StartedMs: s.StartMs, ContinuesFrom: s.ContinuesFrom, ContinuesTo: s.ContinuesTo,
		Robot: s.Flags&schemas.FlagRobot != 0, ClassUnknown: s.Flags&schemas.FlagClassUnknown != 0,
	}
}

// Instants that DateTime64(3) holds: a rejected record's timestamp may be any
// number and is clamped.
const (
	firstInstantMs = -2_208_988_800_000
	lastInstantMs  = 10_413_791_999_999
)

func (h *history) rejectRow(x *reference.Reject) verify.RejectRow {
	in := h.record(x.Offset)
	row := verify.RejectRow{
		OffsetKey: verify.OffsetKey{Offset: x.Offset}, Reason: x.Reason, Key: string(x.Key), Raw: string(x.Raw), RawBytes: x.RawBytes,
		RecordedMs: min(max(in.TimestampMs, firstInstantMs), lastInstantMs),
	}
	for _, header := range in.Headers {
		value := string(header.Value[:min(len(header.Value), 4<<10)])
		switch string(header.Key) {
		case schemas.HeaderFile:
			row.File = value
		case schemas.HeaderLine:
			row.Line, _ = strconv.ParseUint(value, 10, 64) // what is no number counts as 0
		}
	}
	return row
}

func settingRow(s *reference.Setting) verify.SettingRow {
	dark := make([]string, len(s.Control.Dark))
	for i, d := range s.Control.Dark {
		dark[i] = strconv.FormatInt(d.FromMs, 10) + "-" + strconv.FormatInt(d.ToMs, 10)
	}
	return verify.SettingRow{
		OffsetKey: verify.OffsetKey{Offset: s.Offset}, Network: s.Control.Network, Position: s.Control.Position, Title: s.Control.Title,
		Zone: s.Control.Zone, GapMs: uint32(s.Control.GapMs), Retention: uint32(s.Control.RetentionDays), Dark: strings.Join(dark, " "),
	}
}

// control makes a stored setting a control record again.
func control(s *verify.SettingRow) (*schemas.Control, error) {
	c := &schemas.Control{Network: s.Network, Position: s.Position, Title: s.Title, Zone: s.Zone, GapMs: int32(s.GapMs), RetentionDays: int32(s.Retention)}
	for span := range strings.FieldsSeq(s.Dark) {
		var d schemas.Dark
		if _, err := fmt.Sscanf(span, "%d-%d", &d.FromMs, &d.ToMs); err != nil {
			return nil, fmt.Errorf("read stored setting of network %s: %w", s.Network, err)
		}
		c.Dark = append(c.Dark, d)
	}
	return c, nil
}

func ledgerRow(l *reference.Ledger) verify.LedgerRow {
	return verify.LedgerRow{
		BlockKey: verify.BlockKey{Block: l.Block}, Size: l.Size, Next: l.Next, Accepted: l.Accepted, Duplicate: l.Duplicate, Conflicts: l.Conflicts,
		NotRecorded: counts(l.NotRecorded), Rejected: counts(l.Rejected), Skipped: counts(l.Skipped),
	}
}

func counts(m map[string]uint32) string {
	all := make([]string, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, k+"="+strconv.FormatUint(uint64(m[k]), 10))
	}
	return strings.Join(all, " ")
}

func floorSecond(ms int64) int64 {
	s := ms / 1000
	if ms%1000 < 0 {
		s--
	}
	return s
}

// localDate gives the date that a clock of the zone shows; a zone that the
// database lacks counts as UTC.
func localDate(zone string, second int64) int32 {
	loc, err := zones.Load(zone)
	if err != nil {
		loc = time.UTC
	}
	year, month, day := time.Unix(second, 0).In(loc).Date()
	return int32(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / 86_400)
}
