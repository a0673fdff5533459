package clickhouse

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/google/go-cmp/cmp"
)

// decoded reads a column back with ch-go's own.
func decoded(t *testing.T, c proto.ColInput, into interface {
	proto.ColResult
	Row(i int) string
},
) []string {
	t.Helper()
	var b proto.Buffer
	if s, ok := c.(proto.StateEncoder); ok {
		s.EncodeState(&b)
	}
	c.EncodeColumn(&b)
	r := proto.NewReader(bytes.NewReader(b.Buf))
	if s, ok := into.(proto.StateDecoder); ok {
		if err := s.DecodeState(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := into.DecodeColumn(r, c.Rows()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range into.Rows() {
		got = append(got, into.Row(i))
	}
	return got
}

// What the column remembers of values must not outlive the dictionary that it
// speaks of: values come as strings and as bytes, in every block others.
func TestLowCardinality_GivesWhatItWasGiven(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := newLowCardinality()
	for block, values := range []int{1, 3, 300, 2, 1000, 70_000, 5} {
		var want []string
		for range 2 * values {
			v := strings.Repeat("x", rng.IntN(20)) + fmt.Sprint(rng.IntN(values), "-", block%2)
			if rng.IntN(4) == 0 {
				v = ""
			}
			for range 1 + rng.IntN(3) {
				want = append(want, v)
				if rng.IntN(2) == 0 {
					c.Append(v)
				} else {
					c.AppendBytes([]byte(v))
				}
			}
		}
		if diff := cmp.Diff(want, decoded(t, c, proto.NewLowCardinality(new(proto.ColStr)))); diff != "" {
			t.Fatalf("block %d: %s", block, diff)
		}
		c.Reset()
	}
}

func TestLowCardinality_ForgetsTheLastStringOfABlock(t *testing.T) {
	c := newLowCardinality()
	c.Append("a")
	c.Append("b")
	c.Reset()
	c.AppendBytes([]byte("c"))
	c.AppendBytes([]byte("d"))
	c.Append("b")
	if diff := cmp.Diff([]string{"c", "d", "b"}, decoded(t, c, proto.NewLowCardinality(new(proto.ColStr)))); diff != "" {
		t.Error(diff)
	}
}

func TestTexts_GiveWhatTheyWereGiven(t *testing.T) {
	c := new(texts)
	for range 2 {
		var want []string
		for _, n := range []int{0, 1, 127, 128, 0, 16_383, 16_384, 3} {
			v := strings.Repeat("y", n)
			want = append(want, v, v)
			c.Append(v)
			c.AppendBytes([]byte(v))
		}
		if diff := cmp.Diff(want, decoded(t, c, new(proto.ColStr))); diff != "" {
			t.Fatal(diff)
		}
		c.Reset()
	}
}
