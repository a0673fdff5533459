package e2e

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"daybook/pipeline/source"
	"daybook/schemas"
)

// perKind is how many records of each kind of bad input are produced; as many
// good ones stand between them.
const perKind = 200

// badKind makes records that can never be right, each for one reason. The
// number i makes them distinct; %d in value stands for it.
type badKind struct {
	name   string
	reason schemas.Reason
	value  func(i int) []byte
	key    string // "good/u" if empty
	away   bool   // to the partition after the one that the key belongs to
	header source.Header
}

// eventWith is a good event with one member replaced ("" removes it).
func eventWith(name, member string) func(i int) []byte {
	return func(i int) []byte {
		members := [][2]string{
			{"id", fmt.Sprintf(`"id":"bad-%s-%d"`, name, i)},
			{"network", `"network":"good"`},
			{"user", `"user":"u"`},
			{"time", `"time":"2026-05-12T10:00:00Z"`},
			{"label", fmt.Sprintf(`"label":"%d"`, i)},
			{"device", `"device":{"class":"web"}`},
		}
		var parts []string
		for _, m := range members {
			if m[0] == name {
				m[1] = member
			}
			if m[1] != "" {
				parts = append(parts, m[1])
			}
		}
		return []byte("{" + strings.Join(parts, ",") + "}")
	}
}

func text(format string) func(i int) []byte {
	return func(i int) []byte { return fmt.Appendf(nil, format, i) }
}

func badKinds() []badKind {
	long := strings.Repeat("x", schemas.MaxUserBytes+1)
	good := eventWith("", "")
	return []badKind{
		{name: "over the limit", reason: schemas.TooLarge, value: func(i int) []byte {
			return fmt.Appendf(nil, `{"id":"big-%d","props":{"fill":"%s"}}`, i, strings.Repeat("x", schemas.MaxEventBytes))
		}},
		{name: "empty", reason: schemas.Empty, value: func(i int) []byte { return bytes.Repeat([]byte(" "), i) }},
		{name: "binary", reason: schemas.NotJSON, value: func(i int) []byte { return []byte{0x89, 'P', 'N', 'G', 0, 0xff, byte(i), 0x0a} }},
		{name: "text", reason: schemas.NotJSON, value: text("GET /index.html?%d HTTP/1.1")},
		{name: "a list", reason: schemas.NotJSON, value: text("[%d]")},
		{name: "cut short", reason: schemas.NotJSON, value: text(`{"id":"cut-%d","network":"good"`)},
		{name: "two objects", reason: schemas.NotJSON, value: text(`{"id":"two-%d"}{"id":"three"}`)},
		{name: "invalid UTF-8", reason: schemas.InvalidUTF8, value: text("{\"id\":\"utf-%d\",\"label\":\"\xc3\x28\"}")},
		{name: "NUL", reason: schemas.InvalidUTF8, value: text(`{"id":"nul-%d","user":"a\u0000b"}`)},
		{name: "duplicate key", reason: schemas.DuplicateKey, value: text(`{"id":"dup-%d","id":"again"}`)},
		{name: "duplicate key, nested", reason: schemas.DuplicateKey, value: text(`{"id":"dup-%d","props":{"a":1,"a":2}}`)},
		{name: "too deep", reason: schemas.TooDeep, value: func(i int) []byte {
			return fmt.Appendf(nil, `{"id":"deep-%d","props":%s1%s}`, i, strings.Repeat(`{"a":`, 40), strings.Repeat("}", 40))
		}},
		{name: "wrong type of id", reason: schemas.WrongType, value: eventWith("id", `"id":7`)},
		{name: "wrong type of device", reason: schemas.WrongType, value: eventWith("device", `"device":"phone"`)},
		{name: "wrong type of time", reason: schemas.WrongType, value: eventWith("time", `"time":1778580000`)},
		{name: "CloudEvent of another version", reason: schemas.BadCloudEvent, value: text(`{"specversion":"0.3","id":"ce-%d","source":"s","type":"t"}`)},
		{name: "no id", reason: schemas.NoID, value: eventWith("id", "")},
		{name: "long id", reason: schemas.BadID, value: eventWith("id", `"id":"`+long+`"`)},
		{name: "no network", reason: schemas.NoNetwork, value: eventWith("network", "")},
		{name: "bad network", reason: schemas.BadNetwork, value: eventWith("network", `"network":"Not A Network"`)},
		{name: "no user", reason: schemas.NoUser, value: eventWith("user", "")},
		{name: "empty user", reason: schemas.NoUser, value: eventWith("user", `"user":""`)},
		{name: "long user", reason: schemas.BadUser, value: eventWith("user", `"user":"`+long+`"`)},
		{name: "no time", reason: schemas.NoTime, value: eventWith("time", "")},
		{name: "no instant", reason: schemas.BadTime, value: eventWith("time", `"time":"yesterday"`)},
		{name: "no such day", reason: schemas.BadTime, value: eventWith("time", `"time":"2026-02-30T10:00:00Z"`)},
		{name: "long ago", reason: schemas.TimeOutOfRange, value: eventWith("time", `"time":"1900-01-01T00:00:00Z"`)},
		{name: "far ahead", reason: schemas.TimeOutOfRange, value: eventWith("time", `"time":"2400-01-01T00:00:00Z"`)},
		{name: "long device", reason: schemas.FieldTooLong, value: eventWith("device", `"device":{"id":"`+long+`"}`)},
		{name: "wrong partition", reason: schemas.WrongPartition, value: good, away: true},
		{name: "another key", reason: schemas.WrongPartition, value: good, key: "good/somebody-else"},
		{name: "unknown network", reason: schemas.UnknownNetwork, value: eventWith("network", `"network":"nowhere"`), key: "nowhere/u"},
		{
			name: "forged setting", reason: schemas.BadControl, value: text(`{"network":"good","position":9%d,"gap_ms":60000}`),
			header: source.Header{Key: []byte(schemas.HeaderControl), Value: []byte("0000")},
		},
		{
			name: "unmappable line", reason: schemas.Unmappable, value: text("line %d of no log"),
			header: source.Header{Key: []byte(schemas.HeaderError), Value: []byte("line is no combined log")},
		},
	}
}

