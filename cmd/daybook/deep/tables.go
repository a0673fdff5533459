package deep

import (
	"daybook/clickhouse/query"
	"daybook/clickhouse/verify"
	"daybook/pipeline/reference"
	"daybook/schemas"
)

func (d *reader) args() []query.Arg {
	return append(at(d.h.place), query.Arg{Name: "start", Value: d.h.start})
}

// kept is the condition on rows of records that the log still has and that were
// stored when the run began.
const kept = here + " AND offset >= {start:Int64} AND offset < {stored:Int64}"

func (d *reader) events() error {
	var all []*reference.Event
	for i := range d.h.Events {
		if d.h.Events[i].Offset >= d.h.start {
			all = append(all, &d.h.Events[i])
		}
	}
	decoder := new(schemas.Decoder)
	return compare(d, table[verify.EventKey, verify.EventRow]{
		name: "events", n: len(all),
		key:    func(i int) verify.EventKey { return keyOf(all[i]) },
		row:    func(i int) (verify.EventRow, error) { return d.h.eventRow(all[i], decoder) },
		of:     func(e verify.EventRow) verify.EventKey { return e.EventKey },
		judged: func(k verify.EventKey) bool { return d.h.stable(k.Network, k.User) },
		stored: verify.Rows[verify.EventRow](d.ctx, d.db, "events WHERE "+kept, d.args()...),
	})
}

func (d *reader) rejects() error {
	return compare(d, table[verify.OffsetKey, verify.RejectRow]{
		name: "rejects", n: len(d.h.Rejects),
		key:    func(i int) verify.OffsetKey { return verify.OffsetKey{Offset: d.h.Rejects[i].Offset} },
		row:    func(i int) (verify.RejectRow, error) { return d.h.rejectRow(&d.h.Rejects[i]), nil },
		of:     func(x verify.RejectRow) verify.OffsetKey { return x.OffsetKey },
		stored: verify.Rows[verify.RejectRow](d.ctx, d.db, "rejects WHERE "+kept, d.args()...),
	})
}

func (d *reader) settings() error {
	var all []*reference.Setting
	for i := range d.h.Settings {
		if d.h.Settings[i].Offset >= d.h.start {
			all = append(all, &d.h.Settings[i])
		}
	}
	return compare(d, table[verify.OffsetKey, verify.SettingRow]{
		name: "settings_history", n: len(all),
		key:    func(i int) verify.OffsetKey { return verify.OffsetKey{Offset: all[i].Offset} },
		row:    func(i int) (verify.SettingRow, error) { return settingRow(all[i]), nil },
		of:     func(x verify.SettingRow) verify.OffsetKey { return x.OffsetKey },
		stored: verify.Rows[verify.SettingRow](d.ctx, d.db, "settings_history_versions FINAL WHERE "+kept, d.args()...),
	})
}

func (d *reader) facts() error {
	var all []*reference.UserFact
	users := map[int64]verify.UserKey{}
	for i := range d.h.UserFacts {
		f := &d.h.UserFacts[i]
		if f.Offset >= d.h.start {
			all = append(all, f)
			users[f.Offset] = verify.UserKey{Network: f.Network, User: f.User}
		}
	}
	return compare(d, table[verify.OffsetKey, verify.FactRow]{
		name: "user_facts", n: len(all),
		key: func(i int) verify.OffsetKey { return verify.OffsetKey{Offset: all[i].Offset} },
		row: func(i int) (verify.FactRow, error) {
			f := all[i]
			return verify.FactRow{OffsetKey: verify.OffsetKey{Offset: f.Offset}, Network: f.Network, User: f.User, Zone: f.Zone, Name: f.Name}, nil
		},
		of:     func(x verify.FactRow) verify.OffsetKey { return x.OffsetKey },
		judged: func(k verify.OffsetKey) bool { return d.h.stable(users[k.Offset].Network, users[k.Offset].User) },
		stored: verify.Rows[verify.FactRow](d.ctx, d.db, "user_facts WHERE "+kept, d.args()...),
	})
}

