package pipeline

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/pipeline/enrich"
	"daybook/pipeline/source"
	"daybook/schemas"
)

// sessionCase is a case of another engine's tests, with what the rules here
// give under daybook (testdata/README.md names the sources).
type sessionCase struct {
	ID     string `json:"id"`
	GapMs  int32  `json:"gap_ms"`
	Events []struct {
		Key *string `json:"key"`
		TS  int64   `json:"ts"`
	} `json:"events"`
	Daybook []struct {
		Key   string `json:"key"`
		Start int64  `json:"start"`
		End   int64  `json:"end"`
		Count int    `json:"count"`
	} `json:"daybook"`
}

// caseBase is the instant 0 of the cases: late enough to be no time_out_of_range.
var caseBase = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC).UnixMilli()

// horizonMode is how the horizon moves while a case runs: a matter of speed only.
type horizonMode int

const (
	horizonDefault horizonMode = iota
	horizonRandom
	horizonAllLate
)

// play runs events, already in order of arrival, through the real decoder and
// state in random batches, and gives the live sessions.
func play(t *testing.T, gap int32, events [][]byte, mode horizonMode, r *rand.Rand) *tables {
	t.Helper()
	rules := Standard(2*time.Hour, time.Minute)
	d := &decoder{rules: &rules, partitions: 1, classes: enrich.New(16)}
	s := newState(&rules, 1, 0, 1, 0)
	store := newTables()
	log := []record{{control: &schemas.Control{Network: "case", Position: 0, GapMs: gap}}}
	for i, raw := range events {
		var e schemas.Event
		var key []byte
		if d.json.Decode(raw, &e).Reason == schemas.Accepted {
			key = schemas.AppendKey(nil, e.Network, e.User)
		}
		var out record
		d.decode(&source.Record{Offset: int64(i + 1), TimestampMs: caseBase + 365*86_400_000, Key: key, Value: raw}, &out)
		log = append(log, out)
	}
	w := &world{t: t, rules: &rules, store: store, log: log, now: 1}
	x := &incarnation{s: s}
	for x.s.pos < int64(len(log)) {
		if n := x.s.networks["case"]; n != nil && n.greatest > never {
			switch mode {
			case horizonDefault:
			case horizonRandom:
				n.wanted = max(n.wanted, n.greatest-int64(r.Intn(int(2*gap)+1000))+int64(r.Intn(int(gap)+1)))
			case horizonAllLate:
				n.wanted = caseBase + 1000*86_400_000
			}
		}
		w.advance(x, 1+r.Intn(3), 6, r.Uint32()&^1, true, false)
	}
	w.advance(x, 0, 6, 0, true, true)
	if store.conflict != "" {
		t.Fatal(store.conflict)
	}
	return store
}

// TestSessionCases_OtherEngines runs every case in arrival orders that shuffles
// with a fixed seed try, with the horizon at its default, moved up at random,
// and with everything late.
func TestSessionCases_OtherEngines(t *testing.T) {
	raw, err := os.ReadFile("testdata/session_cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []sessionCase
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) != 44 {
		t.Fatalf("read %d cases, want 44", len(cases))
	}
	for _, c := range cases {
		t.Run(c.ID, func(t *testing.T) {
			var want []string
			for _, s := range c.Daybook {
				want = append(want, fmt.Sprintf("%s %d..%d %d", s.Key, s.Start, s.End, s.Count))
			}
			slices.Sort(want)
			r := rand.New(rand.NewSource(20260305))
			order := c.encoded()
			for i := range 21 {
				for mode := horizonDefault; mode <= horizonAllLate; mode++ {
					got := liveSessions(play(t, c.GapMs, order, mode, r))
					if !slices.Equal(got, want) {
						t.Fatalf("order %d, horizon mode %d: got\n%s\nwant\n%s", i, mode, strings.Join(got, "\n"), strings.Join(want, "\n"))
					}
				}
				r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			}
		})
	}
}

// encoded gives the case's events as JSON, in their own order of arrival.
func (c *sessionCase) encoded() [][]byte {
	var out [][]byte
	for i, e := range c.Events {
		user := ""
		if e.Key != nil {
			user = fmt.Sprintf(`,"user":%q`, *e.Key)
		}
		at := time.UnixMilli(caseBase + e.TS).UTC().Format("2006-01-02T15:04:05.000Z07:00")
		out = append(out, fmt.Appendf(nil, `{"id":"%s-%d","network":"case","time":%q%s}`, c.ID, i, at, user))
	}
	return out
}

