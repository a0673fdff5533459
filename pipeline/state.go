package pipeline

import (
	"math"

	"daybook/pipeline/dedupe"
	"daybook/pipeline/enrich"
	"daybook/pipeline/sessionize"
	"daybook/schemas"
)

// never is the horizon and watermark of a network without any event: every
// time is later.
const never = math.MinInt64 / 4

// state is what a partition's worker knows: a cache of what the stored events
// say, as far as an event at or after the horizon of its network could need it
// (ARCHITECTURE.md section 4.5). One goroutine owns it (I1). Position and
// contents are one fact (I3): the state reflects exactly the records below pos.
type state struct {
	rules      *Rules
	epoch      uint16
	partition  int32
	partitions int32

	pos      int64 // next offset
	networks map[string]*network
	poison   *poison  // told which record is applied; nil where nobody asks
	lastNet  *network // found last: records of a network come together
	zones    symbols
	ledger   map[int64]*schemas.LedgerRow // by first offset: blocks that are not complete, or not written since they changed

	// Of the batch in hand; handed over by takeFlush.
	from      int64
	rows      []schemas.EventRow
	rejects   []schemas.RejectRow
	settings  []schemas.SettingRow
	facts     []schemas.UserFactRow
	users     map[userRef]struct{} // users that entered the state, or of whom a fact changed
	touched   []*key               // keys with changed sessions or tombstones; throttled ones stay over a flush
	expanded  []*key               // keys that hold re-entered events
	past      past
	readAhead int64               // how far is read ahead now, ms
	reentered []*reentry          // of the batch in hand: what was read for its late records
	rowIndex  map[[2]string][]int // of rows below indexed, by network and user
	indexed   int
	now       int64    // wall clock of the last flush, ms
	sessions  int      // keys with segments: the gauge of open sessions
	owed      int      // keys in touched that a capture has seen there
	capture   *capture // in the making; nil if none
	captures  uint32   // begun so far
	counts    counts   // since observe took them last

	before, after []sessionize.Session // scratch of change
	was, is       []int32              // scratch of dates
	parts         []enrich.Slice       // scratch of live
	runs          [][2]int64           // of the slices of the flush in hand

	storedRows  storedRows           // for repairs; nil: none are withdrawn
	strays      []schemas.SessionRow // tombstones of rows that no event supports
	straySlices []schemas.SliceRow

	sessionRows []schemas.SessionRow // memory for the next flush
	sliceRows   []schemas.SliceRow
}

// counts are what the metrics are fed with.
type counts struct {
	duplicates, conflicts, late, reentries, readBack int64
	notRecorded, skipped                             map[string]int64
}

func newCounts() counts {
	return counts{notRecorded: make(map[string]int64), skipped: make(map[string]int64)}
}

// network is what a partition knows of one network.
type network struct {
	id       string
	control  schemas.Control
	zone     string
	greatest int64 // greatest accepted event time; never if none
	horizon  int64 // B
	wanted   int64 // B is moved up to here with the next flush (memory limit, tests)
	written  int64 // greatest as of the last progress row
	ids      *dedupe.Set
	history  lateCounts
	facts    map[string]fact
	users    map[string]*user
	late     map[string]*reentry // of the batch in hand, by user
	list     []*user             // users, in any order: a capture walks them while they come and go
	captured int                 // place among the networks of the last capture
	expiry   map[int64][]*key    // by bucket of (end of first chain + gap): when to look whether a key can leave
	nextDue  int64               // no bucket below is filled
}

// fact is what the directory said of a user.
type fact struct{ zone, name string }

// userRef names a user of a network.
type userRef struct {
	net *network
	id  string
}

// user holds the keys of one user: one a device.
type user struct {
	id       string
	net      *network
	at       int    // in net.list
	captured uint32 // number of the last capture that has written the user down
	keys     []*key
	devices  map[string]*key     // keys by device; nil while they are few
	known    []sessionize.Window // spans before the horizon of which everything stored is in the state; nil if none
	idsTo    int64               // … and every id before this instant is in past
	turn     uint32              // of past, in which that was read
	first    [1]*key             // memory of keys
}

