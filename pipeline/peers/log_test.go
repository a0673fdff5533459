package peers

import (
	"container/heap"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"daybook/schemas"
)

// network is the one that every event of the log belongs to.
const network = "peers"

const (
	gapMs        = 30 * 60_000
	outOfOrderMs = 60_000 // an event arrives less than this behind its time
	eventsAUser  = 100
	meanVisit    = 11 // events; 456 thousand sessions in five million events
	meanPauseMs  = 45_000
	meanAwayMs   = 4 * 3_600_000 // the log spans two days
	exactlyAGap  = 0.002         // share of pauses that are the gap to the millisecond, and as many that are one more
)

// sessions is what every system must agree on. The sum is of the CRC-32 of
// "network/user start end events", times in milliseconds, over all sessions:
// every system has that function, and two wrong sessions do not cancel out.
type sessions struct {
	count, events int64
	sum           uint64
}

func (s *sessions) String() string {
	return fmt.Sprintf("%d sessions of %d events, sum %d", s.count, s.events, s.sum)
}

func (s *sessions) add(user []byte, start, end, events int64) {
	text := append(slices.Clone(user), ' ')
	text = strconv.AppendInt(text, start, 10)
	text = strconv.AppendInt(append(text, ' '), end, 10)
	text = strconv.AppendInt(append(text, ' '), events, 10)
	s.addText(text, events)
}

func (s *sessions) addText(text []byte, events int64) {
	s.count++
	s.events += events
	s.sum += uint64(crc32.ChecksumIEEE(text))
}

// activity is the log: a pure function of its number of events. Users come in
// visits of some events with pauses between them; each has one device, so that
// Kafka's key, network/user, is also the key of a session (StreamsSessions.java
// says whom that favours). No event is repeated, none is later than
// outOfOrderMs: there the systems would differ by what they promise.
type activity struct {
	rng     *rand.Rand
	begin   int64
	people  visitors
	waiting arrivals
	left    int
	made    int
	times   [][]int64 // by user, for the reference
	record  record
}

type record struct{ key, value []byte }

func newActivity(events int) *activity {
	users := max(1, events/eventsAUser)
	a := &activity{
		rng: rand.New(rand.NewPCG(5, uint64(events))), left: events, times: make([][]int64, users),
		begin: time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC).UnixMilli(),
	}
	for i := range users {
		a.people = append(a.people, visitor{user: i, nextMs: a.begin + a.rng.Int64N(meanAwayMs), left: a.visit()})
	}
	heap.Init(&a.people)
	return a
}

func (a *activity) visit() int { return 1 + int(a.rng.ExpFloat64()*(meanVisit-1)) }

// next gives the next record by arrival, valid until the one after it.
func (a *activity) next() (*record, bool) {
	for a.left > 0 && (len(a.waiting) == 0 || a.waiting[0].arrivalMs >= a.people[0].nextMs) {
		v := &a.people[0]
		e := arrival{user: v.user, timeMs: v.nextMs, arrivalMs: v.nextMs, number: a.made}
		if a.rng.IntN(20) == 0 {
			e.arrivalMs += a.rng.Int64N(outOfOrderMs)
		}
		heap.Push(&a.waiting, e)
		a.times[v.user] = append(a.times[v.user], v.nextMs)
		a.made++
		a.left--
		a.step(v)
	}
	if len(a.waiting) == 0 {
		return nil, false
	}
	a.encode(heap.Pop(&a.waiting).(arrival))
	return &a.record, true
}

// step moves a visitor to the next event, perhaps of the next visit. Both sides
// of the gap are met.
func (a *activity) step(v *visitor) {
	switch p := a.rng.Float64(); {
	case p < exactlyAGap:
		v.nextMs += gapMs
	case p < 2*exactlyAGap:
		v.nextMs += gapMs + 1
	case v.left > 1:
		v.left--
		v.nextMs += 1000 + min(int64(a.rng.ExpFloat64()*meanPauseMs), gapMs/2)
	default:
		v.left = a.visit()
		v.nextMs += gapMs + 2 + int64(a.rng.ExpFloat64()*meanAwayMs)
	}
	heap.Fix(&a.people, 0)
}

func (a *activity) encode(e arrival) {
	user := fmt.Sprintf("user-%06d", e.user)
	class, agent := "web", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	if e.user%3 == 0 {
		class, agent = "mobile", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148"
	}
	a.record.key = schemas.AppendKey(a.record.key[:0], network, user)
	a.record.value = fmt.Appendf(a.record.value[:0],
		`{"id":"%08x-%08x","source":"web","network":%q,"user":%q,"time":%q,"type":"io.daybook.content.content.viewed","device":{"id":"d-%06d","class":%q},"content":{"id":"article-%d","name":"An article"},"context":{"zone":"Europe/Amsterdam","ua":%q}}`,
		e.number, a.rng.Uint32(), network, user, time.UnixMilli(e.timeMs).UTC().Format("2006-01-02T15:04:05.000Z"), e.user, class, a.rng.IntN(5000), agent)
}

// reference cuts the times of every user where more than the gap lies between
// two: the whole rule, over everything that next has given.
func (a *activity) reference() (want sessions) {
	for user, times := range a.times {
		slices.Sort(times)
		key := schemas.AppendKey(nil, network, fmt.Sprintf("user-%06d", user))
		for from := 0; from < len(times); {
			to := from + 1
			for to < len(times) && times[to]-times[to-1] <= gapMs {
				to++
			}
			want.add(key, times[from], times[to-1], int64(to-from))
			from = to
		}
	}
	return want
}

// visitor is a user and the event to come.
type visitor struct {
	nextMs     int64
	user, left int // events left of the visit, the one to come included
}

type visitors []visitor

func (h *visitors) Len() int           { return len(*h) }
func (h *visitors) Less(i, j int) bool { return (*h)[i].nextMs < (*h)[j].nextMs }
func (h *visitors) Swap(i, j int)      { (*h)[i], (*h)[j] = (*h)[j], (*h)[i] }
func (h *visitors) Push(x any)         { *h = append(*h, x.(visitor)) }
func (h *visitors) Pop() any           { return pop((*[]visitor)(h)) }

// arrival is an event on its way.
type arrival struct {
	arrivalMs, timeMs int64
	user, number      int
}

type arrivals []arrival

func (h *arrivals) Len() int           { return len(*h) }
func (h *arrivals) Less(i, j int) bool { return (*h)[i].arrivalMs < (*h)[j].arrivalMs }
func (h *arrivals) Swap(i, j int)      { (*h)[i], (*h)[j] = (*h)[j], (*h)[i] }
func (h *arrivals) Push(x any)         { *h = append(*h, x.(arrival)) }
func (h *arrivals) Pop() any           { return pop((*[]arrival)(h)) }

func pop[T any](h *[]T) T {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
