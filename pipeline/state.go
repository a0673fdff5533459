package pipeline

import (
	"hash/maphash"
	"math"
	"sync"

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

	pos       int64 // next offset
	networks  map[string]*network
	order     []*network // networks in the order in which they came
	users     users
	hand      hand     // which record is applied
	lastNet   *network // found last: records of a network come together
	zones     symbols
	lastBlock *schemas.LedgerRow           // of ledger, found last
	ledger    map[int64]*schemas.LedgerRow // by first offset: blocks that are not complete, or not written since they changed

	// Of the batch in hand; handed over by takeFlush.
	from      int64
	rows      []schemas.EventRow
	rejects   []schemas.RejectRow
	settings  []schemas.SettingRow
	facts     []schemas.UserFactRow
	entered   []userRef            // users that entered the state
	told      map[userRef]struct{} // users of whom a fact changed, or whose row is to be written again
	touched   int                  // keys with changed sessions or tombstones (network.waiting)
	expanded  []*key               // keys that hold re-entered events
	past      past
	readAhead int64      // how far is read ahead now, ms
	reentered []*reentry // of the batch in hand: what was read for its late records
	examined  int64      // what records below it need has been read back for this batch
	stopped   int64      // offset at which advance stopped last; -1 if none
	now       int64      // wall clock of the last flush, ms
	sessions  int        // keys with segments: the gauge of open sessions
	owed      int        // touched keys that were so when the last capture was begun
	capture   *capture   // in the making; nil if none
	captures  uint32     // begun so far
	counts    counts     // since observe took them last

	before, after []sessionize.Session // scratch of change
	was, is       []int32              // scratch of dates
	parts         []enrich.Slice       // scratch of live
	fetched       uint64               // by prefetch
	ready         []*lookup            // scratch of prefetch
	runs          [][2]int64           // of the slices of the flush in hand
	leaving       []*key               // scratch of expire: those of one user

	storedRows  storedRows           // for repairs; nil: none are withdrawn
	strays      []schemas.SessionRow // tombstones of rows that no event supports
	straySlices []schemas.SliceRow

	part        schemas.Flush        // of takeRows
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
	users    int // in the state
	waiting  waiting
	salt     uint64              // of the hash of users
	late     map[string]*reentry // of the batch in hand, by user
	captured int                 // place among the networks of the last capture
	expiry   map[int64]uint32    // by bucket of (end of first chain + gap): when to look whether a user can leave. The place of the first one; the others are linked
	nextDue  int64               // no bucket below is filled
}

// fact is what the directory said of a user.
type fact struct{ zone, name string }

// userRef names a user of a network.
type userRef struct {
	net *network
	id  string
}

// key is one (network, user, device). Most have one segment and one session, and
// nothing of them to be withdrawn.
type key struct {
	sessionize.Key

	user    *user
	name    string       // of the device; in user.own the user's before
	one     [1]published // the only session that something was done about, unless there are more
	more    *keyMore
	touchAt uint32 // captures begun when it was touched
	list    uint16 // of network.waiting, in which it is
	touched bool   // something of it is to be written
	live    bool   // in the state
}

// keyMore is what few keys have.
type keyMore struct {
	sessions   []published  // by start, if there are several
	tombs      []int64      // starts of sessions that existed after some record and ceased to
	sliceTombs []sliceTomb  // likewise slices
	two        [2]published // where sessions lie while they are few: most keys with several have two
}

// keyMores are let go by keys, for the next ones that need them; empty.
var keyMores = sync.Pool{New: func() any { return new(keyMore) }} //nolint:gochecknoglobals // memory of the process

// device gives the id of the device.
func (k *key) device() string {
	if k == &k.user.own {
		return k.name[k.user.nameLen:]
	}
	return k.name
}

// net gives the network of the key.
func (k *key) net() *network { return k.user.net }

// published is what was done about a session of a key since it is in the state.
type published struct {
	start int64
	done  int64 // twice the wall clock, ms, of its last row, 0 if none; and 1 if it changed since
}

func (p *published) written() int64 { return p.done >> 1 }
func (p *published) dirty() bool    { return p.done&1 != 0 }

// wrote notes a row.
func (p *published) wrote(now int64) { p.done = now << 1 }

// sliceTomb names a (session, date) that ceased to exist.
type sliceTomb struct {
	start int64
	date  int32
}

// newState makes the state of a partition of which nothing is known.
func newState(rules *Rules, epoch uint16, partition, partitions int32, pos int64) *state {
	return &state{
		stopped: -1,
		rules:   rules, epoch: epoch, partition: partition, partitions: partitions, pos: pos, from: pos,
		networks: make(map[string]*network), ledger: make(map[int64]*schemas.LedgerRow),
		zones: newSymbols(), told: make(map[userRef]struct{}), counts: newCounts(),
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
			ids:     dedupe.NewSet(s.rules.Repeat, s.rules.LeastIDs), facts: make(map[string]fact), salt: maphash.String(hashSeed, id),
			late: make(map[string]*reentry), expiry: make(map[int64]uint32), nextDue: math.MaxInt64,
		}
		s.networks[id], s.order = n, append(s.order, n)
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

// user gives a user of a network; nil if the state does not hold him.
func (s *state) user(n *network, id []byte) *user { return s.users.find(n, n.hash(id), id) }

// keyOf gives the key of a device, making user and key if needed. A user that
// enters the state is told to the users table.
func (s *state) keyOf(n *network, id, device []byte) *key {
	return s.keyBy(n, n.hash(id), id, device)
}

// keyBy does so by the hash of the user.
func (s *state) keyBy(n *network, hash uint64, id, device []byte) *key {
	u := s.users.find(n, hash, id)
	if u == nil {
		u = s.users.add(n, hash, id, device)
		s.users.captured(u, s.captures)
		n.users++
		s.entered = append(s.entered, userRef{n, u.name()})
	}
	s.hold(u)
	if k := u.key(device); k != nil {
		return k
	}
	s.sessions++
	return s.users.addKey(u, device)
}

// drop takes a key without segments out of the state.
func (s *state) drop(k *key) {
	s.sessions--
	u := k.user
	if u.removeKey(k); u.gone() {
		u.net.users--
		s.users.remove(u)
	}
}

// block gives the ledger row that accounts for an offset.
func (s *state) block(offset int64) *schemas.LedgerRow {
	if l := s.lastBlock; l != nil && l.Block <= offset && offset < l.Block+int64(l.Size) {
		return l
	}
	first := offset - offset%s.rules.LedgerBlock
	b := s.ledger[first]
	if b == nil {
		b = &schemas.LedgerRow{
			Block: first, Size: int32(s.rules.LedgerBlock), Next: first,
			NotRecorded: map[string]uint32{}, Rejected: map[string]uint32{}, Skipped: map[string]uint32{},
		}
		s.ledger[first] = b
	}
	s.lastBlock = b
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
