package pipeline

import (
	"fmt"
	"maps"
	"math"
	"math/rand"
	"slices"
	"strconv"
	"testing"

	"daybook/pipeline/enrich"
	"daybook/pipeline/reference"
	"daybook/pipeline/sessionize"
	"daybook/schemas"
)

// The rules of ARCHITECTURE.md section 4 under random histories: one
// partition's log, incarnations of the worker with random batch cuts, crashes
// after every step, partial writes, snapshots (current, older, uncommitted,
// lost), warm resumes, cold starts, zombies, throttled rows, a horizon raised
// at random. Whatever happens, the tables must equal those of package reference, which
// reads the log once and sorts. The state, the flush and the snapshot are the
// real ones; time is scaled: a day and the cap are 8, gaps 1 to 3, "one hour" 3.

const (
	modelDay    = 8
	modelMaxGap = 3
	modelRepeat = 3
	modelGrace  = 1
)

// modelZones are offsets from UTC by name.
var modelZones = map[string]int64{"UTC": 0, "east": 3, "west": -2}

func modelRules(block, lateness int64) *Rules {
	return &Rules{
		Session: sessionize.Rules{DayMs: modelDay, CapMs: modelDay, GraceMs: modelGrace},
		MaxGap:  modelMaxGap, Repeat: modelRepeat, ReadBack: 2 * modelDay, Lateness: lateness,
		ReadAhead: 20, PastIDs: 1 << 20, PastFor: 60, LedgerBlock: block, Rewrite: 10, ExpiryBucket: 1, ForceKeys: 1000,
		Split: func(dst []enrich.Slice, zone string, start, end int64) []enrich.Slice {
			return modelSplit(dst, modelZones[zone], start, end)
		},
		Dates: func(dst []int32, zone string, start, end int64) []int32 {
			for _, c := range modelSplit(nil, modelZones[zone], start, end) {
				dst = append(dst, c.Date)
			}
			return dst
		},
		ValidZone: func(z []byte) bool { _, ok := modelZones[string(z)]; return ok },
	}
}

func floorDiv(a, b int64) int64 { return int64(math.Floor(float64(a) / float64(b))) }

func modelSplit(dst []enrich.Slice, z, start, end int64) []enrich.Slice {
	first := floorDiv(start+z, modelDay)
	for d := first; d == first || d*modelDay-z < end; d++ {
		a, b := max(start, d*modelDay-z), min(end, (d+1)*modelDay-z)
		if b > a || d == first {
			dst = append(dst, enrich.Slice{Date: int32(d), Runs: [][2]int64{{a, b}}, Seconds: int32(b - a)})
		}
	}
	return dst
}

// tables is what storage holds, newest version of each identity.
type tables struct {
	events   map[string]schemas.EventRow
	sessions map[string]versioned[string]
	slices   map[string]versioned[string]
	ledger   map[string]versioned[string]
	progress map[string]versioned[string]
	settings map[int64]schemas.Control
	facts    map[int64]schemas.UserFactRow
	history  map[string]string // content by table, identity and version: one each
	conflict string
	blocks   map[int64]versioned[schemas.LedgerRow] // the ledger as rows
}

type versioned[T any] struct {
	version int64
	row     T // "" for a tombstone
}

func newTables() *tables {
	return &tables{
		map[string]schemas.EventRow{},
		map[string]versioned[string]{},
		map[string]versioned[string]{},
		map[string]versioned[string]{},
		map[string]versioned[string]{},
		map[int64]schemas.Control{},
		map[int64]schemas.UserFactRow{},
		map[string]string{},
		"",
		map[int64]versioned[schemas.LedgerRow]{},
	}
}

func (t *tables) put(name string, m map[string]versioned[string], id string, version int64, row string) {
	h := fmt.Sprintf("%s %s @%d", name, id, version)
	if old, ok := t.history[h]; ok && old != row && t.conflict == "" {
		t.conflict = fmt.Sprintf("%s has two contents: %q, %q", h, old, row)
	}
	t.history[h] = row
	if o, ok := m[id]; !ok || version >= o.version {
		m[id] = versioned[string]{version, row}
	}
}

// writeEvents stores the first part of a flush.
func (t *tables) writeEvents(f *schemas.Flush) {
	for _, e := range f.Events {
		id := fmt.Sprintf("%s/%s/%s@%d", e.Event.Network, e.Event.User, e.Event.ID, e.TimeMs)
		if o, ok := t.events[id]; !ok || e.Offset <= o.Offset {
			t.events[id] = e
		}
	}
	for _, c := range f.Settings {
		t.settings[c.Offset] = c.Control
	}
	for _, u := range f.UserFacts {
		t.facts[u.Offset] = u
	}
}