// fewDevices is how many keys of a user are looked through one by one. People
// have two or three devices; a client that makes a new id each time has no end.
const fewDevices = 8

// key gives the key of a device; nil if the state holds none.
func (u *user) key(device []byte) *key {
	if u.devices != nil {
		return u.devices[string(device)]
	}
	for _, k := range u.keys {
		if k.device == string(device) {
			return k
		}
	}
	return nil
}

// add puts in a key.
func (u *user) add(k *key) {
	k.at = len(u.keys)
	u.keys = append(u.keys, k)
	if len(u.keys) == fewDevices+1 {
		u.devices = make(map[string]*key, 2*len(u.keys))
		for _, o := range u.keys {
			u.devices[o.device] = o
		}
	} else if u.devices != nil {
		u.devices[k.device] = k
	}
}

// remove takes out a key.
func (u *user) remove(k *key) {
	last := len(u.keys) - 1
	u.keys[k.at] = u.keys[last]
	u.keys[k.at].at = k.at
	u.keys[last] = nil
	u.keys = u.keys[:last]
	if u.devices != nil {
		delete(u.devices, k.device)
	}
}

// key is one (network, user, device).
type key struct {
	sessionize.Key

	net        *network
	user       *user
	device     string
	at         int         // in user.keys
	sessions   []published // by start
	tombs      []int64     // starts of sessions that existed after some record and ceased to
	sliceTombs []sliceTomb // likewise slices
	touched    bool        // in state.touched
	owed       bool        // likewise, since the last capture was begun
	queued     bool        // in network.expiry
	dead       bool        // left the state; the expiry queue may still hold it

	firstSession [1]published          // memory of sessions
	firstSegment [1]sessionize.Segment // memory of Segs
}

// published is what was done about a session of a key since it is in the state.
type published struct {
	start   int64
	written int64 // wall clock, ms, of its last row; 0 if none
	dirty   bool  // changed since
}

// sliceTomb names a (session, date) that ceased to exist.
type sliceTomb struct {
	start int64
	date  int32
}

// newState makes the state of a partition of which nothing is known.
func newState(rules *Rules, epoch uint16, partition, partitions int32, pos int64) *state {
	return &state{
		rules: rules, epoch: epoch, partition: partition, partitions: partitions, pos: pos, from: pos,
		networks: make(map[string]*network), ledger: make(map[int64]*schemas.LedgerRow),
		zones: newSymbols(), users: make(map[userRef]struct{}), counts: newCounts(),
		past: newPast(rules), readAhead: rules.ReadAhead,
	}
}

// network gives the entry of a network that a control record or storage told
// of, making it if needed. Entries are never dropped: a network that the state
// does not know would have to be treated like a cold start.
func (s *state) network(id string) *network {
	n := s.networks[id]
	if n == nil {
		n = &network{
			id: id, zone: "UTC", greatest: never, horizon: never, wanted: never, written: never,
			control: schemas.Control{Network: id, Position: -1, GapMs: schemas.DefaultGapMs},
			ids:     dedupe.NewSet(s.rules.Repeat, s.rules.LeastIDs), facts: make(map[string]fact), users: make(map[string]*user),
			late: make(map[string]*reentry), expiry: make(map[int64][]*key), nextDue: math.MaxInt64,
		}
		s.networks[id] = n
	}
	return n
}

// find gives the entry of a record's network; nil if there is none.
func (s *state) find(id []byte) *network {
	if s.lastNet == nil || s.lastNet.id != string(id) {
		n := s.networks[string(id)]
		if n == nil {
			return nil
		}
		s.lastNet = n
	}
	return s.lastNet
}

// set puts a control in force if it is newer than what is.
func (n *network) set(c *schemas.Control) bool {
	if c.Position <= n.control.Position {
		return false
	}
	n.control, n.zone = *c, c.Zone
	if n.zone == "" {
		n.zone = "UTC"
	}
	return true
}

