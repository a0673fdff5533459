package simtest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"daybook/pipeline"
)

// Plan is how a run goes: the settings of the workers and what befalls them.
// It says nothing about the tables: every plan must end in the same ones.
type Plan struct {
	Seed         uint64 // of all that is drawn while the run goes on
	Workers      int
	Batches      []int // records of a batch, of the incarnations in turn
	FetchRecords int   // of a chunk, at most
	Slab         int   // records that are decoded and applied at once
	FlushAge     time.Duration
	Every        time.Duration // between checkpoints
	Idle         int64         // records that call for a checkpoint at the log's end
	Users        int           // that a checkpoint writes down in one step
	Drain        time.Duration
	Lateness     []time.Duration // of the incarnations, in turn
	MaxIDs       int
	LeastIDs     int
	ForceKeys    int
	Block        int64         // offsets of a ledger row
	Rewrite      time.Duration // an open session is written again at most this often
	Bucket       time.Duration // in which keys are looked at for leaving
	Ahead        time.Duration // what is read for a late event reaches so much further
	PastFor      time.Duration // what was read is remembered for about so long
	PastIDs      int           // … or until so many ids are
	Spread       time.Duration // over which the traffic arrives
	Faults       []Fault
}

// Fault befalls whoever comes to a point for the N-th time in the run.
type Fault struct {
	Point string
	N     int
	Do    string
	For   time.Duration
}

func (f Fault) String() string {
	if f.For == 0 {
		return fmt.Sprintf("%s@%d:%s", f.Point, f.N, f.Do)
	}
	return fmt.Sprintf("%s@%d:%s(%v)", f.Point, f.N, f.Do, f.For)
}

// The points of the world itself, beside pipeline.Points.
const (
	pointWrite       = "store.write"
	pointRead        = "store.read"
	pointCold        = "store.cold"
	pointFetch       = "log.fetch"
	pointCommit      = "group.commit"
	pointCommitted   = "group.committed"
	pointCheckpoint  = "log.checkpoint"
	pointHalf        = "log.checkpoint.half"
	pointReadBack    = "log.checkpoint.read"
	pointList        = "log.checkpoints"
	pointDrop        = "log.checkpoints.drop"
	pointSettings    = "log.settings"
	pointControl     = "log.control"
	pointMark        = "log.mark"
	pointMarks       = "log.marks"
	pointListOffsets = "log.offsets"
)

// What may be done anywhere.
const (
	doCrash     = "crash"     // the process dies and comes back after For
	doPause     = "pause"     // it stands still for For
	doError     = "error"     // the step fails
	doRebalance = "rebalance" // the group begins a rebalance
	doLeave     = "leave"     // the process is told to end, and comes back after For
	doSplit     = "split"     // the group throws the member out, which learns of it after For only
	doForget    = "forget"    // the committed offsets are lost
	doAmnesia   = "amnesia"   // they are, and the process dies, and comes back after For
	doDamage    = "damage"    // the newest checkpoint of the partition is damaged
	doLose      = "lose"      // all of them are
	doCold      = "cold"      // all of them are, and the process dies, and comes back after For
)

// … and at some points.
const (
	doTorn    = "torn"    // write: some of the rows arrive, the answer is an error
	doAnswer  = "answer"  // write, commit, checkpoint, control, mark: it is done, the answer is lost
	doDelayed = "delayed" // write, commit: the answer is an error, it is done later
	doDown    = "down"    // write: storage refuses everything for For
	doSlow    = "slow"    // write: it takes For
)

