package simtest

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"daybook/pipeline/source"
)

// outcome is what a run came to.
type outcome struct {
	failure string
	sum     uint64 // of the whole trace
	trace   []string
	faults  map[string]int // that befell, by what was done
	rows    map[rowID]version
}

// simulate runs traffic under a plan.
func simulate(t *testing.T, traffic *Traffic, plan *Plan, m mutant, verbose bool) (out *outcome) {
	t.Helper()
	w := &world{
		traffic: traffic, plan: plan, mutant: m, actors: make(map[int64]*actor), marks: make(map[string][]byte),
		store: newTables(), hits: make(map[string]int), befallen: make(map[string]int), verbose: verbose,
	}
	defer func() {
		if v := recover(); v != nil { // the bubble's goroutines are stuck
			w.failure = fmt.Sprintf("panic: %v", v)
		}
		out = &outcome{failure: w.failure, sum: w.sum, trace: w.trace, faults: w.befallen, rows: w.store.rows}
	}()
	synctest.Test(t, func(*testing.T) { w.live() })
	return out
}

// The instants of those who are no worker.
const (
	residueProducer = 980
	residueMain     = 990
	residueSlot     = 981
)

// How long, in virtual time, a run may take.
const (
	chaosAtMost = 40 * time.Second
	calmAtMost  = 10 * time.Minute
)

// live is a run: chaos, then calm until everything is read, then the end.
func (w *world) live() {
	w.began = time.Now()
	w.group = &coordinator{w: w, committed: make(map[int32]source.Committed), sticky: make(map[int32]*incarnation)}
	for range w.traffic.Partitions {
		w.logs = append(w.logs, &partitionLog{grown: make(chan struct{})})
	}
	produced, stop := make(chan struct{}), make(chan struct{})
	go w.produce(produced)
	ended := make(chan struct{}, w.plan.Workers)
	for slot := range w.plan.Workers {
		go w.slot(slot, stop, ended)
	}
	time.Sleep(until(w.plan.Spread, residueMain))
	<-produced
	for w.now() < chaosAtMost+w.plan.Spread && !w.settled() {
		time.Sleep(until(700*time.Millisecond, residueMain))
	}
	w.mu.Lock()
	w.calm, w.downUntil = true, time.Time{}
	w.note(nil, "calm")
	w.mu.Unlock()
	w.await(w.settled)
	close(stop)
	for range w.plan.Workers {
		<-ended
	}
	w.finish()
}

func (w *world) now() time.Duration { return time.Since(w.began) }

// await waits until something is so.
func (w *world) await(so func() bool) {
	for begin := time.Now(); !so(); time.Sleep(until(300*time.Millisecond, residueMain)) {
		if time.Since(begin) > calmAtMost {
			w.mu.Lock()
			w.fail("not everything was read, written and committed within %v of calm: %v", calmAtMost, w.group.committed)
			w.mu.Unlock()
			return
		}
	}
}

// finish lets a last worker read what the others appended, and compares.
func (w *world) finish() {
	if !w.committed() {
		inc := w.run(0)
		w.await(w.committed)
		inc.cancel()
		<-inc.done
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failure == "" {
		w.compare()
	}
}

// committed says whether every partition is committed to its end, or has a
// checkpoint of it where the group's offset was lost.
func (w *world) committed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failure != "" {
		return true
	}
	for p, l := range w.logs {
		at, ok := w.group.committed[int32(p)]
		for _, c := range w.topic {
			if !ok && c.partition == int32(p) && c.complete && !c.damaged {
				at.Offset = max(at.Offset, c.pointer.Next)
			}
		}
		if at.Offset != int64(len(l.entries)) {
			return false
		}
	}
	return true
}

// settled says whether every partition was read to its end by somebody who
// lives, and nothing is under way.
func (w *world) settled() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failure != "" {
		return true
	}
	for p, l := range w.logs {
		read := false
		for _, inc := range w.incs {
			read = read || !inc.dead && inc.next[int32(p)] == int64(len(l.entries)) && len(l.entries) > 0
			if time.Until(inc.pausedUntil) > 0 {
				return false
			}
		}
		if !read && len(l.entries) > 0 {
			return false
		}
	}
	return w.pending == 0
}

// produce lets the traffic arrive, in bursts.
func (w *world) produce(done chan<- struct{}) {
	defer close(done)
	for i := 0; i < len(w.traffic.Items); {
		burst := 1 + int(mix(w.plan.Seed, uint64(i))%9)
		w.mu.Lock()
		for ; burst > 0 && i < len(w.traffic.Items); burst-- {
			w.arrive(&w.traffic.Items[i])
			i++
		}
		w.mu.Unlock()
		if w.plan.Spread > 0 {
			time.Sleep(until(w.plan.Spread*time.Duration(9)/time.Duration(2*len(w.traffic.Items)+1), residueProducer))
		}
	}
}

// slot keeps a worker running: one that died or was told to end comes back.
func (w *world) slot(slot int, stop <-chan struct{}, ended chan<- struct{}) {
	defer func() { ended <- struct{}{} }()
	var all []*incarnation
	defer func() {
		for _, inc := range all {
			inc.cancel()
			<-inc.done
		}
	}()
	time.Sleep(until(time.Duration(slot)*3*time.Millisecond, int64(residueSlot+slot)))
	for {
		inc := w.run(slot)
		all = append(all, inc)
		select {
		case <-inc.gone:
		case <-inc.done:
		case <-stop:
			return
		}
		w.mu.Lock()
		back := inc.comesBack
		w.mu.Unlock()
		timer := time.NewTimer(until(back, int64(residueSlot+slot)))
		select {
		case <-timer.C:
		case <-stop:
			timer.Stop()
			return
		}
	}
}
