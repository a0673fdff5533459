package e2e

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"daybook/cmd/daybook/generate"
	"daybook/pipeline/source"
	"daybook/schemas"
)

// traffic produces a seeded stream into a site: on time, out of order, days
// late, twice, not to be taken at all, of three networks whose settings change.
// It remembers what Kafka acknowledged. The event time runs faster than the
// clock, so that sessions end, days pass and horizons move.
type traffic struct {
	site      *site
	seed      uint64
	gen       *generate.Generator
	rng       *rand.Rand
	limit     *rate.Limiter
	networks  []string
	virtualMs atomic.Int64 // event time of the newest record

	mu    sync.Mutex // held while a batch is on its way
	acked bitmap     // of the counters in the ids
	dark  bitmap     // those whose network is switched off and on: they may be not recorded

	records  atomic.Int64 // acknowledged, bad ones and repeats included
	bad      atomic.Int64 // of them, records that must be rejected
	failed   atomic.Int64 // batches whose answer did not come; sent again
	settings atomic.Int64 // changes of networks
}

// bitmap is a set of small numbers.
type bitmap []uint64

func (b *bitmap) set(n uint64) {
	for uint64(len(*b)) <= n/64 {
		*b = append(*b, make([]uint64, 1+len(*b))...)
	}
	(*b)[n/64] |= 1 << (n % 64)
}

func (b *bitmap) has(n uint64) bool { return n/64 < uint64(len(*b)) && (*b)[n/64]&(1<<(n%64)) != 0 }

// newTraffic prepares records for the given time at a rate; there are always
// some more.
func newTraffic(s *site, seed uint64, perSecond int, last time.Duration) (*traffic, error) {
	events := max(200_000, int64(float64(perSecond)*last.Seconds()*1.5))
	gen, err := generate.New(generate.Config{
		Seed: seed, Events: events, Networks: 3, Users: 2000, Late: 0.003, Name: "soak",
		Days: max(3, int(events/1_000_000)), Start: generate.DefaultStart(),
	})
	if err != nil {
		return nil, err
	}
	t := &traffic{
		site: s, seed: seed, gen: gen, networks: gen.Networks(), rng: rand.New(rand.NewPCG(seed, 2)),
		limit: rate.NewLimiter(rate.Limit(perSecond), perSecond),
	}
	for _, network := range t.networks {
		if out, err := s.run(startLimit, "network", "set", network, "--zone", "Europe/Prague"); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, out)
		}
	}
	return t, nil
}

// run produces until ctx ends. A batch that fails is sent again until it is
// acknowledged: that is what makes repeats.
func (t *traffic) run(ctx context.Context) {
	size := min(500, max(1, int(t.limit.Limit())/5))
	for ctx.Err() == nil {
		if t.limit.WaitN(ctx, size) != nil {
			return
		}
		t.mu.Lock()
		t.send(t.batch(size)) //nolint:contextcheck // see send
		t.mu.Unlock()
	}
}

// send produces one batch for good. It does not end with the test's context: a
// batch whose fate is unknown could not be counted.
func (t *traffic) send(out []source.Outgoing, numbers []uint64) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), startLimit)
		err := t.site.client.Produce(ctx, out)
		cancel()
		if err == nil {
			break
		}
		t.failed.Add(1)
	}
	for _, n := range numbers {
		t.acked.set(n)
	}
	t.records.Add(int64(len(out)))
}

// batch makes the next records, and gives the numbers of those that must be
// found again.
func (t *traffic) batch(size int) (out []source.Outgoing, numbers []uint64) {
	for range size {
		r, ok := t.gen.Next()
		if !ok {
			break // the generator is asked for half as much again as is needed
		}
		key, value := bytes.Clone(r.Key), bytes.Clone(r.Value)
		n, err := numberOf(value)
		if err != nil {
			panic(err) // the generator's ids have changed
		}
		numbers = append(numbers, n)
		if bytes.HasPrefix(key, []byte(t.networks[2]+"/")) {
			t.dark.set(n)
		}
		t.virtualMs.Store(r.ArrivalMs)
		out = append(out, source.Outgoing{Partition: -1, Key: key, Value: value})
		if t.rng.IntN(300) == 0 {
			out = append(out, t.spoilt(key, value))
			t.bad.Add(1)
		}
	}
	return out, numbers
}

