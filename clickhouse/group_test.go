package clickhouse

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sends is ClickHouse for a group: it keeps what comes until it is told what to
// answer.
type sends struct {
	bodies chan string
	answer chan error
	ended  chan error // causes of contexts that ended an insert
	wait   sync.WaitGroup
	others int // flushes that are being written and never come
}

func newSends() *sends {
	return &sends{others: 99, bodies: make(chan string, 100), answer: make(chan error), ended: make(chan error, 100)}
}

func (s *sends) group() *group {
	return newGroup(s.send, func(int) int { return s.others }, &s.wait)
}

func (s *sends) send(ctx context.Context, _ string, body io.Reader) error {
	b, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	s.bodies <- string(b)
	select {
	case err := <-s.answer:
		return err
	case <-ctx.Done():
		s.ended <- context.Cause(ctx)
		return context.Cause(ctx)
	}
}

// start inserts in the background and gives the outcome when there is one.
func start(ctx context.Context, g *group, block string) <-chan outcome {
	out := make(chan outcome, 1)
	go func() { out <- g.insert(ctx, "INSERT", parts{[]byte(block)}, false) }()
	synctest.Wait()
	return out
}

// depart lets what waits for others go.
func depart() {
	time.Sleep(gather) // of the bubble's clock
	synctest.Wait()
}

func TestGroup_WhatComesDuringAnInsertTravelsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSends()
		g := s.group()
		first := start(t.Context(), g, "a")
		depart()
		second, third := start(t.Context(), g, "b"), start(t.Context(), g, "c")
		s.answer <- nil
		if o := <-first; o.err != nil || o.joint {
			t.Errorf("the first: %+v, want success alone", o)
		}
		refused := errors.New("refused")
		s.answer <- refused
		for _, o := range []outcome{<-second, <-third} {
			if !errors.Is(o.err, refused) || !o.joint {
				t.Errorf("%+v, want the answer to the joint insert", o)
			}
		}
		fourth, fifth := start(t.Context(), g, "d"), start(t.Context(), g, "e")
		s.answer <- nil
		for _, o := range []outcome{<-fourth, <-fifth} {
			if o.err != nil || !o.joint {
				t.Errorf("%+v, want success together", o)
			}
		}
		s.wait.Wait()
		close(s.bodies)
		var got []string
		for b := range s.bodies {
			got = append(got, b)
		}
		if diff := cmp.Diff([]string{"a", "bc", "de"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestGroup_WaitsForTheFlushesThatAreBeingWrittenAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSends()
		g := s.group()
		s.others = 1
		begin := time.Now()
		alone := start(t.Context(), g, "a")
		s.answer <- nil
		<-alone
		s.wait.Wait()
		s.others = 2
		first, second := start(t.Context(), g, "b"), start(t.Context(), g, "c")
		s.answer <- nil
		if !(<-first).joint || !(<-second).joint {
			t.Error("two flushes did not travel together")
		}
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("waited %v though all were here", waited)
		}
		third := start(t.Context(), g, "d")
		s.answer <- nil
		<-third
		if waited := time.Since(begin); waited != gather {
			t.Errorf("waited %v for a flush that did not come, want %v", waited, gather)
		}
		s.wait.Wait()
	})
}

func TestGroup_AMemberThatLeavesDoesNotEndTheInsertOfTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSends()
		g := s.group()
		first := start(t.Context(), g, "a")
		depart()
		revoked, stopped := errors.New("revoked"), errors.New("stopped")
		ctx2, cancel2 := context.WithCancelCause(t.Context())
		ctx3, cancel3 := context.WithCancelCause(t.Context())
		second, third := start(ctx2, g, "b"), start(ctx3, g, "c")
		s.answer <- nil
		<-first
		depart()
		cancel2(revoked)
		if o := <-second; !errors.Is(o.err, revoked) {
			t.Errorf("%+v, want its own cause", o)
		}
		synctest.Wait()
		if len(s.ended) != 0 {
			t.Fatal("the insert ended though a member waits for it")
		}
		cancel3(stopped)
		if o := <-third; !errors.Is(o.err, stopped) {
			t.Errorf("%+v, want its own cause", o)
		}
		if cause := <-s.ended; !errors.Is(cause, stopped) {
			t.Errorf("the insert ended by %v, want the last member's cause", cause)
		}
		s.wait.Wait()
	})
}

func TestGroup_IsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSends()
		g := s.group()
		var out []<-chan outcome
		for s.others = 1; len(out) < 4; s.others = 99 { // the first waits for nobody
			out = append(out, start(t.Context(), g, strings.Repeat("x", aloneBytes)))
		}
		large := start(t.Context(), g, strings.Repeat("y", aloneBytes+1))
		for _, want := range []int{aloneBytes, aloneBytes + 1} { // the large one does not wait
			if got := len(<-s.bodies); got != want {
				t.Errorf("%d bytes in flight, want %d", got, want)
			}
		}
		s.answer <- nil
		s.answer <- nil
		for _, want := range []int{jointBytes, aloneBytes} {
			if got := len(<-s.bodies); got != want {
				t.Errorf("%d bytes travelled together, want %d", got, want)
			}
			s.answer <- nil
		}
		for _, o := range append(out, large) {
			if o := <-o; o.err != nil {
				t.Error(o.err)
			}
		}
		s.wait.Wait()
	})
}

// A block that ClickHouse refuses must not stop the partitions whose rows
// travelled with it.
func TestInsert_ARefusalOfAJointInsertIsTriedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSends()
		store := &Store{log: slog.New(slog.DiscardHandler), groups: map[string]*group{"progress_versions": s.group()}}
		insert := func() <-chan error {
			b := newProgressBlock()
			b.rows = 1
			b.columns = b.columns[:0] // what it holds does not matter here
			out := make(chan error, 1)
			go func() { out <- store.insert(t.Context(), &b.block) }()
			synctest.Wait()
			return out
		}
		first := insert()
		depart()
		second, third := insert(), insert()
		s.answer <- nil
		if err := <-first; err != nil {
			t.Error(err)
		}
		s.answer <- ErrPermanent // to the joint insert
		s.answer <- nil          // to one of its members
		s.answer <- ErrPermanent // to the other
		errs := []error{<-second, <-third}
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), ErrPermanent) {
			t.Errorf("got %v, want one success and one refusal", errs)
		}
		s.wait.Wait()
	})
}