// goodEvent is the n-th of the good ones: ten users, each with an event every
// ten seconds.
func goodEvent(n int) source.Outgoing {
	user := fmt.Sprintf("user-%d", n%10)
	at := time.Date(2026, 5, 12, 8, 0, n, 0, time.UTC).Format(time.RFC3339)
	return source.Outgoing{
		Key:       schemas.AppendKey(nil, "good", user),
		Value:     fmt.Appendf(nil, `{"id":"good-%d","network":"good","user":%q,"time":%q}`, n, user, at),
		Partition: -1,
	}
}

// Whatever a producer sends, nothing stops, the good events around it are all
// stored, and each bad record is kept with its own reason, readable by SQL and
// counted in /metrics (I7).
func TestBadInput_IsKeptWithItsReasonAndStopsNothing(t *testing.T) {
	d := startDev(t, t.TempDir())
	d.run(0, "network", "set", "good")

	kinds := badKinds()
	sent, total := produceBad(t, d, kinds)
	good := total / 2

	d.await("every record accounted for", func() bool {
		return d.number(`SELECT sum(accepted) FROM daybook.ledger`) >= int64(good)
	})
	d.await("every reject visible", func() bool {
		return d.number(`SELECT count() FROM daybook.rejects`) >= int64(total-good)
	})

	wantByReason, wantMetric := make(map[string]int64), make(map[string]float64)
	for _, k := range kinds {
		wantByReason[k.reason.String()] += perKind
		wantMetric[k.reason.String()] += perKind
	}
	if diff := cmp.Diff(wantByReason, d.counts(`SELECT reason, count() FROM daybook.rejects GROUP BY reason`)); diff != "" {
		t.Errorf("rejects by reason (-want +got):\n%s", diff)
	}
	// Counted when the flush that holds them has been acknowledged.
	d.await("every reject counted", func() bool {
		sum := 0.0
		for _, n := range d.rejectMetric() {
			sum += n
		}
		return sum >= float64(total-good)
	})
	if diff := cmp.Diff(wantMetric, d.rejectMetric()); diff != "" {
		t.Errorf("daybook_worker_rejected_total (-want +got):\n%s", diff)
	}

	// Each can be read back as it was sent, as far as it is kept.
	got := make(map[string]int)
	for _, row := range d.sql(`SELECT reason, hex(raw) FROM daybook.rejects`) {
		got[row[0]+" "+strings.ToLower(row[1])]++
	}
	if diff := cmp.Diff(len(sent), len(got)); diff != "" {
		t.Errorf("distinct rejects (-want +got):\n%s", diff)
	}
	missing := 0
	for key, n := range sent {
		if got[key] != n {
			if missing++; missing <= 5 {
				t.Errorf("reject %.120s: read back %d times, sent %d times", key, got[key], n)
			}
		}
	}
	for _, row := range d.sql(`SELECT reason, count(), any(detail) FROM daybook.rejects GROUP BY reason ORDER BY reason`) {
		t.Logf("%-18s %5s rejects: %s", row[0], row[1], row[2])
	}
	t.Logf("%d good events around them, all stored; %d kinds of bad records, %d each", good, len(kinds), perKind)
	if n := d.number(`SELECT count() FROM daybook.rejects WHERE detail = ''`); n != 0 {
		t.Errorf("%d rejects say nothing about what is wrong", n)
	}

	if n := d.number(`SELECT uniqExact(event_id) FROM daybook.events WHERE network_id = 'good' AND startsWith(event_id, 'good-')`); n != int64(good) {
		t.Errorf("good events stored: %d, want %d", n, good)
	}
	if n := d.number(`SELECT count() FROM daybook.events`); n != int64(good) {
		t.Errorf("events stored: %d, want the %d good ones only", n, good)
	}
	// An open session is written again every ten seconds at most.
	d.await("every good event in a session", func() bool {
		return d.number(`SELECT sum(events) FROM daybook.sessions WHERE network_id = 'good'`) == int64(good)
	})
	d.stop()
}