// writeRows stores the rest; keep decides, row by row, what a torn write left.
func (t *tables) writeRows(f *schemas.Flush, keep func(id string) bool) {
	for _, s := range f.Sessions {
		if id := sessionName(s.Network, s.User, s.Device, s.StartMs); keep(id) {
			t.put("sessions", t.sessions, id, f.Next, sessionText(&s))
		}
	}
	for _, s := range f.Slices {
		if id := fmt.Sprintf("%s on %d", sessionName(s.Network, s.User, s.Device, s.SessionStart), s.Date); keep(id) {
			t.put("slices", t.slices, id, f.Next, sliceText(&s))
		}
	}
	for _, l := range f.Ledger {
		if id := strconv.FormatInt(l.Block, 10); keep("ledger" + id) {
			t.put("ledger", t.ledger, id, f.Next, ledgerText(&l))
			if t.blocks[l.Block].version <= f.Next {
				t.blocks[l.Block] = versioned[schemas.LedgerRow]{f.Next, l}
			}
		}
	}
	for _, p := range f.Progress {
		if keep("progress" + p.Network) {
			t.put("progress", t.progress, p.Network, f.Next, strconv.FormatInt(p.WatermarkMs, 10))
		}
	}
}

func sessionName(network, user, device string, start int64) string {
	return fmt.Sprintf("%s/%s/%s from %d", network, user, device, start)
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
	return fmt.Sprintf("%v %d %s %s %v %v", s.Runs, s.Seconds, s.Zone, s.Class, s.ContinuesFrom, s.ContinuesTo)
}

func ledgerText(l *schemas.LedgerRow) string {
	return fmt.Sprintf("next %d: %d accepted, %d duplicate (%d conflicts), %v %v %v", l.Next, l.Accepted, l.Duplicate, l.Conflicts, l.NotRecorded, l.Rejected, l.Skipped)
}

// read is the read-back of the stored events; some come twice, as when an
// attempt breaks off and is repeated.
func (t *tables) read(below int64) readBack {
	return func(ws []schemas.EventsWindow, yield func(*schemas.StoredEvent) error) error {
		for _, e := range t.events {
			for _, w := range ws {
				if e.Offset >= below || string(e.Event.Network) != w.Network || string(e.Event.User) != w.User || e.TimeMs < w.FromMs || e.TimeMs > w.ToMs {
					continue
				}
				for range 1 + e.Offset%2 {
					err := yield(&schemas.StoredEvent{
						Offset: e.Offset, Network: w.Network, User: w.User, Device: string(e.DeviceID), Source: "s", ID: string(e.Event.ID),
						TimeMs: e.TimeMs, Kind: e.Event.Kind, Class: e.Class, Flags: e.Flags &^ schemas.FlagLate, GapMs: e.GapMs, Period: e.Period, Zone: e.Zone,
						Content: schemas.ContentHash(e.Event),
					})
					if err != nil {
						return err
					}
				}
				break
			}
		}
		return nil
	}
}

// ahead is what storage knows at or above an offset.
func (t *tables) ahead(from int64) *schemas.Ahead {
	a, end := &schemas.Ahead{}, from
	for _, block := range slices.Sorted(maps.Keys(t.blocks)) {
		if l := t.blocks[block].row; l.Block+int64(l.Size) > from {
			a.Ledger = append(a.Ledger, l)
			if l.Block <= end {
				end = max(end, l.Next)
			}
		}
	}
	for _, e := range t.events {
		if e.Offset >= from {
			a.Spans = append(a.Spans, schemas.EventsWindow{Network: string(e.Event.Network), User: string(e.Event.User), FromMs: e.TimeMs, ToMs: e.TimeMs})
		}
		if e.Offset >= end {
			a.Offsets = append(a.Offsets, e.Offset)
		}
	}
	slices.Sort(a.Offsets)
	return a
}