// ledger compares the blocks that lie in the log and have not been read further
// since the run began.
func (d *reader) ledger() error {
	if len(d.h.earlier) > 0 {
		return nil
	}
	var all []*reference.Ledger
	for i := range d.h.Ledger {
		if d.h.Ledger[i].Block >= d.h.start {
			all = append(all, &d.h.Ledger[i])
		}
	}
	moved := map[verify.BlockKey]bool{}
	rows := verify.Rows[verify.LedgerRow](d.ctx, d.db, "ledger WHERE "+here+" AND block >= {start:Int64} AND block < {stored:Int64}", d.args()...)
	return compare(d, table[verify.BlockKey, verify.LedgerRow]{
		name: "ledger", n: len(all),
		key: func(i int) verify.BlockKey { return verify.BlockKey{Block: all[i].Block} },
		row: func(i int) (verify.LedgerRow, error) { return ledgerRow(all[i]), nil },
		of: func(x verify.LedgerRow) verify.BlockKey {
			moved[x.BlockKey] = x.Next > d.h.place.Stored
			return x.BlockKey
		},
		judged: func(k verify.BlockKey) bool { return !moved[k] },
		stored: rows,
	})
}

func (d *reader) progress() error {
	var all []verify.ProgressRow
	skip := map[verify.NetworkKey]bool{} // watermarks that may come from another epoch
	for u := range d.h.earlier {
		skip[verify.NetworkKey{Network: u.Network}] = true
	}
	for network, w := range d.h.Progress {
		all = append(all, verify.ProgressRow{NetworkKey: verify.NetworkKey{Network: network}, WatermarkMs: w})
	}
	for n, err := range verify.Rows[verify.NetworkKey](d.ctx, d.db, "progress WHERE "+here+" AND next_offset > {stored:Int64}", d.args()...) {
		if err != nil {
			return err
		}
		skip[n] = true
	}
	return compare(d, table[verify.NetworkKey, verify.ProgressRow]{
		name: "progress", n: len(all),
		key:    func(i int) verify.NetworkKey { return all[i].NetworkKey },
		row:    func(i int) (verify.ProgressRow, error) { return all[i], nil },
		of:     func(x verify.ProgressRow) verify.NetworkKey { return x.NetworkKey },
		judged: func(k verify.NetworkKey) bool { return !skip[k] },
		stored: verify.Rows[verify.ProgressRow](d.ctx, d.db, "progress WHERE "+here, d.args()...),
	})
}

func (d *reader) users() error {
	return compare(d, table[verify.UserKey, verify.UserRow]{
		name: "users", n: len(d.h.Users),
		key: func(i int) verify.UserKey {
			return verify.UserKey{Network: d.h.Users[i].Network, User: d.h.Users[i].User}
		},
		row: func(i int) (verify.UserRow, error) {
			u := &d.h.Users[i]
			return verify.UserRow{UserKey: verify.UserKey{Network: u.Network, User: u.User}, Zone: u.Zone, Name: u.Name}, nil
		},
		of:     func(x verify.UserRow) verify.UserKey { return x.UserKey },
		judged: func(k verify.UserKey) bool { return d.h.judged(k.Network, k.User) },
		stored: verify.Rows[verify.UserRow](d.ctx, d.db, "users WHERE "+here, d.args()...),
	})
}

func (d *reader) sessions() error {
	return compare(d, table[verify.SessionKey, verify.SessionRow]{
		name: "sessions", n: len(d.h.Sessions),
		key: func(i int) verify.SessionKey {
			s := &d.h.Sessions[i]
			return verify.SessionKey{Network: s.Network, User: s.User, Device: s.Device, StartedMs: s.StartMs}
		},
		row:    func(i int) (verify.SessionRow, error) { return sessionRow(&d.h.Sessions[i]), nil },
		of:     func(x verify.SessionRow) verify.SessionKey { return x.SessionKey },
		judged: func(k verify.SessionKey) bool { return d.h.judged(k.Network, k.User) },
		stored: verify.Rows[verify.SessionRow](d.ctx, d.db, "sessions_versions FINAL WHERE "+here, d.args()...),
	})
}

func (d *reader) slices() error {
	return compare(d, table[verify.SliceKey, verify.SliceRow]{
		name: "session_days", n: len(d.h.Slices),
		key:    func(i int) verify.SliceKey { return sliceRow(&d.h.Slices[i]).SliceKey },
		row:    func(i int) (verify.SliceRow, error) { return sliceRow(&d.h.Slices[i]), nil },
		of:     func(x verify.SliceRow) verify.SliceKey { return x.SliceKey },
		judged: func(k verify.SliceKey) bool { return d.h.judged(k.Network, k.User) },
		stored: verify.Rows[verify.SliceRow](d.ctx, d.db, "session_days_versions FINAL WHERE "+here, d.args()...),
	})
}
