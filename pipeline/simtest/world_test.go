package simtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// world is everything outside the workers: logs, catalogue, checkpoints, group
// and tables. Whatever a worker asks takes its time first and happens then, at
// an instant at which nobody else is awake: so one order of events belongs to
// one (traffic, plan), whatever the scheduler does.
type world struct {
	traffic *Traffic
	plan    *Plan
	mutant  mutant

	mu        sync.Mutex // guards all that follows
	began     time.Time
	actors    map[int64]*actor // by goroutine
	incs      []*incarnation
	logs      []*partitionLog
	settings  []setting // the compacted catalogue: newest of each network
	marks     map[string][]byte
	positions int64 // written to the catalogue so far
	topic     []*checkpoint
	topicEnd  int64
	group     *coordinator
	store     *tables
	hits      map[string]int // how often a point was come to
	befallen  map[string]int // faults by what they did
	pending   int            // effects that come late
	downUntil time.Time      // storage refuses until then
	calm      bool           // no more faults
	failure   string
	trace     []string // if wanted
	sum       uint64   // over all of the trace
	lost      bool     // a fault has spoilt checkpoints
	verbose   bool
}

// The roles of goroutines within an incarnation.
const (
	roleMain = iota
	roleFetch
	roleSave
	roleWrite
	rolesPartition // how many of them a partition has
	roleGroup      = 20
	roleNotice     = 21
	roleEvict      = 22
	roleWake       = 23
	roleLate       = 24
	roleClose      = 25
	rolesAll       = 26
)

// actor is a goroutine of a worker that calls the world. It wakes only at
// instants that are its own modulo a microsecond.
type actor struct {
	inc       *incarnation
	partition int32
	residue   int64
	calls     uint64
}

var errDead = errors.New("simulated: the process is dead")

// mix is splitmix64: all that is random in a run comes from it.
func mix(parts ...uint64) uint64 {
	h := uint64(0x9e3779b97f4a7c15)
	for _, p := range parts {
		h += p + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}

// between draws a duration.
func between(h uint64, lo, hi time.Duration) time.Duration {
	return lo + time.Duration(h%uint64(hi-lo+1))
}

// until gives the time from now to the first instant after d that is of the residue.
func until(d time.Duration, residue int64) time.Duration {
	now := time.Now().UnixNano()
	at := now + int64(d)
	at += ((residue-at)%1000 + 1000) % 1000
	return time.Duration(at - now)
}

// nap lets a call take its time. It fails if ctx ends before, or the process
// died; a process that is stopped comes back only when it is woken.
func (a *actor) nap(ctx context.Context, lo, hi time.Duration) error {
	w := a.inc.w
	a.calls++
	d := between(mix(w.plan.Seed, uint64(a.residue), a.calls), lo, hi)
	if err := a.sleep(ctx, d); err != nil {
		return err
	}
	return a.stand()
}

// stand keeps whoever belongs to a process that is stopped until it is woken;
// no context ends that. It fails if the process is dead.
func (a *actor) stand() error {
	w := a.inc.w
	for {
		w.mu.Lock()
		dead, stop := a.inc.dead, time.Until(a.inc.pausedUntil)
		w.mu.Unlock()
		if dead {
			return errDead
		}
		if stop <= 0 {
			return nil
		}
		time.Sleep(until(stop, a.residue))
	}
}

func (a *actor) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(until(d, a.residue))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// actor gives the actor of a role. The caller need not hold the lock.
func (inc *incarnation) actor(partition int32, role int) *actor {
	inc.w.mu.Lock()
	defer inc.w.mu.Unlock()
	return inc.role(partition, role)
}

// role is actor for a caller who holds the lock.
func (inc *incarnation) role(partition int32, role int) *actor {
	i := role
	if role < rolesPartition {
		i = int(partition)*rolesPartition + role
	}
	if inc.actors[i] == nil {
		inc.actors[i] = &actor{inc: inc, partition: partition, residue: int64(inc.id*rolesAll+i)%970 + 1}
	}
	return inc.actors[i]
}

// here gives the actor of the calling goroutine: one that was registered, or
// the writer or the saver of the partition whose goroutine made it.
func (inc *incarnation) here() *actor {
	var buf [4096]byte
	stack := buf[:runtime.Stack(buf[:], false)]
	id := goroutineID(stack)
	inc.w.mu.Lock()
	defer inc.w.mu.Unlock()
	if a := inc.w.actors[id]; a != nil {
		return a
	}
	_, made, _ := bytes.Cut(stack, []byte(" in goroutine "))
	parent := goroutineID(append([]byte("goroutine "), made...))
	if p := inc.w.actors[parent]; p != nil {
		role := roleSave
		if bytes.Contains(stack, []byte("(*partition).write(")) {
			role = roleWrite
		}
		a := inc.role(p.partition, role)
		inc.w.actors[id] = a
		return a
	}
	return inc.role(0, roleGroup)
}

// register tells who the calling goroutine is.
func (a *actor) register() {
	var buf [64]byte
	id := goroutineID(buf[:runtime.Stack(buf[:], false)])
	a.inc.w.mu.Lock()
	defer a.inc.w.mu.Unlock()
	a.inc.w.actors[id] = a
}

func goroutineID(stack []byte) int64 {
	text := strings.TrimPrefix(string(stack[:min(len(stack), 40)]), "goroutine ")
	end := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(text)
	}
	id, err := strconv.ParseInt(text[:end], 10, 64)
	if err != nil {
		panic("no goroutine id in " + text)
	}
	return id
}

// note adds to the trace; the caller holds the lock.
func (w *world) note(a *actor, format string, args ...any) {
	who := "world"
	if a != nil {
		who = fmt.Sprintf("w%d.%d/%d", a.inc.slot, a.inc.id, a.partition)
	}
	line := fmt.Sprintf("%11s %-8s ", time.Since(w.began), who) + fmt.Sprintf(format, args...)
	h := fnv.New64a()
	_, _ = h.Write([]byte(line))
	w.sum = mix(w.sum, h.Sum64())
	if w.verbose {
		w.trace = append(w.trace, line)
	}
}

// fail notes the first thing that must not be; the caller holds the lock.
func (w *world) fail(format string, args ...any) {
	if w.failure == "" {
		w.failure = fmt.Sprintf(format, args...)
		w.note(nil, "FAILURE %s", w.failure)
	}
}

// after lets something happen later, at an instant of its own; fn is called
// with the lock held. The caller holds it, too.
func (w *world) after(inc *incarnation, role int, d time.Duration, fn func()) {
	residue := inc.role(0, role).residue
	time.AfterFunc(until(d, residue), func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		fn()
	})
}

// draw gives a random number for an actor's call; the caller holds the lock.
func (a *actor) draw() uint64 {
	a.calls++
	return mix(a.inc.w.plan.Seed, uint64(a.residue), a.calls, 7)
}
