package deep

import (
	"context"
	"slices"

	"daybook/clickhouse/query"
	"daybook/clickhouse/verify"
	"daybook/pipeline/reference"
	"daybook/schemas"
)

// earlierEpochs takes the settings that were in force when the epoch began, and
// notes whose events are older.
func (r *run) earlierEpochs(ctx context.Context, h *history) error {
	args := at(h.place)
	for u, err := range verify.Rows[verify.UserKey](ctx, r.db, "(SELECT DISTINCT network_id, user_id FROM events_versions WHERE epoch < {epoch:UInt16})", args...) {
		if err != nil {
			return err
		}
		h.earlier[u] = struct{}{}
	}
	offset := int64(-1 << 40)
	for s, err := range verify.Rows[verify.SettingRow](ctx, r.db,
		"(SELECT * FROM settings_history_versions FINAL WHERE epoch < {epoch:UInt16} ORDER BY network_id, position DESC, epoch DESC, partition LIMIT 1 BY network_id)", args...) {
		if err != nil {
			return err
		}
		c, err := control(&s)
		if err != nil {
			return err
		}
		h.give(offset, reference.Decoded{Control: c})
		offset++
	}
	if len(h.earlier) > 0 && h.place.Partition == 0 {
		r.note("%d users have events of earlier epochs of the topic, whose log is gone: their rows and the ledger were not compared with the log", len(h.earlier))
	}
	return nil
}

// give lets what the tables say stand in for a record that the log lost.
func (h *history) give(offset int64, d reference.Decoded) {
	h.given[offset] = d
	h.records = append(h.records, reference.Record{Offset: offset})
}

// head takes what the tables say of the offsets that the log lost.
func (r *run) head(ctx context.Context, h *history) error {
	if h.start == 0 {
		return nil
	}
	args := append(at(h.place), query.Arg{Name: "start", Value: h.start})
	facts := map[int64]verify.FactRow{}
	for f, err := range verify.Rows[verify.FactRow](ctx, r.db, "user_facts WHERE "+here+" AND offset < {start:Int64}", args...) {
		if err != nil {
			return err
		}
		facts[f.Offset] = f
	}
	for s, err := range verify.Rows[verify.SettingRow](ctx, r.db, "settings_history_versions FINAL WHERE "+here+" AND offset < {start:Int64}", args...) {
		if err != nil {
			return err
		}
		c, err := control(&s)
		if err != nil {
			return err
		}
		h.give(s.Offset, reference.Decoded{Control: c})
	}
	for e, err := range verify.Rows[verify.EventRow](ctx, r.db, "events WHERE "+here+" AND offset < {start:Int64}", args...) {
		if err != nil {
			return err
		}
		h.give(e.Offset, reference.Decoded{Event: given(&e), FactZone: facts[e.Offset].Zone, FactName: facts[e.Offset].Name})
	}
	return nil
}

// readGaps notes the offsets that a person gave up: they were passed over also
// where the log still has them.
func (r *run) readGaps(ctx context.Context, h *history) error {
	for g, err := range verify.Rows[gap](ctx, r.db, "gaps WHERE "+here, at(h.place)...) {
		if err != nil {
			return err
		}
		h.gaps = append(h.gaps, g)
	}
	return nil
}

// gap is a recorded gap, [From, To).
type gap struct {
	From int64 `sql:"from_offset"`
	To   int64 `sql:"to_offset"`
}

// passed says whether an offset was given up.
func (h *history) passed(offset int64) bool {
	return slices.ContainsFunc(h.gaps, func(g gap) bool { return g.From <= offset && offset < g.To })
}

// given makes of a stored event what decoding its record gave.
func given(e *verify.EventRow) reference.Event {
	out := reference.Event{
		Network: e.Network, User: e.User, Source: e.Source, ID: e.ID, TimeMs: e.TimeMs, ReceivedMs: e.ReceivedMs, Device: e.Device,
		Class: schemas.ClassWeb, Content: e.Content,
	}
	if e.Class == schemas.ClassMobile.String() {
		out.Class = schemas.ClassMobile
	}
	for flag, set := range map[schemas.EventFlags]bool{schemas.FlagRobot: e.Robot, schemas.FlagClassUnknown: e.ClassUnknown, schemas.FlagTimeClamped: e.TimeClamped} {
		if set {
			out.Flags |= flag
		}
	}
	for _, k := range kinds() {
		if kindName(k) == e.Kind {
			out.Kind = k
		}
	}
	return out
}
