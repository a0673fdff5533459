package pipeline

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"daybook/pipeline/source"
	"daybook/schemas"
)

// sent appends an event of a network with a time of its own; the broker's clock
// is off by skew.
func (l *fakeLog) sent(network, user, id string, at time.Time, skew time.Duration, more ...string) {
	first := fmt.Sprintf(`"id":%q,"network":%q,"user":%q,"time":%q`, id, network, user, at.UTC().Format(time.RFC3339Nano))
	value := "{" + strings.Join(append([]string{first}, more...), ",") + "}"
	l.add(source.Record{Key: schemas.AppendKey(nil, network, user), Value: []byte(value)})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records[len(l.records)-1].TimestampMs += skew.Milliseconds()
}

// played runs a worker over a log to its end, and gives its store.
func played(t *testing.T, l *fakeLog) *memory {
	t.Helper()
	store := newMemory()
	stop := work(t, l, store, nil)
	time.Sleep(time.Minute)
	stop()
	if diff := compare(store.of(0), l.truth()); diff != "" {
		t.Error(diff)
	}
	return store
}

// clocks gives what events move: watermark and horizon of a network.
func (m *memory) clocks(network string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprintf("watermark %s, horizon %d", m.of(0).progress[network].row, m.statuses[0].HorizonMs[network])
}

// A time of 1900 or 2400 moves nothing: no watermark, no horizon, no session of
// the network itself, and nothing at all of another one (TRUST.md section 2).
func TestClocks_NonsenseMovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := time.Now()
		play := func(nonsense ...time.Time) *memory {
			l := newFakeLog()
			for _, network := range []string{"acme", "other"} {
				l.control(t, schemas.Control{Network: network, GapMs: schemas.DefaultGapMs})
			}
			for i := range 10 {
				l.sent("acme", "u", fmt.Sprint("a", i), base.Add(time.Duration(i)*time.Second), 0)
				l.sent("other", "u", fmt.Sprint("o", i), base.Add(time.Duration(i)*time.Second), 0)
				for _, at := range nonsense {
					l.sent("acme", "u", fmt.Sprint("n", i, at.Year()), at, 0)
				}
			}
			return played(t, l)
		}
		want := play()
		for _, year := range []int{1, 1900, 1969, 1989, 2101, 2400, 9999} {
			got := play(time.Date(year, 7, 1, 12, 0, 0, 0, time.UTC))
			for _, network := range []string{"acme", "other"} {
				if got.clocks(network) != want.clocks(network) {
					t.Errorf("the year %d: %s of %s, want %s", year, got.clocks(network), network, want.clocks(network))
				}
			}
			if n := len(got.of(0).sessions); n != len(want.of(0).sessions) {
				t.Errorf("the year %d: %d sessions, want %d", year, n, len(want.of(0).sessions))
			}
		}
	})
}

// The bounds of an event's time: later than received by more than five minutes
// is set to received, by more than a year rejected; from 1990 on.
func TestClocks_AProducerAYearAhead(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		ahead    time.Duration
		moves    time.Duration // the watermark ends there, seen from received
		rejected bool
	}{
		{ahead: 0},
		{ahead: 5 * time.Minute, moves: 5 * time.Minute},
		{ahead: 5*time.Minute + time.Millisecond},
		{ahead: 364 * day},
		{ahead: 367 * day, rejected: true},
		{ahead: -9 * 365 * day, moves: -9 * 365 * day},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newFakeLog()
			l.control(t, acme)
			now := time.Now()
			l.sent("acme", "u", "x", now.Add(c.ahead), 0)
			store := played(t, l)
			if c.rejected {
				if n := len(store.of(0).events); n != 0 || store.of(0).progress["reject 1"].row != "time_out_of_range" {
					t.Errorf("%v ahead: %d events are accepted, want a reject", c.ahead, n)
				}
				return
			}
			want := strconv.FormatInt(now.Add(c.moves-time.Minute).UnixMilli(), 10)
			if got := store.of(0).progress["acme"].row; got != want {
				t.Errorf("%v ahead: the watermark is %s, want %s", c.ahead, got, want)
			}
		})
	}
}