// cold is what storage knows below an offset.
func (t *tables) cold(below int64) *schemas.ColdState {
	c := &schemas.ColdState{}
	newest := map[string]int64{}
	for o, x := range t.settings {
		if n, ok := newest[x.Network]; o < below && (!ok || o > n) {
			newest[x.Network] = o
		}
	}
	for _, o := range newest {
		c.Settings = append(c.Settings, schemas.SettingRow{Offset: o, Control: t.settings[o]})
	}
	facts := map[string]int64{}
	for o, x := range t.facts {
		if n, ok := facts[x.Network+"/"+x.User]; o < below && (!ok || o > n) {
			facts[x.Network+"/"+x.User] = o
		}
	}
	for _, o := range facts {
		c.Facts = append(c.Facts, t.facts[o])
	}
	nets := map[string]*schemas.ColdNetwork{}
	for _, e := range t.events {
		n := nets[string(e.Event.Network)]
		if n == nil {
			n = &schemas.ColdNetwork{Network: string(e.Event.Network), GreatestMs: math.MinInt64, WatermarkMs: math.MinInt64}
			nets[n.Network] = n
		}
		n.GreatestMs = max(n.GreatestMs, e.TimeMs)
		if e.Offset < below {
			n.WatermarkMs = max(n.WatermarkMs, e.TimeMs)
		}
	}
	for _, n := range nets {
		c.Networks = append(c.Networks, *n)
	}
	return c
}

// modelReference gives the tables of a log, as package reference derives them.
func modelReference(log []record, block int64) *tables {
	in, rules := make([]reference.Record, len(log)), modelRules(block, 0)
	for i := range log {
		in[i].Offset = log[i].offset
	}
	want := reference.Tables(in, reference.Rules{
		DayMs: modelDay, CapMs: modelDay, GraceMs: modelGrace, RepeatMs: modelRepeat, LedgerBlock: block,
		Decode: func(r *reference.Record) reference.Decoded { return log[r.Offset].plain(rules) },
		Split: func(zone string, start, end int64) (days []reference.Day) {
			for _, s := range modelSplit(nil, modelZones[zone], start, end) {
				days = append(days, reference.Day(s))
			}
			return days
		},
	})
	return tablesOf(want, func(e *reference.Event) *schemas.Event { return &log[e.Record].event })
}

// tablesOf gives a reference's result in the form that a store has.
func tablesOf(want *reference.Result, event func(*reference.Event) *schemas.Event) *tables {
	t := newTables()
	for i := range want.Events {
		e := &want.Events[i]
		row := schemas.EventRow{Event: event(e), Offset: e.Offset, TimeMs: e.TimeMs, Class: e.Class, GapMs: e.GapMs, Period: e.Period, Zone: e.Zone}
		t.writeEvents(&schemas.Flush{Events: []schemas.EventRow{row}})
	}
	f := &schemas.Flush{}
	for _, s := range want.Sessions {
		f.Sessions = append(f.Sessions, schemas.SessionRow{
			Network: s.Network, User: s.User, Device: s.Device, StartMs: s.StartMs, EndMs: s.EndMs, Events: s.Events,
			Class: s.Class, Flags: s.Flags, Zone: s.Zone, GapMs: s.GapMs, End: s.End,
		})
	}
	for _, s := range want.Slices {
		f.Slices = append(f.Slices, schemas.SliceRow{
			Network: s.Network, User: s.User, Device: s.Device, Class: s.Class, Flags: s.Flags, Zone: s.Zone, Date: s.Date, Runs: s.Runs, Seconds: s.Seconds,
			SessionStart: s.StartMs, ContinuesFrom: s.ContinuesFrom, ContinuesTo: s.ContinuesTo,
		})
	}
	for _, l := range want.Ledger {
		f.Ledger = append(f.Ledger, schemas.LedgerRow(l))
	}
	for n, w := range want.Progress {
		f.Progress = append(f.Progress, schemas.ProgressRow{Network: n, WatermarkMs: w})
	}
	t.writeRows(f, func(string) bool { return true })
	return t
}

// compare tells the first difference between stored tables and wanted ones.
func compare(got, want *tables) string {
	if got.conflict != "" {
		return got.conflict
	}
	for id, w := range want.events {
		g, ok := got.events[id]
		if !ok || g.Offset != w.Offset || g.GapMs != w.GapMs || g.Period != w.Period || g.Zone != w.Zone || g.Class != w.Class {
			return fmt.Sprintf("event %s: got %+v, want %+v", id, g, w)
		}
	}
	if len(got.events) != len(want.events) {
		return fmt.Sprintf("events: got %d, want %d", len(got.events), len(want.events))
	}
	for _, t := range []struct {
		name      string
		got, want map[string]versioned[string]
	}{{"session", got.sessions, want.sessions}, {"slice", got.slices, want.slices}, {"ledger", got.ledger, want.ledger}, {"progress", got.progress, want.progress}} {
		for id, w := range t.want {
			if g := t.got[id]; g.row != w.row {
				return fmt.Sprintf("%s %s: got %q, want %q", t.name, id, g.row, w.row)
			}
		}
		for id, g := range t.got {
			if _, ok := t.want[id]; !ok && g.row != "" {
				return fmt.Sprintf("%s %s: got %q, want none", t.name, id, g.row)
			}
		}
	}
	return ""
}

