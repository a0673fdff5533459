package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"daybook/pipeline/source"
)

func TestWriteAccount(t *testing.T) {
	sum := newAccount()
	sum.Accepted, sum.Duplicate = 5, 2
	sum.Rejected["unmappable"], sum.Rejected["bad_time"], sum.NotRecorded["recording_disabled"] = 1, 2, 3
	var out bytes.Buffer
	writeAccount(&out, 13, sum, -1)
	want := "read 13\naccepted 5 (of these late unknown)\nduplicate 2\nnot recorded 3 (recording_disabled 3)\nrejected 3 (bad_time 2, unmappable 1)\n"
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}

func TestAccount_DifferenceIsWhatWasAdded(t *testing.T) {
	before, after := newAccount(), newAccount()
	before.Accepted, before.Rejected["bad_time"] = 10, 1
	after.Accepted, after.Duplicate, after.Rejected["bad_time"], after.Rejected["no_user"] = 15, 2, 1, 4
	after.add(before, -1)
	if after.records() != 11 || reasons(after.Rejected) != " (no_user 4)" {
		t.Errorf("%d records, rejected%s", after.records(), reasons(after.Rejected))
	}
}

func TestRemedy_NamesTheCommand(t *testing.T) {
	for reason, want := range map[string]string{"unknown_network": "network set", "unmappable": "--map", "no_user": "rejects"} {
		sum := newAccount()
		sum.Rejected[reason] = 7
		if got := remedy(sum); !strings.Contains(got, want) {
			t.Errorf("%s: %q does not name %s", reason, got, want)
		}
	}
}

// orderedProducer notes what came, and when.
type orderedProducer struct {
	keys []string
	at   []time.Time
}

func (p *orderedProducer) Send(_ context.Context, r *source.Outgoing) error {
	p.keys, p.at = append(p.keys, string(r.Key)), append(p.at, time.Now())
	return nil
}

func (p *orderedProducer) Acked() int64 { return int64(len(p.keys)) }

func (p *orderedProducer) Close(context.Context) error { return nil }

func TestSender_KeepsOrder(t *testing.T) {
	var acked atomic.Int64
	to := new(orderedProducer)
	s := newSender(to, &acked, 0, nil)
	var want []string
	for i := range 2*sendRecords + 7 {
		key := strconv.Itoa(i)
		want = append(want, key)
		if err := s.add(t.Context(), &source.Outgoing{Key: []byte(key)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(to.keys, want) || acked.Load() != int64(len(want)) {
		t.Errorf("%d records, %d acknowledged", len(to.keys), acked.Load())
	}
}

func TestSender_HoldsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var acked atomic.Int64
		to := new(orderedProducer)
		s := newSender(to, &acked, 100, nil)
		start := time.Now()
		for range 200 {
			if err := s.add(t.Context(), &source.Outgoing{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		// The first batch of ten is the limiter's burst.
		if took := time.Since(start); took < 1800*time.Millisecond || took > 2*time.Second {
			t.Errorf("200 records at 100/s took %s", took)
		}
		if !to.at[9].Equal(to.at[0]) || to.at[10].Equal(to.at[9]) {
			t.Errorf("more or less than ten go at once, which is not smooth")
		}
	})
}

// fakeServer answers as ClickHouse's HTTP interface does.
func fakeServer(t *testing.T, status int, body string) *url.URL {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "u" || password != "p" || r.URL.Query().Get("database") != "d" || r.URL.User != nil {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User, u.Path = url.UserPassword("u", "p"), "/d"
	return u
}

func TestSQL_Answers(t *testing.T) {
	const broken = "1\n2\n\r\n__exception__\r\nabcdefghijklmnop\r\nCode: 395. DB::Exception: thrown.\n32 abcdefghijklmnop\r\n__exception__\r\n"
	long := strings.Repeat("0123456789\n", 100_000)
	for name, c := range map[string]struct {
		status    int
		body      string
		out, fail string
	}{
		"a short answer":            {200, "1\n", "1\n", ""},
		"a long answer, whole":      {200, long, long, ""},
		"an error":                  {404, "Code: 60. DB::Exception: no table\n", "", "Code: 60. DB::Exception: no table"},
		"an error in the middle":    {200, broken, "", "Code: 395. DB::Exception: thrown."},
		"an error after much":       {200, long + broken, long[:len(long)-11*10_000], "Code: 395"},
		"an error without a reason": {502, "", "", "502"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			server := fakeServer(t, c.status, c.body)
			a, err := newApp(&cli{Data: t.TempDir()}, stdio{out: &out, err: io.Discard}, []string{"DAYBOOK_CLICKHOUSE_DSN=" + server.String()})
			if err != nil {
				t.Fatal(err)
			}
			err = (&sqlCmd{Statement: "SELECT 1"}).Run(t.Context(), a)
			if (err != nil) != (c.fail != "") || (err != nil && !strings.Contains(err.Error(), c.fail)) {
				t.Fatalf("got error %v, want %q", err, c.fail)
			}
			if c.fail == "" && out.String() != c.out {
				t.Errorf("got %d bytes, want %d", out.Len(), len(c.out))
			}
			if !strings.HasPrefix(out.String(), c.out) {
				t.Errorf("what came before the error is missing")
			}
		})
	}
}

func TestScrape_AddsSeriesUp(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "# HELP x y\nx_total{a=\"b c\"} 1\nx_total{a=\"d\"} 2.5e1\ny 3\n")
	}))
	defer server.Close()
	got, err := scrape(t.Context(), server.URL)
	if err != nil || got["x_total"] != 26 || got["y"] != 3 {
		t.Errorf("got %v, %v", got, err)
	}
}
