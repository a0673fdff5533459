package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"daybook/pipeline/source"
	"daybook/schemas"
)

// panicOn makes the handling of records that hold a text panic at a step, and
// counts how often it did.
func panicOn(step, text string, panics *int) func(*Config) {
	return func(cfg *Config) {
		cfg.Probe = func(at string, _ int32, _ int64, value []byte) {
			if at == step && strings.Contains(string(value), text) {
				*panics++
				panic("the record " + string(value) + " is bad")
			}
		}
	}
}

// A record that panics the handler three times is set aside with its bytes, and
// the partition goes on (TRUST.md section 2). A re-read from the start, a cold
// start and another worker, whose program would not panic, give the same rows.
func TestPoison_ThirdPanicSetsAside(t *testing.T) {
	for _, step := range []string{ProbeDecode, ProbeApply} {
		t.Run(step, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, store, panics := newFakeLog(), newMemory(), 0
				l.control(t, acme)
				for _, id := range []string{"a", "b", "venom", "c", "d"} {
					l.event("u", id)
				}
				stop := work(t, l, store, panicOn(step, "venom", &panics))
				time.Sleep(time.Minute)
				l.event("u", "e") // behind the control record
				time.Sleep(time.Minute)
				stop()
				if panics != panicsToSetAside {
					t.Errorf("the handler panicked %d times, want %d", panics, panicsToSetAside)
				}
				rows := store.rows()
				if n := len(store.of(0).events); n != 5 || !strings.Contains(rows, "reject 3 handler_panic") {
					t.Errorf("%d events are accepted, want 5 and a reject at 3:\n%s", n, rows)
				}
				if diff := compare(store.of(0), l.truth()); diff != "" {
					t.Error(diff)
				}
				if l.ended > 0 {
					t.Errorf("the group was joined anew %d times: other partitions had to stop", l.ended)
				}
				all, err := Asides(t.Context(), l)
				if err != nil || len(all) != 1 || !all[0].SetAside || !all[0].Logged || all[0].Offset != 3 {
					t.Fatalf("the catalogue has %+v, %v", all, err)
				}
				if strings.Contains(all[0].Reason, "bad") || !strings.Contains(all[0].Reason, "a string in daybook/pipeline") {
					t.Errorf("the reason is %q, want the place and nothing of the record", all[0].Reason)
				}
				for name, prepare := range map[string]func(){
					"another worker": func() {},
					"from the start": func() { l.commits, l.checkpoints, store = nil, nil, newMemory() },
					"cold start":     func() { l.checkpoints, l.snapshots = nil, map[string][]byte{} },
				} {
					prepare()
					stop := work(t, l, store, nil)
					time.Sleep(time.Minute)
					stop()
					if d := gocmp.Diff(rows, store.rows()); d != "" {
						t.Errorf("%s: the rows differ: %s", name, d)
					}
				}
			})
		})
	}
}

// The record before a poisonous one is handled once more at most: batches end
// before it, and a checkpoint is taken there. What lies behind it waits for it.
func TestPoison_GoodRecordsAreNotHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, store, panics := newFakeLog(), newMemory(), 0
		l.control(t, acme)
		for i := range 100 {
			l.event("u", fmt.Sprint("e", i))
		}
		l.event("u", "venom")
		seen := map[int64]int{}
		poisoned := panicOn(ProbeApply, "venom", &panics)
		stop := work(t, l, store, func(cfg *Config) {
			poisoned(cfg)
			inner := cfg.Probe
			cfg.Probe = func(step string, p int32, offset int64, value []byte) {
				if step == ProbeApply {
					seen[offset]++
				}
				inner(step, p, offset, value)
			}
		})
		time.Sleep(time.Minute)
		stop()
		for offset := range int64(100) {
			if seen[offset] > 2 {
				t.Fatalf("offset %d was applied %d times, want twice at most", offset, seen[offset])
			}
		}
		if len(l.commits) == 0 || l.commits[0] != 101 {
			t.Errorf("committed %v, want a checkpoint before the record at 101", l.commits)
		}
		if n := len(store.of(0).events); n != 100 {
			t.Errorf("%d events are accepted, want 100", n)
		}
	})
}