// incarnation is one life of the partition's worker.
type incarnation struct {
	s       *state
	pending *schemas.Flush // applied, not fully written
	step    int            // of the flush in hand: 0 none, 1 applied, 2 events written, 3 rows written, 4 snapshot written
	snap    bool
	commits int // number of commits in the world when it last saw the pointer

	capture *capture // a snapshot in the making, beside further batches
	image   []byte   // finished, not committed: what it owes may not be written yet
	imageAt int64    // its position
}

// world is the log, the storage and the broker around the incarnations.
type world struct {
	t         *testing.T
	rules     *Rules
	log       []record
	store     *tables
	cur       *incarnation
	zombies   []*incarnation
	committed int64
	commits   int
	snaps     [][]byte // committed, newest last, at most three
	all       [][]byte // every snapshot ever written
	now       int64
}

// advance takes an incarnation through one batch of up to n records, and stops
// after the given step.
func (w *world) advance(x *incarnation, n, stop int, rnd uint32, current, force bool) (alive bool) {
	w.now += int64(rnd>>8) % 8
	w.capture(x, int(rnd>>4)%3)
	if x.step == 0 {
		b := w.batch(x.s.pos, n)
		x.s.storedRows = w.store.rows
		if _, err := x.s.advance(b, int(rnd>>12)%8*n); err != nil { // at times nothing is decided from memory
			w.t.Fatal(err)
		}
		if x.s.pos == b.from { // else it flushes what comes before a record that must be read back for
			if err := x.s.apply(b, w.store.read(x.s.pos)); err != nil {
				w.t.Fatal(err)
			}
		}
		x.snap = rnd&1 == 1
		x.pending = x.s.takeFlush("events", w.now, force || x.snap && rnd&2 == 0)
		x.step = 1
	}
	if x.step == 1 && stop > 1 {
		w.store.writeEvents(x.pending)
		x.step = 2
	}
	if x.step == 2 && stop > 2 {
		torn := func(id string) bool { return hashOf(id, rnd)&1 == 0 }
		if stop == 3 {
			w.store.writeRows(x.pending, torn)
			return true
		}
		w.store.writeRows(x.pending, func(string) bool { return true })
		x.s.settle()
		x.step, x.pending = 3, nil
	}
	if x.step == 3 && stop > 4 {
		if x.snap && x.capture == nil && x.image == nil {
			x.capture = x.s.begin()
			x.imageAt = x.s.pos
			if force {
				w.capture(x, math.MaxInt)
			}
		}
		x.step = 4
	}
	if x.step == 4 && stop > 5 {
		x.step = 0
		if x.image != nil && x.s.owed == 0 { // what was held back at imageAt is written
			if !current {
				return false // fenced
			}
			w.committed = x.imageAt
			w.commits++
			x.commits = w.commits
			w.snaps = append(w.snaps, x.image)
			w.snaps = w.snaps[max(0, len(w.snaps)-3):]
			x.image = nil
		}
	}
	return true
}

// capture writes down up to n users of a snapshot in the making. Once it is
// finished it is there to be found, committed or not.
func (w *world) capture(x *incarnation, n int) {
	if x.capture == nil || !x.capture.step(n) {
		return
	}
	x.image = x.capture.take()
	x.capture.rest(func(part []byte) { x.image = append(x.image, part...) })
	w.all = append(w.all, x.image)
	x.capture = nil
}

// batch cuts a batch as a worker does: after n records or a control record.
func (w *world) batch(pos int64, n int) *slab {
	b := slabOf(pos, pos)
	for len(b.records) < n && b.next < int64(len(w.log)) && !b.ends {
		b.records = append(b.records, w.log[b.next])
		b.ends = w.log[b.next].control != nil || w.log[b.next].repair != nil
		b.next++
	}
	return b
}

func hashOf(s string, x uint32) uint32 {
	h := x | 1
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h ^ h>>13
}