// spoilt makes a record that must be rejected out of a good one; a key of
// somebody else sends it to a partition where its user does not live.
func (t *traffic) spoilt(key, value []byte) source.Outgoing {
	bad := bytes.Replace(value, []byte(`"id":"g`), []byte(`"id":"bad`), 1)
	switch t.rng.IntN(4) {
	case 0:
		bad = bad[:len(bad)/2]
	case 1:
		bad = replaceTime(bad, "1900-01-01T00:00:00Z")
	case 2:
		bad = replaceTime(bad, "2400-01-01T00:00:00Z")
	default:
		bad = []byte("poison")
	}
	return source.Outgoing{Partition: -1, Key: key, Value: bad}
}

func replaceTime(value []byte, with string) []byte {
	head, rest, ok := bytes.Cut(value, []byte(`"time":`))
	if !ok {
		panic("an event without time: " + string(value))
	}
	_, rest, _ = bytes.Cut(rest, []byte(`,`))
	return bytes.Join([][]byte{head, []byte(`"time":"` + with + `",`), rest}, nil)
}

// numberOf reads the counter out of the id that the generator made, g<seed>-<counter>.
func numberOf(value []byte) (uint64, error) {
	_, rest, _ := bytes.Cut(value, []byte(`"id":"`))
	id, _, ok := bytes.Cut(rest, []byte(`"`))
	if !ok {
		return 0, fmt.Errorf("no id in %s", value)
	}
	return counterOf(string(id))
}

func counterOf(id string) (uint64, error) {
	for i := range len(id) {
		if id[i] == '-' {
			return strconv.ParseUint(id[i+1:], 36, 64)
		}
	}
	return 0, fmt.Errorf("id %q has no counter", id)
}

// change alters a network: the gap of one, the zone of another, and the
// recording of the third, which is switched at the event time of now.
func (t *traffic) change(ctx context.Context) error {
	pick := t.rng.IntN(3)
	all, err := t.site.client.Settings(ctx)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.Network != t.networks[pick] {
			continue
		}
		c, err := schemas.DecodeControl(s.Value)
		if err != nil {
			return err
		}
		switch pick {
		case 0:
			c.GapMs = int32(time.Duration(10+t.rng.IntN(50)) * time.Minute / time.Millisecond)
		case 1:
			c.Zone = []string{"Europe/Prague", "America/New_York", "Asia/Kolkata", "UTC"}[t.rng.IntN(4)]
		default:
			c.Dark = switched(c.Dark, t.virtualMs.Load())
		}
		if err := t.put(ctx, &c); err != nil {
			return err
		}
		t.settings.Add(1)
		return nil
	}
	return errors.New("the catalogue lacks " + t.networks[pick])
}

// switched closes the dark span that is open, else opens one.
func switched(dark []schemas.Dark, nowMs int64) []schemas.Dark {
	n := len(dark)
	if n == 0 || dark[n-1].ToMs != math.MaxInt64 {
		if n > 0 && dark[n-1].ToMs >= nowMs {
			return dark // the last one has hardly ended
		}
		return append(dark, schemas.Dark{FromMs: nowMs, ToMs: math.MaxInt64})
	}
	dark[n-1].ToMs = max(nowMs, dark[n-1].FromMs+1)
	return dark
}

// put writes the catalogue, then every partition, as the program does.
func (t *traffic) put(ctx context.Context, c *schemas.Control) error {
	c.Position = 0
	value, err := schemas.EncodeControl(*c)
	if err != nil {
		return err
	}
	if c.Position, err = t.site.client.PutSetting(ctx, c.Network, value); err != nil {
		return err
	}
	if value, err = schemas.EncodeControl(*c); err != nil {
		return err
	}
	key, err := hex.DecodeString(siteKey)
	if err != nil {
		return err
	}
	for p := range t.site.cfg.partitions {
		if _, err := t.site.client.AppendControl(ctx, int32(p), value, schemas.SignControl(key, value)); err != nil {
			return err
		}
	}
	return nil
}