// One network's clocks touch no other's: whatever the producers of one send, the
// other's sessions, watermark and horizon are what they would be without it.
func TestClocks_OneNetworkTouchesNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := time.Now()
		play := func(disturb func(l *fakeLog, i int)) *memory {
			l := newFakeLog()
			for _, network := range []string{"acme", "other"} {
				l.control(t, schemas.Control{Network: network, GapMs: schemas.DefaultGapMs})
			}
			for i := range 30 {
				l.sent("acme", fmt.Sprint("u", i%3), fmt.Sprint("a", i), base.Add(-time.Duration((i*7)%30)*5*time.Minute), 0)
				disturb(l, i)
			}
			return played(t, l)
		}
		want := play(func(*fakeLog, int) {})
		for name, disturb := range map[string]func(l *fakeLog, i int){
			"minutes ahead": func(l *fakeLog, i int) {
				l.sent("other", "u0", fmt.Sprint("o", i), base.Add(5*time.Minute), 0)
			},
			"months ahead": func(l *fakeLog, i int) {
				l.sent("other", "u0", fmt.Sprint("o", i), base.Add(90*24*time.Hour), 0)
			},
			"years of history": func(l *fakeLog, i int) {
				l.sent("other", "u0", fmt.Sprint("o", i), base.Add(-time.Duration(i)*90*24*time.Hour), 0)
			},
			"nonsense": func(l *fakeLog, i int) {
				l.sent("other", "u0", fmt.Sprint("o", i), time.Date(1900+500*(i%2), 1, 1, 0, 0, 0, 0, time.UTC), 0)
			},
		} {
			got := play(disturb)
			if got.clocks("acme") != want.clocks("acme") {
				t.Errorf("%s: %s, want %s", name, got.clocks("acme"), want.clocks("acme"))
			}
			for id, w := range want.of(0).sessions {
				if g := got.of(0).sessions[id]; g.row != w.row {
					t.Errorf("%s: session %s is %q, want %q", name, id, g.row, w.row)
				}
			}
		}
	})
}

// The broker's clock (LogAppendTime) jumps two years ahead and comes back: it is
// received time only, which no session and no watermark follows.
func TestClocks_BrokerJumpsAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := time.Now()
		play := func(jump time.Duration) *memory {
			l := newFakeLog()
			l.control(t, acme)
			for i := range 40 {
				skew := time.Duration(0)
				if i >= 10 && i < 20 {
					skew = jump
				}
				l.sent("acme", fmt.Sprint("u", i%3), fmt.Sprint("a", i), base.Add(-time.Duration((i*7)%40)*5*time.Minute), skew)
			}
			return played(t, l)
		}
		want := play(0)
		for _, jump := range []time.Duration{2 * 365 * 24 * time.Hour, time.Hour} {
			got := play(jump)
			if got.clocks("acme") != want.clocks("acme") {
				t.Errorf("a jump by %v: %s, want %s", jump, got.clocks("acme"), want.clocks("acme"))
			}
			for id, w := range want.of(0).sessions {
				if g := got.of(0).sessions[id]; g.row != w.row {
					t.Errorf("a jump by %v: session %s is %q, want %q", jump, id, g.row, w.row)
				}
			}
		}
	})
}

// Received time is the event's own if that is earlier than the record's: it is
// what an event's time is held against.
func TestClocks_ReceivedIsTheEarlier(t *testing.T) {
	for _, c := range []struct {
		name     string
		received time.Duration // of the event, from now; 0: none
		at       time.Duration // event time, from now
		want     time.Duration // event time as it is kept, from now
	}{
		{"none: the record's", 0, time.Hour, 0},
		{"earlier: it counts", -2 * time.Hour, 0, -2 * time.Hour},
		{"earlier, event before it", -2 * time.Hour, -3 * time.Hour, -3 * time.Hour},
		{"later: the record's counts", 2 * time.Hour, time.Hour, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			l, now := newFakeLog(), time.Now()
			l.control(t, acme)
			var more []string
			if c.received != 0 {
				more = append(more, fmt.Sprintf(`"received":%q`, now.Add(c.received).UTC().Format(time.RFC3339)))
			}
			l.sent("acme", "u", "x", now.Add(c.at), 0, more...)
			store := played(t, l)
			want := strconv.FormatInt(now.Add(c.want-time.Minute).UnixMilli(), 10)
			if got := store.of(0).progress["acme"].row; got != want {
				t.Errorf("%s: the watermark is %s, want %s", c.name, got, want)
			}
		})
	}
}