// resume starts a new incarnation: 0 from the pointer, 1 from an older
// snapshot, 2 from the newest of all, 3 cold at the committed block, 4 cold at 0.
func (w *world) resume(mode int, rnd uint32) *incarnation {
	var snap []byte
	switch {
	case mode == 0 && len(w.snaps) > 0:
		snap = w.snaps[len(w.snaps)-1]
	case mode == 1 && len(w.snaps) > 0:
		snap = w.snaps[int(rnd>>3)%len(w.snaps)]
	case mode == 2 && len(w.all) > 0:
		snap = w.all[len(w.all)-1]
	}
	x := &incarnation{commits: w.commits}
	if snap != nil {
		s, err := readSnapshot(w.rules, snap)
		if err != nil {
			w.t.Fatal(err)
		}
		x.s = s
		return x
	}
	pos := int64(0)
	if mode == 3 {
		pos = w.committed / w.rules.LedgerBlock * w.rules.LedgerBlock
	}
	x.s = coldStart(w.rules, 1, 0, 1, pos, w.store.cold(pos))
	return x
}

// act does one random thing.
func (w *world) act(r *rand.Rand) {
	rnd := r.Uint32()
	switch p := r.Intn(10); {
	case p < 6:
		n, stop := 1+r.Intn(1+r.Intn(8)), 6
		if r.Intn(3) == 0 {
			stop = 1 + r.Intn(6)
		}
		if i := r.Intn(4 * (len(w.zombies) + 1)); i < len(w.zombies) {
			if !w.advance(w.zombies[i], n, stop, rnd, false, false) {
				w.zombies = slices.Delete(w.zombies, i, i+1)
			}
			return
		}
		w.advance(w.cur, n, stop, rnd, true, false)
	case p == 6 && r.Intn(5) == 0: // warm resume: the pointer has not moved since
		for i, z := range w.zombies {
			if z.commits == w.commits { // what was in the making is dropped with the generation
				z.s.capture, z.capture, z.image = nil, nil, nil
				w.zombies[i], w.cur = w.cur, z
				return
			}
		}
	case p < 8:
		if r.Intn(2) == 0 {
			w.zombies = append(w.zombies, w.cur)
		}
		w.cur = w.resume([]int{0, 0, 0, 1, 2, 3, 3, 4}[r.Intn(8)], rnd)
	default: // the horizon may move up at any time
		if n := w.cur.s.networks[fmt.Sprintf("n%d", r.Intn(2))]; n != nil && w.cur.step == 0 && n.greatest > never {
			n.wanted = max(n.wanted, max(n.greatest, n.horizon)-4+int64(r.Intn(14)))
		}
	}
}

// run plays one history and tells what differs at its end, "" if nothing.
func (w *world) run(r *rand.Rand) string {
	w.cur = w.resume(4, 0)
	for range r.Intn(4 + len(w.log)) {
		w.act(r)
	}
	finalN := 1 + r.Intn(6)
	for w.cur.step != 0 || w.cur.s.pos < int64(len(w.log)) {
		w.advance(w.cur, finalN, 6, r.Uint32()&^1, true, false)
	}
	for first := true; first || w.cur.s.touched > 0; first = false {
		w.advance(w.cur, 0, 6, 1, true, true)
	}
	for _, z := range w.zombies { // they write what they hold, then a little more
		w.advance(z, 3, 6, 2, false, false)
		w.advance(z, 5, 6, 4, false, false)
	}
	return compare(w.store, modelReference(w.log, w.rules.LedgerBlock))
}

// TestGolden_15_SameLogSameTables plays random histories (ARCHITECTURE.md section
// 4, "proof that is expected"; golden vector 15). Give a failing seed back with
// -run 'TestGolden_15_SameLogSameTables' -model.seed N.
func TestGolden_15_SameLogSameTables(t *testing.T) {
	n := *modelCount
	for seed := *modelSeed; seed < *modelSeed+int64(n); seed++ {
		r := rand.New(rand.NewSource(seed))
		w := &world{t: t, store: newTables(), rules: modelRules(int64(1+r.Intn(6)), int64(1+r.Intn(14)))}
		w.rules.ForceKeys = 1 + r.Intn(4)
		w.rules.ReadAhead, w.rules.PastIDs, w.rules.PastFor = int64(r.Intn(40)), 1+r.Intn(60), int64(r.Intn(100))
		w.log = modelLog(r)
		if diff := w.run(r); diff != "" {
			t.Fatalf("seed %d: %s\n%s", seed, diff, logText(w.log))
		}
	}
}