// produceBad sends bad and good records in turn. It returns how often each
// reason and raw text (as far as it is kept) was sent, and the records' number.
func produceBad(t *testing.T, d *instance, kinds []badKind) (sent map[string]int, total int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	client, err := source.New(source.Config{Brokers: d.Kafka})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	partitions, err := client.Partitions(ctx, schemas.TopicEvents)
	if err != nil {
		t.Fatal(err)
	}
	const keptBytes = 64 << 10
	sent = make(map[string]int)
	for i := range perKind {
		var batch []source.Outgoing
		for _, k := range kinds {
			key := []byte("good/u")
			if k.key != "" {
				key = []byte(k.key)
			}
			partition := schemas.Partition(key, partitions)
			if k.away {
				partition = (partition + 1) % int32(partitions)
			}
			bad := source.Outgoing{Key: key, Value: k.value(i), Partition: partition}
			if k.header.Key != nil {
				bad.Headers = []source.Header{k.header}
			}
			batch = append(batch, bad, goodEvent(total/2))
			total += 2
			sent[k.reason.String()+" "+hex.EncodeToString(bad.Value[:min(len(bad.Value), keptBytes)])]++
		}
		if err := client.Produce(ctx, batch); err != nil {
			t.Fatalf("produce: %v", err)
		}
	}
	return sent, total
}

// rejectMetric gives what /metrics counts as rejected, by reason, without the
// reasons that never occurred.
func (d *instance) rejectMetric() map[string]float64 {
	d.t.Helper()
	got := make(map[string]float64)
	for labels, n := range d.metrics("daybook_worker_rejected_total") {
		for label := range strings.SplitSeq(labels, ",") {
			if reason, ok := strings.CutPrefix(label, `reason="`); ok && n > 0 {
				got[strings.TrimSuffix(reason, `"`)] += n
			}
		}
	}
	return got
}