// known says whether a control record has made the network.
func (n *network) known() bool { return n != nil && n.control.Position >= 0 }

// zoneOf gives the zone that a user's event is stamped with.
func (n *network) zoneOf(user []byte) string {
	if len(n.facts) > 0 {
		if f, ok := n.facts[string(user)]; ok && f.zone != "" {
			return f.zone
		}
	}
	return n.zone
}

// period numbers the recording period that an instant falls into.
func (n *network) period(ms int64) uint16 {
	p := uint16(0)
	for i := range n.control.Dark {
		if n.control.Dark[i].FromMs <= ms {
			p++
		}
	}
	return p
}

// dark says whether nothing is recorded at an instant.
func (n *network) dark(ms int64) bool {
	for _, d := range n.control.Dark {
		if d.FromMs <= ms && ms < d.ToMs {
			return true
		}
	}
	return false
}

// watermark gives W: the greatest accepted event time minus the out-of-orderness.
func (n *network) watermark(r *Rules) int64 { return n.greatest - r.OutOfOrder }

// keyOf gives the key of a device, making user and key if needed. A user that
// enters the state is told to the users table.
func (s *state) keyOf(n *network, userID, device []byte) *key {
	u := n.users[string(userID)]
	if u == nil {
		u = &user{id: string(userID), net: n, at: len(n.list), captured: s.captures}
		u.keys = u.first[:0]
		n.users[u.id] = u
		n.list = append(n.list, u)
		s.users[userRef{n, u.id}] = struct{}{}
	}
	s.hold(u)
	if k := u.key(device); k != nil {
		return k
	}
	k := &key{net: n, user: u, device: string(device)}
	k.sessions, k.Segs = k.firstSession[:0], k.firstSegment[:0]
	u.add(k)
	s.sessions++
	return k
}

// drop takes a key without segments out of the state.
func (s *state) drop(k *key) {
	k.dead = true
	s.sessions--
	k.user.remove(k)
	if len(k.user.keys) == 0 {
		k.net.remove(k.user)
	}
}

// remove takes out a user without keys.
func (n *network) remove(u *user) {
	delete(n.users, u.id)
	last := len(n.list) - 1
	n.list[u.at] = n.list[last]
	n.list[u.at].at = u.at
	n.list[last] = nil
	n.list = n.list[:last]
}

// grow makes room for this many users at once.
func (n *network) grow(users int) {
	if len(n.users) == 0 && users > 0 {
		n.users, n.list = make(map[string]*user, users), make([]*user, 0, users)
	}
}

// block gives the ledger row that accounts for an offset.
func (s *state) block(offset int64) *schemas.LedgerRow {
	first := offset - offset%s.rules.LedgerBlock
	b := s.ledger[first]
	if b == nil {
		b = &schemas.LedgerRow{
			Block: first, Size: int32(s.rules.LedgerBlock), Next: first,
			NotRecorded: map[string]uint32{}, Rejected: map[string]uint32{}, Skipped: map[string]uint32{},
		}
		s.ledger[first] = b
	}
	return b
}

// symbols numbers zone names, so that a segment needs two bytes for its zone.
type symbols struct {
	byName map[string]uint16
	names  []string
	last   uint16 // asked for last: most events of a network have its zone
}

func newSymbols() symbols { return symbols{byName: make(map[string]uint16)} }

// of gives the number of a name.
func (y *symbols) of(name string) uint16 {
	if int(y.last) < len(y.names) && y.names[y.last] == name {
		return y.last
	}
	if i, ok := y.byName[name]; ok {
		y.last = i
		return i
	}
	if len(y.names) > math.MaxUint16 {
		panic("invariant: more zone names than the IANA database has") // names are checked against it before
	}
	i := uint16(len(y.names))
	y.names = append(y.names, name)
	y.byName[name] = i
	return i
}

// name gives the name of a number.
func (y *symbols) name(i uint16) string { return y.names[i] }
