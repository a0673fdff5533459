package reference

import (
	"cmp"
	"maps"
	"slices"

	"daybook/pipeline/source"
	"daybook/schemas"
)

// tables collects what Tables finds.
type tables struct {
	*Result

	rules    Rules
	ledger   map[int64]*Ledger
	settings map[string]schemas.Control
	facts    map[user]User
	seen     map[user]struct{} // users who have a session or a fact
	accepted map[identity][]*Event
	keys     map[key][]*Event
	events   []*Event
	aside    map[int64]bool // by offset
}

type (
	user     struct{ network, user string }
	key      struct{ network, user, device string }
	identity struct{ network, user, source, id string }
)

func newTables(log []Record, r Rules) *tables {
	return &tables{
		Result: &Result{Progress: make(map[string]int64)}, rules: r,
		ledger: make(map[int64]*Ledger), settings: make(map[string]schemas.Control), facts: make(map[user]User),
		seen: make(map[user]struct{}), accepted: make(map[identity][]*Event), keys: make(map[key][]*Event),
		aside: setAside(log, r.Decode),
	}
}

// setAside finds the records that a later one sets aside.
func setAside(log []Record, decode func(*Record) Decoded) map[int64]bool {
	aside := make(map[int64]bool)
	for i := range log {
		if log[i].Skip == "" && IsControl(log[i].Headers) {
			if a := decode(&log[i]).SetAside; a != nil {
				aside[a.Offset] = true
			}
		}
	}
	return aside
}

// IsControl says whether a record claims to be a control record, by its headers:
// decoding any other may be what must not be done.
func IsControl(headers []source.Header) bool {
	return slices.ContainsFunc(headers, func(h source.Header) bool { return string(h.Key) == schemas.HeaderControl })
}

// decode gives what a record says, unless it was set aside.
func (t *tables) decode(r *Record) Decoded {
	if t.aside[r.Offset] {
		return Decoded{Reject: Reject{Reason: schemas.HandlerPanic.String()}}
	}
	return t.rules.Decode(r)
}

func userOf(e *Event) user { return user{e.Network, e.User} }

// block gives the ledger row of an offset and counts the offset as read.
func (t *tables) block(offset int64) *Ledger {
	first := offset - offset%t.rules.LedgerBlock
	l := t.ledger[first]
	if l == nil {
		l = &Ledger{
			Block: first, Size: int32(t.rules.LedgerBlock),
			NotRecorded: make(map[string]uint32), Rejected: make(map[string]uint32), Skipped: make(map[string]uint32),
		}
		t.ledger[first] = l
	}
	l.Next = offset + 1
	return l
}

// twins gives the accepted events that e would be a repeat of.
func (t *tables) twins(e *Event) (twins []*Event) {
	for _, x := range t.accepted[identity{e.Network, e.User, e.Source, e.ID}] {
		if d := x.TimeMs - e.TimeMs; -t.rules.RepeatMs <= d && d <= t.rules.RepeatMs {
			twins = append(twins, x)
		}
	}
	return twins
}

// set puts a setting, if there is one, in force if it is newer than what is.
func (t *tables) set(offset int64, c *schemas.Control) {
	if c == nil {
		return
	}
	if old, known := t.settings[c.Network]; !known || c.Position > old.Position {
		t.settings[c.Network] = *c
		t.Settings = append(t.Settings, Setting{offset, *c})
	}
}

func (t *tables) reject(r *Record, x Reject) {
	const maxRaw = 64 << 10 // TRUST.md section 2
	x.Offset, x.RawBytes = r.Offset, uint32(len(r.Value))
	x.Key, x.Raw = r.Key[:min(len(r.Key), maxRaw)], r.Value[:min(len(r.Value), maxRaw)]
	t.Rejects = append(t.Rejects, x)
}

// accept files an event under what is derived from it.
func (t *tables) accept(e *Event, d *Decoded) {
	t.events = append(t.events, e)
	id := identity{e.Network, e.User, e.Source, e.ID}
	t.accepted[id] = append(t.accepted[id], e)
	w := e.TimeMs - t.rules.OutOfOrder
	if old, ok := t.Progress[e.Network]; !ok || w > old {
		t.Progress[e.Network] = w
	}
	u := userOf(e)
	switch e.Kind {
	case schemas.KindSignal, schemas.KindLoggedOut, schemas.KindBackgrounded:
		k := key{e.Network, e.User, e.Device}
		t.keys[k] = append(t.keys[k], e)
		t.seen[u] = struct{}{}
	case schemas.KindUserFact:
		old := t.facts[u]
		t.facts[u] = User{e.Network, e.User, cmp.Or(d.FactZone, old.Zone), cmp.Or(d.FactName, old.Name)}
		t.UserFacts = append(t.UserFacts, UserFact{e.Offset, e.Network, e.User, t.facts[u].Zone, t.facts[u].Name})
		t.seen[u] = struct{}{}
	case schemas.KindOther:
	}
}

// session takes a run of events, sorted by time, for a session.
func (t *tables) session(es []*Event, end schemas.EndReason) {
	const ofFirst = schemas.FlagRobot | schemas.FlagClassUnknown
	first, last := es[0], es[len(es)-1]
	lowest := slices.MinFunc(es, func(a, b *Event) int { return cmp.Compare(a.Offset, b.Offset) })
	s := Session{
		Network: first.Network, User: first.User, Device: first.Device, StartMs: first.TimeMs, EndMs: last.TimeMs,
		Events: uint32(len(es)), Class: first.Class, Flags: first.Flags & ofFirst, Zone: lowest.Zone, GapMs: last.GapMs, End: end,
	}
	t.Sessions = append(t.Sessions, s)
	days := t.rules.Split(s.Zone, s.StartMs, s.EndMs)
	for i, d := range days {
		t.Slices = append(t.Slices, Slice{Session: s, Day: d, ContinuesFrom: i > 0, ContinuesTo: i+1 < len(days)})
	}
}

// sorted orders everything by identity.
func (t *tables) sorted() *Result {
	for _, e := range t.events {
		t.Events = append(t.Events, *e)
	}
	slices.SortFunc(t.Events, func(a, b Event) int {
		return cmp.Or(cmp.Compare(a.Network, b.Network), cmp.Compare(a.User, b.User), cmp.Compare(a.TimeMs, b.TimeMs), cmp.Compare(a.Source, b.Source), cmp.Compare(a.ID, b.ID))
	})
	slices.SortFunc(t.Sessions, func(a, b Session) int { return a.compare(&b) })
	slices.SortFunc(t.Slices, func(a, b Slice) int { return cmp.Or(a.compare(&b.Session), cmp.Compare(a.Date, b.Date)) })
	for _, block := range slices.Sorted(maps.Keys(t.ledger)) {
		t.Ledger = append(t.Ledger, *t.ledger[block])
	}
	for u := range t.seen {
		t.Users = append(t.Users, User{u.network, u.user, t.facts[u].Zone, t.facts[u].Name})
	}
	slices.SortFunc(t.Users, func(a, b User) int {
		return cmp.Or(cmp.Compare(a.Network, b.Network), cmp.Compare(a.User, b.User))
	})
	return t.Result
}

// compare orders sessions by identity.
func (s *Session) compare(o *Session) int {
	return cmp.Or(cmp.Compare(s.Network, o.Network), cmp.Compare(s.User, o.User), cmp.Compare(s.Device, o.Device), cmp.Compare(s.StartMs, o.StartMs))
}