// A kill at each step of setting a record aside: no count is lost, none is
// made up, and the log says in the end what the catalogue says.
func TestPoison_KillAtEachStep(t *testing.T) {
	errKilled := errors.New("killed")
	for _, point := range []string{PointPanicCounted, PointAsideMarked, PointAsideLogged} {
		t.Run(point, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, store, panics := newFakeLog(), newMemory(), 0
				l.control(t, acme)
				for _, id := range []string{"a", "venom", "b"} {
					l.event("u", id)
				}
				for worker := range 2 {
					killed := make(chan struct{})
					stop := work(t, l, store, func(cfg *Config) {
						panicOn(ProbeDecode, "venom", &panics)(cfg)
						cfg.Failpoint = func(at string) error {
							if worker == 0 && at == point {
								close(killed)
								<-t.Context().Done() // nothing of this worker runs on
								return errKilled
							}
							return nil
						}
					})
					if worker == 0 {
						<-killed
						continue
					}
					time.Sleep(time.Minute)
					stop()
				}
				if panics != panicsToSetAside {
					t.Errorf("it panicked %d times over both workers, want %d", panics, panicsToSetAside)
				}
				all, err := Asides(t.Context(), l)
				if err != nil || len(all) != 1 || !all[0].SetAside || !all[0].Logged {
					t.Errorf("the catalogue has %+v, %v", all, err)
				}
				logged := 0
				for _, r := range l.records {
					if schemas.IsSetAside(r.Value) {
						logged++
					}
				}
				if logged < 1 || logged > 2 {
					t.Errorf("the log says so %d times", logged)
				}
				if n, rows := len(store.of(0).events), store.rows(); n != 2 || !strings.Contains(rows, "reject 2 handler_panic") {
					t.Errorf("%d events are accepted, want 2:\n%s", n, rows)
				}
			})
		})
	}
}

// badUser is a store that panics when the events of a user are read back.
type badUser struct {
	*memory

	user   string
	panics int
}

func (b *badUser) StoredEvents(ctx context.Context, q schemas.EventsQuery, yield func(*schemas.StoredEvent) error) error {
	for _, w := range q.Windows {
		if w.User == b.user {
			b.panics++
			panic("invariant: a user that cannot be read")
		}
	}
	return b.memory.StoredEvents(ctx, q, yield)
}

// A panic while the late records of a batch re-enter together is nobody's at
// first: halves of the batch are tried, until one record is alone with it.
func TestPoison_FoundAmongManyLateRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, store := newFakeLog(), &badUser{memory: newMemory(), user: "u37"}
		l.control(t, acme)
		l.event("u", "now")
		stop := work(t, l, store, nil)
		time.Sleep(time.Minute) // the horizon is behind it
		const late = 64
		old := time.Now().Add(-30 * time.Hour).UTC().Format(time.RFC3339)
		for i := range late {
			user := fmt.Sprint("u", i)
			l.add(source.Record{Key: schemas.AppendKey(nil, "acme", user), Value: fmt.Appendf(nil, `{"id":"x","network":"acme","user":%q,"time":%q}`, user, old)})
		}
		time.Sleep(time.Minute)
		stop()
		rows := store.rows()
		if n := len(store.of(0).events); n != late || !strings.Contains(rows, "reject 39 handler_panic") {
			t.Errorf("%d events are accepted, want %d:\n%s", n, late, rows)
		}
		if store.panics > 10 { // 64, 32 … 2, then three times alone
			t.Errorf("it took %d panics to find one record of %d", store.panics, late)
		}
		if all, err := Asides(t.Context(), l); err != nil || len(all) != 1 || !strings.Contains(all[0].Reason, "invariant: a user that cannot be read") {
			t.Errorf("the catalogue has %+v, %v, want the invariant's text", all, err)
		}
	})
}

// A panic while no record is handled is no record's fault: it is not recovered,
// so that the process ends and nobody works on with a wrong program.
func TestPoison_NoRecordAtHandIsOurFault(t *testing.T) {
	p := testPartition(newFakeLog(), newMemory())
	p.state = newState(p.rules, 1, 0, 1, 0)
	defer func() {
		if v := recover(); v != "invariant: broken" {
			t.Errorf("recovered %v, want the panic itself", v)
		}
	}()
	err := p.guarded(func() error {
		p.state.hand.at(ProbeApply, 7, nil)
		p.state.hand.done()
		panic("invariant: broken")
	})
	t.Errorf("the panic became the error %v", err)
}

// A transient panic is forgotten once the record was handled: panics months
// apart do not add up.
func TestPoison_HandledAfterAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, store := newFakeLog(), newMemory()
		l.control(t, acme)
		l.event("u", "venom")
		left := panicsToSetAside - 1
		stop := work(t, l, store, func(cfg *Config) {
			cfg.Probe = func(step string, _ int32, _ int64, value []byte) {
				if step == ProbeApply && left > 0 && strings.Contains(string(value), "venom") {
					left--
					panic(errors.New("for now"))
				}
			}
		})
		time.Sleep(time.Minute)
		stop()
		if len(l.marks) != 1 || len(store.of(0).events) != 1 {
			t.Errorf("marks %v, %d events, want one each", l.marks, len(store.of(0).events))
		}
		stop = work(t, l, store, nil)
		time.Sleep(time.Minute)
		stop()
		if len(l.marks) != 0 {
			t.Errorf("the marks %v stay although the record was handled", l.marks)
		}
	})
}

