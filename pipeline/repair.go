package pipeline

import (
	"daybook/pipeline/sessionize"
	"daybook/schemas"
)

// storedRows yields what the tables show of sessions and slices of users, for a
// repair.
type storedRows func(q schemas.RowsQuery, yield func(*schemas.StoredRow) error) error

// examineRepair lets the users of a repair re-enter with the late records of the
// batch. What is too old to be told from the stored events is left out of it: rows
// of events that were deleted would be taken for rows that no event supports.
func (s *state) examineRepair(rec *record) {
	n := s.find([]byte(rec.repair.Network))
	if !n.known() {
		return
	}
	r := *rec.repair
	r.FromMs = max(r.FromMs, n.control.Oldest(rec.recordMs))
	if rec.repair = &r; r.ToMs < r.FromMs {
		r.Users = nil
	}
	from, to := s.window(r.FromMs).From, s.window(r.ToMs).To
	for _, id := range r.Users {
		x := n.late[id]
		if x == nil {
			x = &reentry{net: n, id: id, user: s.user(n, []byte(id))}
			n.late[id] = x
			s.reentered = append(s.reentered, x)
		}
		x.wanted = true
		x.windows = append(x.windows, sessionize.Window{From: from, To: to})
	}
}

// repair writes every session of the users that touches the span again, and
// withdraws what the tables show there although no event supports it. Only rows of
// versions up to this position are judged: a greater one comes of records that
// follow, applied by a worker that was further on. It ends its batch.
func (s *state) repair(r *schemas.Repair, offset int64) error {
	n := s.find([]byte(r.Network))
	if !n.known() {
		return nil
	}
	sessions, parts := map[[16]byte]bool{}, map[storedSlice]bool{}
	for _, id := range r.Users {
		u := s.user(n, []byte(id))
		if u == nil {
			continue
		}
		s.told[userRef{n, id}] = struct{}{}
		for k := range u.keys {
			s.before = s.rules.Session.Build(s.before[:0], k.Segs())
			for i := range s.before {
				x := &s.before[i]
				sessions[k.id(x.StartMs)] = true
				for _, d := range s.dates(&s.is, x) {
					parts[storedSlice{k.id(x.StartMs), d}] = true
				}
				if x.StartMs <= r.ToMs && x.EndMs >= r.FromMs {
					s.rewrite(k, x.StartMs)
				}
			}
		}
	}
	if s.storedRows == nil || len(r.Users) == 0 {
		return nil
	}
	q := schemas.RowsQuery{Version: schemas.Version(s.epoch, offset), Network: r.Network, Users: r.Users, FromMs: r.FromMs, ToMs: r.ToMs}
	return s.storedRows(q, func(row *schemas.StoredRow) error {
		switch {
		case row.Slice && !parts[storedSlice{row.ID, row.Date}]:
			s.straySlices = append(s.straySlices, schemas.SliceRow{
				Session: row.ID, Network: r.Network, User: row.User, Device: row.Device, Date: row.Date, SessionStart: row.StartMs, Zone: "UTC", Deleted: true,
			})
		case !row.Slice && !sessions[row.ID]:
			s.strays = append(s.strays, schemas.SessionRow{
				ID: row.ID, Network: r.Network, User: row.User, Device: row.Device, StartMs: row.StartMs, EndMs: row.StartMs, Zone: "UTC", Deleted: true,
			})
		}
		return nil
	})
}

// storedSlice is the identity of a slice.
type storedSlice struct {
	session [16]byte
	date    int32
}

// rewrite has a session written with the next flush, whenever it was written last.
func (s *state) rewrite(k *key, start int64) {
	*k.published(start) = published{start: start, done: 1}
	s.touch(k)
}