// liveSessions prints the sessions of a store as "key start..end count".
func liveSessions(t *tables) []string {
	var out []string
	for id, s := range t.sessions {
		if s.row == "" {
			continue
		}
		var start, end int64
		var count int
		rest := strings.TrimPrefix(id, "case/")
		user, from, _ := strings.Cut(rest, "/web from ")
		if _, err := fmt.Sscan(from, &start); err != nil {
			panic(err)
		}
		if _, err := fmt.Sscanf(s.row, "to %d, %d events", &end, &count); err != nil {
			panic(err)
		}
		out = append(out, fmt.Sprintf("%s %d..%d %d", user, start-caseBase, end-caseBase, count))
	}
	slices.Sort(out)
	return out
}

// at gives the JSON of an event of one user at an instant.
func at(id, instant, more string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"network":"case","user":"u","time":%q%s}`, id, instant, more)
}

// Golden vector 10 (SPK-28): a gap of exactly G continues, a millisecond more does not.
func TestGolden_10(t *testing.T) {
	signals := func(last string) [][]byte {
		return [][]byte{at("a", "2026-01-05T09:00:00Z", ""), at("b", "2026-01-05T09:29:00Z", ""), at("c", "2026-01-05T09:59:00Z", ""), at("d", last, "")}
	}
	minute := int64(60_000)
	for last, want := range map[string][]string{
		"2026-01-05T10:29:01Z":     {fmt.Sprintf("u %d..%d 3", 540*minute, 599*minute), fmt.Sprintf("u %d..%d 1", 629*minute+1000, 629*minute+1000)},
		"2026-01-05T10:29:00.001Z": {fmt.Sprintf("u %d..%d 3", 540*minute, 599*minute), fmt.Sprintf("u %d..%d 1", 629*minute+1, 629*minute+1)},
		"2026-01-05T10:29:00Z":     {fmt.Sprintf("u %d..%d 4", 540*minute, 629*minute)},
	} {
		got := liveSessions(play(t, schemas.DefaultGapMs, signals(last), horizonDefault, rand.New(rand.NewSource(1))))
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("last signal %s: got %v, want %v", last, got, want)
		}
	}
}

// Golden vector 1 (SPK-31): a session over midnight is one session, split into
// days of the user's zone, whatever order its events come in.
func TestGolden_1_SessionOverMidnight(t *testing.T) {
	fact := at("f", "2026-03-01T00:00:00Z", `,"type":"io.daybook.directory.user_upserted","props":{"tz":"Europe/Amsterdam"}`)
	signals := [][]byte{
		at("a", "2026-03-10T23:30:00+01:00", ""), at("b", "2026-03-10T23:55:00+01:00", ""), at("c", "2026-03-11T00:20:00+01:00", ""),
		at("d", "2026-03-11T00:45:00+01:00", ""), at("e", "2026-03-11T01:15:00+01:00", ""),
	}
	r := rand.New(rand.NewSource(3))
	for range 20 {
		store := play(t, schemas.DefaultGapMs, slices.Concat([][]byte{fact}, signals), horizonMode(r.Intn(3)), r)
		var rows []string
		for id, s := range store.slices {
			if s.row != "" {
				rows = append(rows, id[strings.LastIndex(id, "on "):]+": "+s.row[strings.Index(s.row, "]] ")+3:])
			}
		}
		slices.Sort(rows)
		want := []string{"on 20522: 1800 Europe/Amsterdam web false true", "on 20523: 4500 Europe/Amsterdam web true false"}
		if !slices.Equal(rows, want) {
			t.Fatalf("got %q, want %q", rows, want)
		}
		r.Shuffle(len(signals), func(i, j int) { signals[i], signals[j] = signals[j], signals[i] })
	}
}

// Cut marks (SEMANTICS.md section 9): a logout ends the session, backgrounding
// does unless a signal follows within 60 s, in any order of arrival.
func TestCutMarks_AnyOrder(t *testing.T) {
	mark := func(id, instant, kind string) []byte {
		return at(id, instant, `,"type":"io.daybook.presence.`+kind+`"`)
	}
	events := [][]byte{
		at("a", "2026-01-05T09:00:00Z", ""), mark("b", "2026-01-05T09:10:00Z", "backgrounded"), at("c", "2026-01-05T09:11:00Z", ""),
		mark("d", "2026-01-05T09:20:00Z", "backgrounded"), at("e", "2026-01-05T09:21:00.001Z", ""),
		mark("f", "2026-01-05T09:30:00Z", "logged_out"), at("g", "2026-01-05T09:30:00Z", ""), at("h", "2026-01-05T09:30:01Z", ""),
	}
	want := []string{"u 32400000..33600000 4", "u 33660001..34200000 3", "u 34201000..34201000 1"}
	r := rand.New(rand.NewSource(5))
	for range 200 {
		got := liveSessions(play(t, schemas.DefaultGapMs, events, horizonMode(r.Intn(3)), r))
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	}
}