// A catalogue that was lost learns from the log what is set aside, although the
// program of today could handle the record.
func TestPoison_TheLogTellsALostCatalogue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, store, panics := newFakeLog(), newMemory(), 0
		l.control(t, acme)
		for _, id := range []string{"a", "venom", "b"} {
			l.event("u", id)
		}
		stop := work(t, l, store, panicOn(ProbeApply, "venom", &panics))
		time.Sleep(time.Minute)
		stop()
		want := store.rows()
		l.marks, l.commits, l.checkpoints = map[string][]byte{}, nil, nil
		fresh := newMemory()
		stop = work(t, l, fresh, nil)
		time.Sleep(time.Minute)
		stop()
		if d := gocmp.Diff(want, fresh.rows()); d != "" || len(l.marks) != 1 {
			t.Errorf("the rows differ, the catalogue has %d marks: %s", len(l.marks), d)
		}
	})
}

// Nobody but this installation sets a record aside, and only an earlier one of
// the same log.
func TestPoison_ControlRecordOfAnotherPlaceIsRefused(t *testing.T) {
	right := schemas.SetAside{Epoch: 1, Partition: 0, Offset: 4, Reason: "x"}
	for name, change := range map[string]func(*schemas.SetAside){
		"as it should be":   func(*schemas.SetAside) {},
		"another epoch":     func(a *schemas.SetAside) { a.Epoch = 2 },
		"another partition": func(a *schemas.SetAside) { a.Partition = 1 },
		"a later record":    func(a *schemas.SetAside) { a.Offset = 9 },
	} {
		a := right
		change(&a)
		value, err := schemas.EncodeSetAside(a)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{string(rigKey), "another key"} {
			p := testPartition(newFakeLog(), newMemory())
			r := source.Record{Offset: 9, Value: value, Headers: []source.Header{{Key: []byte(schemas.HeaderControl), Value: schemas.SignControl([]byte(key), value)}}}
			var out record
			p.reader.decoder.decode(&r, &out)
			taken := name == "as it should be" && key == string(rigKey)
			if (out.aside != nil) != taken || (out.reject.Reason == schemas.BadControl) == taken {
				t.Errorf("%s, signed with %q: taken %t, rejected as %s", name, key, out.aside != nil, out.reject.Reason)
			}
		}
	}
}

// A program that panics on a record which the one before it accepted must not
// set it aside: its row is stored, and nothing that is stored is withdrawn.
func TestPoison_WhatIsStoredIsNotSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, store, panics := newFakeLog(), newMemory(), 0
		l.control(t, acme)
		for _, id := range []string{"a", "venom", "b"} {
			l.event("u", id)
		}
		l.committing = errors.New("refused")
		stop := work(t, l, store, nil) // accepts it, and is gone before it committed
		time.Sleep(time.Second)
		stop()
		l.committing, l.checkpoints = nil, nil
		halt := make(chan string, 1)
		panics = 0
		stop = work(t, l, store, func(cfg *Config) {
			panicOn(ProbeApply, "venom", &panics)(cfg)
			cfg.Logger = slog.New(haltHandler{halt: halt})
		})
		why := <-halt
		stop()
		all, err := Asides(t.Context(), l)
		if err != nil || len(all) != 1 || all[0].SetAside || panics < panicsToSetAside || !strings.Contains(why, "its row is stored") {
			t.Errorf("after %d panics the halt says %q, the catalogue %+v, %v", panics, why, all, err)
		}
		stop = work(t, l, store, nil) // the program of before
		time.Sleep(time.Minute)
		stop()
		if diff := compare(store.of(0), l.truth()); diff != "" || len(store.of(0).events) != 3 {
			t.Errorf("%d events are accepted, want 3: %s", len(store.of(0).events), diff)
		}
	})
}

// A state whose batch was applied in part is not kept for a warm resume, also
// where the drain ended while the panic was being counted: that error looks like
// one of a drain that was too short.
func TestPoison_HalfAppliedStateIsNotKept(t *testing.T) {
	cfg := Config{Failpoint: func(string) error { return nil }}.withDefaults()
	p := newPartition(0, &cfg, nil, nil, nil, newMetrics(cfg.Registerer))
	p.state = newState(p.rules, 0, 0, 1, 7)
	err := p.guarded(func() error {
		p.state.hand.at(ProbeApply, 7, nil)
		panic("bad")
	})
	if err = fmt.Errorf("%w; it is not counted: %w", err, context.Canceled); !givenUp(err) {
		t.Fatalf("%v does not look like the end of a drain", err)
	}
	if p.whole(err) {
		t.Error("the state would be resumed with")
	}
}
