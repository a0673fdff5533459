package pipeline

import (
	"daybook/pipeline/dedupe"
	"daybook/pipeline/sessionize"
	"daybook/schemas"
)

// reentry is what re-enters of one user.
type reentry struct {
	net     *network
	id      string // of the user
	user    *user  // nil if the state does not hold the user
	wanted  bool   // the state cannot decide all of his late records
	idsTo   int64  // the ids that were read are kept in the past below; the batch may raise the horizon
	windows []sessionize.Window
	events  map[string][]sessionize.StoredEvent // by device
}

// window is the span that an event can touch.
func (s *state) window(ms int64) sessionize.Window {
	d := s.rules.ReadBack + s.rules.MaxGap
	return sessionize.Window{From: ms - d, To: ms + d}
}

// lookAhead widens what is read of a user towards the horizon: what follows on
// a late event in a history is likely to come next.
func (s *state) lookAhead(x *reentry) {
	for i := range x.windows {
		w := &x.windows[i]
		w.To = max(w.To, min(w.To+s.readAhead, x.net.horizon))
	}
}

// learnAhead fits how far is read ahead to what is found there: where little is
// stored the next batches of a history need not read at all, where much is
// stored a turn would take long. It decides speed alone.
func (s *state) learnAhead(users int, read int64) {
	switch perUser := read / int64(users); {
	case perUser < aheadFew:
		s.readAhead = min(2*s.readAhead, aheadSpan*s.rules.ReadAhead)
	case perUser > aheadMany:
		s.readAhead = s.rules.ReadAhead / aheadSpan
	}
}

// A user's read costs the engine a granule of 8192 rows whatever it finds, about
// as much as giving out some hundred of them. Measured: reading 60 days ahead in
// place of 7 took the engine's CPU of BenchmarkHistory from 43 to 22 µs an event.
const (
	aheadFew  = 200
	aheadMany = 1000
	aheadSpan = 8 // 7 days become 21 hours at least, 56 days at most
	// So many users of a batch are read ahead at most: what one read brings is then
	// bounded whatever was found before. The others' turn comes with the next batches.
	aheadUsers = 2000
)

// reenterLate reads, at once, the stored events below the batch around each of
// the late records that wait for it, those below an offset, and unites them with the
// state. Users of whom the state remembers enough are left out. Nothing of the batch is applied yet,
// and every earlier flush is durable.
func (s *state) reenterLate(slabs []*slab, until int64, read readBack) error {
	s.hand.all(slabs, until)
	s.examined = until
	for _, sl := range slabs {
		for i := range sl.below(until) {
			switch r := &sl.records[sl.at+i]; {
			case r.repair != nil:
				s.examineRepair(r)
			case r.control == nil && r.aside == nil && r.reject.Reason == schemas.Accepted:
				s.examine(r)
			}
		}
	}
	all := s.reentered[:0]
	for _, x := range s.reentered {
		if x.wanted {
			s.forget(x.user)
			x.user = s.user(x.net, []byte(x.id)) // he may be gone
			if len(all) < aheadUsers {
				s.lookAhead(x)
			}
			all = append(all, x)
		} else {
			delete(x.net.late, x.id)
		}
	}
	s.reentered = all
	if len(all) == 0 {
		s.hand.done()
		return nil
	}
	before := s.counts.readBack
	if err := s.reenter(all, read); err != nil {
		return err
	}
	s.learnAhead(len(all), s.counts.readBack-before)
	s.hand.done()
	return nil
}

// examine notes a record whose surroundings must re-enter.
func (s *state) examine(r *record) {
	n := s.find(r.event.Network)
	if !n.known() {
		return
	}
	late := r.timeMs < n.horizon
	if n.dark(r.timeMs) || n.dark(r.receivedMs) || n.control.TooOld(r.timeMs, r.receivedMs) {
		return
	}
	u := s.user(n, r.event.User)
	decided := s.decides(n, u, r)
	if !late && decided {
		return
	}
	x := n.late[string(r.event.User)]
	if x == nil {
		x = &reentry{net: n, id: string(r.event.User), user: u, idsTo: n.horizon - s.rules.Repeat}
		n.late[x.id] = x
		s.reentered = append(s.reentered, x)
	}
	x.wanted = x.wanted || !decided || !s.remembers(u, r.timeMs)
	x.windows = append(x.windows, s.window(r.timeMs))
}

// decides tells whether the summaries of a user can decide a record. They may
// change before it comes to that record: the batch then ends there.
func (s *state) decides(n *network, u *user, r *record) bool {
	if u == nil || !inPresence(r.event.Kind) {
		return true
	}
	k := u.key(r.device)
	return k == nil || k.Decides(&sessionize.Event{
		TimeMs: r.timeMs, Gap: n.control.GapMs, Period: n.period(r.timeMs), Class: r.class, Flags: r.flags & sessionFlags, Kind: r.event.Kind,
	})
}

// reenter reads the windows of the users and replaces what the state holds in
// them by single events.
func (s *state) reenter(all []*reentry, read readBack) error {
	var ask []schemas.EventsWindow
	byUser := make(map[[2]string]*reentry, len(all))
	for _, x := range all {
		byUser[[2]string{x.net.id, x.id}] = x
		x.windows = sessionize.Cover(x.windows, x.user.segments(), s.rules.MaxGap)
		for _, w := range x.windows {
			ask = append(ask, schemas.EventsWindow{Network: x.net.id, User: x.id, FromMs: w.From, ToMs: w.To})
		}
	}
	err := read(ask, func(e *schemas.StoredEvent) error {
		x := byUser[[2]string{e.Network, e.User}]
		if x == nil || e.Offset >= s.pos || !sessionize.Within(x.windows, e.TimeMs) {
			return nil
		}
		s.counts.readBack++
		x.net.history.readBack++
		id := schemas.Event{Network: []byte(e.Network), User: []byte(e.User), Source: []byte(e.Source), ID: []byte(e.ID)}
		s.keepID(x.net, dedupe.Entry{ID: schemas.EventIdentity(&id), TimeMs: e.TimeMs, Content: e.Content})
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
	for _, x := range all {
		s.counts.reentries++
		x.net.history.reentries++
		s.unite(x)
	}
	return nil
}

// unite puts what was read of one user into the state.
func (s *state) unite(x *reentry) {
	for device := range x.events {
		s.keyOf(x.net, []byte(x.id), []byte(device))
	}
	u := s.user(x.net, []byte(x.id))
	if u == nil {
		return // nothing stored, nothing held
	}
	s.hold(u)
	for k := range u.keys {
		if !k.Expanded() {
			s.expanded = append(s.expanded, k)
		}
		k.Expand(x.windows, x.events[k.device()])
	}
	x.events = nil
}

// add takes a read event.
func (x *reentry) add(device string, e sessionize.StoredEvent) {
	if x.events == nil {
		x.events = make(map[string][]sessionize.StoredEvent, 1)
	}
	x.events[device] = append(x.events[device], e)
}

// segments gives the session states of a user's keys; none for a nil user.
func (u *user) segments() []*sessionize.Key {
	if u == nil {
		return nil
	}
	var ks []*sessionize.Key
	for k := range u.keys {
		ks = append(ks, &k.Key)
	}
	return ks
}
