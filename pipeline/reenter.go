package pipeline

import (
	"daybook/pipeline/dedupe"
	"daybook/pipeline/sessionize"
	"daybook/schemas"
)

// window is the span that re-enters around an event.
func (s *state) window(ms int64) sessionize.Window {
	d := s.rules.ReadBack + s.rules.MaxGap
	return sessionize.Window{From: ms - d, To: ms + d}
}

// reentry is what re-enters of one user.
type reentry struct {
	net     *network
	user    *user // nil if the state does not hold the user
	windows []sessionize.Window
	events  map[string][]sessionize.StoredEvent // by device
	seen    map[int64]struct{}                  // offsets in events
}

func newReentry(n *network, u *user) *reentry {
	return &reentry{net: n, user: u, events: make(map[string][]sessionize.StoredEvent), seen: make(map[int64]struct{})}
}

// reenterLate reads, at once, the stored events below the batch around each of
// its late records, and unites them with the state.
func (s *state) reenterLate(b *batch, read readBack) error {
	all := make(map[[2]string]*reentry)
	for i := range b.records {
		r := &b.records[i]
		if r.control != nil || r.reject.Reason != schemas.Accepted {
			continue
		}
		n := s.find(r.event.Network)
		if !n.known() || r.timeMs >= n.horizon {
			continue
		}
		id := [2]string{n.id, string(r.event.User)}
		x := all[id]
		if x == nil {
			x = newReentry(n, n.users[id[1]])
			all[id] = x
		}
		x.windows = append(x.windows, s.window(r.timeMs))
	}
	if len(all) == 0 {
		return nil
	}
	return s.reenter(all, read)
}

// reenterOne does the same for one user in the middle of a batch, where a
// summary could not decide. The accepted events of the batch in hand are not
// stored yet: they are united from its rows.
func (s *state) reenterOne(n *network, u *user, w sessionize.Window, read readBack) error {
	x := newReentry(n, u)
	x.windows = sessionize.Cover([]sessionize.Window{w}, u.segments(), s.rules.MaxGap)
	for i := range s.rows {
		r := &s.rows[i]
		if string(r.Event.User) == u.id && string(r.Event.Network) == n.id && inPresence(r.Event.Kind) && sessionize.Within(x.windows, r.TimeMs) {
			x.add(string(r.DeviceID), sessionize.StoredEvent{ID: string(r.Event.ID), Event: sessionize.Event{
				TimeMs: r.TimeMs, Offset: r.Offset, Gap: r.GapMs, Period: r.Period, Zone: s.zones.of(r.Zone),
				Class: r.Class, Flags: r.Flags & sessionFlags, Kind: r.Event.Kind,
			}})
		}
	}
	return s.reenter(map[[2]string]*reentry{{n.id, u.id}: x}, read)
}

// reenter reads the windows of the users and replaces what the state holds in
// them by single events.
func (s *state) reenter(all map[[2]string]*reentry, read readBack) error {
	var ask []schemas.EventsWindow
	for id, x := range all {
		x.windows = sessionize.Cover(x.windows, x.user.segments(), s.rules.MaxGap)
		for _, w := range x.windows {
			ask = append(ask, schemas.EventsWindow{Network: id[0], User: id[1], FromMs: w.From, ToMs: w.To})
		}
	}
	err := read(ask, func(e *schemas.StoredEvent) error {
		x := all[[2]string{e.Network, e.User}]
		if x == nil || e.Offset >= s.pos || !sessionize.Within(x.windows, e.TimeMs) {
			return nil
		}
		id := schemas.Event{Network: []byte(e.Network), User: []byte(e.User), Source: []byte(e.Source), ID: []byte(e.ID)}
		x.net.ids.Add(dedupe.Entry{ID: schemas.EventIdentity(&id), TimeMs: e.TimeMs, Content: e.Content})
		if inPresence(e.Kind) {
			x.add(e.Device, sessionize.StoredEvent{ID: e.ID, Event: sessionize.Event{
				TimeMs: e.TimeMs, Offset: e.Offset, Gap: e.GapMs, Period: e.Period, Zone: s.zones.of(e.Zone),
				Class: e.Class, Flags: e.Flags & sessionFlags, Kind: e.Kind,
			}})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for id, x := range all {
		s.counts.reentries++
		s.unite(id[1], x)
	}
	return nil
}

// unite puts what was read of one user into the state.
func (s *state) unite(userID string, x *reentry) {
	for device := range x.events {
		s.keyOf(x.net, []byte(userID), []byte(device))
	}
	u := x.net.users[userID]
	if u == nil {
		return // nothing stored, nothing held
	}
	s.hold(u)
	for _, k := range u.keys {
		if !k.Expanded() {
			s.expanded = append(s.expanded, k)
		}
		k.Expand(x.windows, x.events[k.device])
	}
}

// add takes a read event, once: a repeated or concurrent insert of the same
// rows may show it twice.
func (x *reentry) add(device string, e sessionize.StoredEvent) {
	if _, ok := x.seen[e.Offset]; !ok {
		x.seen[e.Offset] = struct{}{}
		x.events[device] = append(x.events[device], e)
	}
}

// segments gives the session states of a user's keys; none for a nil user.
func (u *user) segments() []*sessionize.Key {
	if u == nil {
		return nil
	}
	ks := make([]*sessionize.Key, len(u.keys))
	for i, k := range u.keys {
		ks[i] = &k.Key
	}
	return ks
}