// newPlan draws a plan.
func newPlan(seed uint64) *Plan {
	r := rand.New(rand.NewPCG(seed, 0x706c616e))
	pick := func(ds ...time.Duration) time.Duration { return ds[r.IntN(len(ds))] }
	p := &Plan{
		Seed: seed, Workers: 1 + r.IntN(3),
		FetchRecords: []int{1, 3, 10, 100}[r.IntN(4)],
		FlushAge:     pick(100*time.Millisecond, 300*time.Millisecond, time.Second), Every: pick(200*time.Millisecond, time.Second, 4*time.Second, 30*time.Second),
		Idle: []int64{1, 5, 10_000}[r.IntN(3)], Users: []int{1, 2, 4000}[r.IntN(3)], Drain: pick(50*time.Millisecond, 3*time.Second, 3*time.Second),
		MaxIDs: []int{1, 5, 20, 1_000_000, 1_000_000}[r.IntN(5)], LeastIDs: []int{0, 1, 8}[r.IntN(3)], ForceKeys: []int{1, 2, 20_000}[r.IntN(3)],
		Block: []int64{2, 8, 64, 8192}[r.IntN(4)], Rewrite: pick(300*time.Millisecond, 2*time.Second, 10*time.Second),
		Bucket: pick(time.Millisecond, time.Minute), Spread: pick(0, time.Second, 8*time.Second),
		Slab:  []int{1, 2, 5, 256}[mix(seed, 5)%4],
		Ahead: pick(0, 0, 3*time.Hour, 7*24*time.Hour), PastFor: pick(0, 0, 2*time.Second, time.Minute), PastIDs: []int{1, 20, 500_000}[r.IntN(3)],
	}
	for range 1 + r.IntN(4) {
		p.Batches = append(p.Batches, []int{1, 2, 3, 5, 8, 20, 1000}[r.IntN(7)])
		p.Lateness = append(p.Lateness, pick(time.Millisecond, time.Minute, 30*time.Minute, 2*time.Hour, 2*time.Hour, 30*time.Hour, -20*time.Minute, -time.Hour, -100_000*time.Hour))
	}
	for range []int{0, 1, 3, 5, 8, 12}[r.IntN(6)] {
		p.Faults = append(p.Faults, newFault(r))
	}
	return p
}

// newFault draws a point, then what can be done there.
func newFault(r *rand.Rand) Fault {
	points := pipeline.Points()
	special := map[string][]string{
		pointWrite: {doTorn, doTorn, doAnswer, doDelayed, doDown, doSlow}, pointRead: {doTorn}, pointCold: nil, pointFetch: nil,
		pointCommit: {doAnswer, doDelayed, doDelayed}, pointCommitted: nil, pointCheckpoint: {doAnswer}, pointHalf: nil, pointReadBack: nil, pointList: nil,
		pointDrop: {doAnswer}, pointControl: {doAnswer}, pointListOffsets: nil, pointSettings: nil, pointMark: {doAnswer}, pointMarks: nil,
	}
	own := []string{
		pointWrite, pointWrite, pointWrite, pointRead, pointRead, pointCold, pointFetch, pointCommit, pointCommit, pointCommitted, pointCheckpoint,
		pointHalf, pointReadBack, pointList, pointDrop, pointSettings, pointControl, pointMark, pointMarks, pointListOffsets,
	}
	f := Fault{N: 1 + r.IntN(1+r.IntN(10))}
	do := []string{doCrash, doCrash, doPause, doPause, doError, doRebalance, doLeave, doSplit, doForget, doAmnesia, doDamage, doLose, doCold, doCold}
	if r.IntN(2) == 0 {
		f.Point = points[r.IntN(len(points))]
	} else {
		f.Point = own[r.IntN(len(own))]
		for range 3 {
			do = append(do, special[f.Point]...)
		}
	}
	f.Do = do[r.IntN(len(do))]
	switch f.Do {
	case doCrash, doLeave, doCold, doAmnesia:
		f.For = []time.Duration{10 * time.Millisecond, time.Second, 9 * time.Second}[r.IntN(3)]
	case doPause, doSplit, doDelayed:
		f.For = []time.Duration{200 * time.Millisecond, 3 * time.Second, 8 * time.Second, 15 * time.Second}[r.IntN(4)]
	case doDown, doSlow:
		f.For = []time.Duration{50 * time.Millisecond, time.Second, 5 * time.Second}[r.IntN(3)]
	}
	return f
}

// String prints a plan for people.
func (p *Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "workers %d, batches of %v, chunks of %d, slabs of %d, flush %v, checkpoint every %v or %d records, %d users a step, drain %v, lateness %v, ids %d/%d, force %d, block %d, rewrite %v, bucket %v, past %v %v %d, arriving over %v",
		p.Workers, p.Batches, p.FetchRecords, p.Slab, p.FlushAge, p.Every, p.Idle, p.Users, p.Drain, p.Lateness, p.MaxIDs, p.LeastIDs, p.ForceKeys, p.Block, p.Rewrite, p.Bucket, p.Ahead, p.PastFor, p.PastIDs, p.Spread)
	for _, f := range p.Faults {
		fmt.Fprintf(&b, "\n  %v", f)
	}
	return b.String()
}
