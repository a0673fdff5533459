package enrich

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
	"testing"

	"daybook/schemas"
)

//go:embed testdata/agents.tsv
var agents string

// labelled gives the labelled user agents: what is expected, and the text.
func labelled(tb testing.TB) (expected, texts []string) {
	tb.Helper()
	for line := range strings.Lines(agents) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		label, text, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok {
			tb.Fatalf("bad line %q", line)
		}
		expected, texts = append(expected, label), append(texts, text)
	}
	return expected, texts
}

// SPK-19: the class of an event that does not bring one.
func TestClassifier_TellsMobileWebAndRobotsFromUserAgents(t *testing.T) {
	expected, texts := labelled(t)
	c := New(64)
	for i, text := range texts {
		class, flags := c.Classify(schemas.ClassUnknown, []byte(text))
		got := class.String()
		if flags&schemas.FlagClassUnknown != 0 {
			if class != schemas.ClassWeb {
				t.Errorf("%q: unknown class became %v, not web", text, class)
			}
			got = "unknown"
		}
		if flags&schemas.FlagRobot != 0 {
			got += " robot"
		}
		if got != expected[i] {
			t.Errorf("got %q, want %q: %s", got, expected[i], text)
		}
	}
	if len(texts) < 50 {
		t.Errorf("only %d user agents", len(texts))
	}
}

func TestClassifier_FieldWinsOverUserAgent(t *testing.T) {
	c := New(8)
	phone := []byte("Mozilla/5.0 (iPhone; CPU iPhone OS 7_0_4 like Mac OS X) AppleWebKit/537.51.1 (KHTML, like Gecko) Mobile/11B554a")
	robot := []byte("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")
	tests := []struct {
		class schemas.DeviceClass
		ua    []byte
		want  schemas.DeviceClass
		flags schemas.EventFlags
	}{
		{schemas.ClassWeb, phone, schemas.ClassWeb, 0},
		{schemas.ClassMobile, nil, schemas.ClassMobile, 0},
		{schemas.ClassMobile, robot, schemas.ClassMobile, schemas.FlagRobot},
		{schemas.ClassUnknown, phone, schemas.ClassMobile, 0},
		{schemas.ClassUnknown, nil, schemas.ClassWeb, schemas.FlagClassUnknown},
		{schemas.ClassUnknown, []byte{}, schemas.ClassWeb, schemas.FlagClassUnknown},
		{schemas.ClassUnknown, robot, schemas.ClassWeb, schemas.FlagClassUnknown | schemas.FlagRobot},
	}
	for _, tt := range tests {
		if class, flags := c.Classify(tt.class, tt.ua); class != tt.want || flags != tt.flags {
			t.Errorf("Classify(%v, %q) = %v, %b; want %v, %b", tt.class, tt.ua, class, flags, tt.want, tt.flags)
		}
	}
}

// I8: the cache is bounded, and what it holds changes no answer.
func TestClassifier_CacheIsBoundedAndInvisible(t *testing.T) {
	_, texts := labelled(t)
	small, large := New(2), New(1000)
	for round := range 3 {
		for i, text := range texts {
			a1, a2 := small.Classify(0, []byte(text))
			b1, b2 := large.Classify(0, []byte(text))
			if a1 != b1 || a2 != b2 {
				t.Fatalf("round %d: answers differ for %q", round, text)
			}
			for range i % 3 { // some are in use more than others
				small.Classify(0, []byte(texts[0]))
			}
		}
	}
	if n := len(small.young) + len(small.old); n > 2 {
		t.Errorf("a cache of 2 holds %d", n)
	}
	long := bytes.Repeat([]byte("Mozilla/5.0 (Windows NT 6.1) "), 40_000)
	large.Classify(0, long)
	for text := range large.young {
		if len(text) > maxAgentBytes {
			t.Errorf("the cache holds a text of %d bytes", len(text))
		}
	}
}

func TestClassifier_DoesNotAllocateOnAHit(t *testing.T) {
	c := New(64)
	ua := []byte("Mozilla/5.0 (X11; Linux x86_64; rv:27.0) Gecko/20100101 Firefox/27.0")
	c.Classify(0, ua)
	if n := testing.AllocsPerRun(100, func() { c.Classify(0, ua) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkClassifier_Hit(b *testing.B) {
	_, texts := labelled(b)
	c := New(256)
	agents := make([][]byte, len(texts))
	for i, text := range texts {
		agents[i] = []byte(text)
		c.Classify(0, agents[i])
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		c.Classify(0, agents[i%len(agents)])
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkClassifier_Miss(b *testing.B) {
	c := New(16)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		c.Classify(0, fmt.Appendf(nil, "Mozilla/5.0 (X11; Linux x86_64; rv:27.%d) Gecko/20100101 Firefox/27.0", i))
		i++
	}
}
