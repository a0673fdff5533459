package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/clickhouse"
	"daybook/clickhouse/verify"
	"daybook/cmd/daybook/deep"
	"daybook/pipeline"
	"daybook/pipeline/source"
	"daybook/schemas"
)

// verified is a running home whose tables the tests of verify look at.
type verified struct {
	*home

	client     *source.Client
	store      *clickhouse.Store
	dsn        url.URL
	key        []byte
	partitions int32
}

func startVerified(t *testing.T) *verified {
	t.Helper()
	v := &verified{home: startDev(t, t.TempDir(), devCmd{})}
	a, err := newApp(&cli{Data: v.data}, stdio{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	found, err := a.needBoth()
	if err != nil {
		t.Fatal(err)
	}
	v.dsn = *found.ClickHouse
	if v.client, err = a.openTopic(t.Context(), found.Kafka); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.client.Close)
	v.store = v.open(t, v.dsn.Path)
	if v.key, err = a.installationKey(false); err != nil {
		t.Fatal(err)
	}
	n, err := v.client.Partitions(t.Context(), v.client.EventsTopic())
	if err != nil {
		t.Fatal(err)
	}
	v.partitions = int32(n)
	return v
}

// open opens a database of the home's engine.
func (v *verified) open(t *testing.T, database string) *clickhouse.Store {
	t.Helper()
	s, err := clickhouse.Open(t.Context(), clickhouse.Options{DSN: v.dsn.String(), Database: strings.Trim(database, "/")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // only read from, and dropped
	return s
}

// verify runs the checks on a database, and with deep also those against the log.
func (v *verified) verify(t *testing.T, store *clickhouse.Store, withLog bool, only ...string) *verify.Report {
	t.Helper()
	report, err := verifyTables(t.Context(), store, v.client, verify.Options{Only: only})
	if err == nil && withLog {
		err = v.deep(t, store, v.client, report)
	}
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func (v *verified) deep(t *testing.T, store *clickhouse.Store, log deep.Log, report *verify.Report) error {
	t.Helper()
	return deep.Run(t.Context(), store, report, deep.Options{Log: log, Worker: pipeline.Config{Epoch: 1, Partitions: v.partitions, ControlKey: v.key}})
}

// set puts a setting in the catalogue and on every partition.
func (v *verified) set(t *testing.T, c schemas.Control) {
	t.Helper()
	value, err := schemas.EncodeControl(c)
	if err != nil {
		t.Fatal(err)
	}
	if c.Position, err = v.client.PutSetting(t.Context(), c.Network, value); err != nil {
		t.Fatal(err)
	}
	if value, err = schemas.EncodeControl(c); err != nil {
		t.Fatal(err)
	}
	for p := range v.partitions {
		if _, err := v.client.AppendControl(t.Context(), p, value, schemas.SignControl(v.key, value)); err != nil {
			t.Fatal(err)
		}
	}
}

func (v *verified) produce(t *testing.T, records ...source.Outgoing) {
	t.Helper()
	if err := v.client.Produce(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

// settle waits until every record is stored and every session published.
func (v *verified) settle(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	wanted, err := ends(ctx, v.client)
	if err != nil {
		t.Fatal(err)
	}
	for {
		reports, err := v.store.Partitions(ctx, v.client.EventsTopic())
		if err != nil {
			t.Fatalf("wait for the worker: %v", err)
		}
		behind := slices.ContainsFunc(reports, func(r clickhouse.PartitionReport) bool { return r.Published < wanted[r.Partition] })
		if len(reports) == len(wanted) && !behind {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond): // the worker reports each second
		case <-ctx.Done():
			t.Fatal("the worker has not published everything after a minute")
		}
	}
}

// said is an event of a user, received a second after it happened. more is JSON.
func said(who, id, at, more string) source.Outgoing {
	when, err := time.Parse(time.DateTime, "2026-03-"+at)
	if err != nil {
		panic(err) // a typing error
	}
	network, user, _ := strings.Cut(who, "/")
	return source.Outgoing{
		Key: []byte(who), Partition: -1, TimeMs: when.UnixMilli() + 1000,
		Value: fmt.Appendf(nil, `{"id":%q,"network":%q,"user":%q,"time":%q%s}`, id, network, user, when.Format(time.RFC3339), more),
	}
}

// every gives events at a steady pace.
func every(who, id, from string, step time.Duration, n int, more string) (all []source.Outgoing) {
	first, err := time.Parse(time.DateTime, "2026-03-"+from)
	if err != nil {
		panic(err)
	}
	for i := range n {
		all = append(all, said(who, fmt.Sprintf("%s-%d", id, i), first.Add(time.Duration(i)*step).Format("02 15:04:05"), more))
	}
	return all
}

const (
	phone    = `,"device":{"id":"phone","class":"mobile"}`
	laptop   = `,"device":{"id":"laptop","class":"web"}`
	logout   = `,"type":"io.daybook.presence.logged_out"`
	hidden   = `,"type":"io.daybook.presence.backgrounded"`
	toTokyo  = `,"type":"io.daybook.directory.user_upserted","props":{"tz":"Asia/Tokyo","name":"Bob"}`
	toLondon = `,"type":"io.daybook.directory.user_upserted","props":{"tz":"Europe/London"}`
	ticket   = `,"type":"io.daybook.ticket.opened"`
)

// fill brings in a log with something of everything: several networks, zones,
// devices; sessions over midnight and over the change of clocks, cut by marks,
// gaps, periods and the cap; repeats, conflicts, late events, facts, settings
// that change, times not recorded, and records that can never be right.
func (v *verified) fill(t *testing.T) {
	t.Helper()
	ms := func(at string) int64 { return said("a/b", "", at, "").TimeMs - 1000 }
	alfa := schemas.Control{Network: "alfa", Zone: "Europe/Berlin", GapMs: schemas.DefaultGapMs, Title: "Alfa"}
	beta := schemas.Control{Network: "beta", Zone: "America/St_Johns", GapMs: 5 * 60_000}
	v.set(t, alfa)
	v.set(t, beta)
	v.set(t, schemas.Control{Network: "gamma", GapMs: schemas.DefaultGapMs})

	minute := time.Minute
	v.produce(t, slices.Concat(
		every("alfa/ann", "night", "28 22:30:00", 10*minute, 7, phone), // over midnight in Berlin
		every("alfa/ann", "desk", "28 22:45:00", 10*minute, 4, laptop), // beside it
		every("alfa/ann", "clocks", "29 00:30:00", 10*minute, 7, phone),
		[]source.Outgoing{
			said("alfa/ann", "bye", "29 01:31:00", phone+logout),
			said("alfa/ann", "again", "29 01:32:00", phone),
			said("alfa/ann", "hide", "29 01:40:00", phone+hidden),
			said("alfa/ann", "back", "29 01:40:30", phone), // the mark is void
			said("alfa/ann", "gone", "29 01:50:00", phone+hidden),
			said("alfa/ann", "late to bed", "29 01:55:00", phone),
			said("alfa/ann", "ticket", "29 02:00:00", ticket),
		},
		every("alfa/bob", "before", "28 14:30:00", 10*minute, 3, laptop),
		[]source.Outgoing{said("alfa/bob", "moves", "28 14:55:00", toTokyo)},
		every("alfa/bob", "after", "28 15:00:00", 10*minute, 3, ""),
		every("alfa/cap", "chain", "27 01:00:00", 20*minute, 121, laptop), // 40 hours
		every("beta/eve", "short", "28 02:20:00", 4*minute, 20, phone),    // over midnight in St. John's
		every("beta/eve", "apart", "28 12:00:00", 6*minute, 3, phone),     // each its own session
		every("gamma/bulk", "bulk", "28 06:00:00", 2*time.Second, 9000, laptop),
		[]source.Outgoing{
			said("alfa/dup", "one", "28 10:00:00", laptop),
			said("alfa/dup", "one", "28 10:00:00", laptop),
			said("alfa/dup", "one", "28 10:30:00", laptop), // another time of one id within the hour
			said("alfa/dup", "one", "28 10:00:00", laptop+`,"label":"other"`),
			said("alfa/dup", "one", "29 10:00:00", laptop), // a day later it is another event
			said("alfa/dup", "agent", "29 10:05:00", `,"context":{"ua":"Googlebot/2.1"},"props":{"a":1}`),
			{Key: []byte("alfa/bad"), Partition: -1, TimeMs: ms("28 10:00:00"), Value: []byte("not json")},
			{Key: []byte("alfa/bad"), Partition: -1, TimeMs: ms("28 10:00:00"), Value: []byte(strings.Repeat("x", 70_000))},
			{Key: []byte("alfa/bad"), Partition: -1, TimeMs: ms("28 10:00:00"), Value: []byte(`{"id":"1","network":"alfa","time":"2026-03-28T10:00:00Z"}`)},
			{Key: []byte("alfa/else"), Partition: -1, TimeMs: ms("28 10:00:00"), Value: said("alfa/ann", "key", "28 10:00:00", "").Value},
			said("nobody/u", "unknown", "28 10:00:00", ""),
			{Key: []byte("alfa/bad"), Partition: -1, TimeMs: ms("28 10:00:00"), Value: []byte(`{"id":"2","network":"alfa","user":"bad","time":"1900-01-01T00:00:00Z"}`)},
		},
		[]source.Outgoing{said("alfa/late", "noon", "28 12:00:00", laptop), said("alfa/late", "later", "28 12:50:00", laptop), said("alfa/late", "end", "30 18:00:00", laptop)},
		[]source.Outgoing{said("alfa/dark", "known", "30 09:40:00", laptop)},
	)...)
	v.settle(t)
	alfa.Dark = []schemas.Dark{{FromMs: ms("30 10:00:00"), ToMs: ms("30 10:10:00")}}
	v.set(t, alfa)
	beta.GapMs = 20 * 60_000
	v.set(t, beta)
	v.produce(t,
		said("alfa/dark", "last", "30 09:55:00", laptop),
		said("alfa/dark", "unseen", "30 10:05:00", laptop),
		said("alfa/dark", "first", "30 10:15:00", laptop),
		said("alfa/late", "bridge", "28 12:25:00", laptop), // unites two sessions
		said("alfa/late", "noon", "28 12:00:00", laptop),   // a repeat, late
		said("alfa/late", "older", "27 08:00:00", laptop),  // another day
		said("alfa/ann", "earlier", "28 22:20:00", phone),  // moves a start
		said("alfa/cap", "first", "27 00:40:00", laptop),   // moves a capped chain's
		said("beta/eve", "between", "28 12:14:00", phone),  // by the new gap
		said("alfa/bob", "home", "29 09:00:00", toLondon),  // keeps the name
		said("alfa/bob", "tea", "29 16:00:00", laptop),
	)
	v.settle(t)
}
