package schemas

import (
	"bytes"
	"encoding/hex"
	"math/rand"
	"strings"
	"testing"
)

// The vectors of org.apache.kafka.common.utils.UtilsTest.testMurmur2.
var murmurVectors = map[string]int32{
	"21":                         -973932308,
	"foobar":                     -790332482,
	"a-little-bit-long-string":   -985981536,
	"a-little-bit-longer-string": -1486304829,
	"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
	"abc": 479470107,
}

func TestMurmur2_EqualsJava(t *testing.T) {
	for text, want := range murmurVectors {
		if got := int32(Murmur2([]byte(text))); got != want {
			t.Errorf("Murmur2(%q) = %d, want %d", text, got, want)
		}
	}
}

// Keys of every length, against the hash written byte by byte, as Java has it.
func TestMurmur2_OfEveryLength(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	key := make([]byte, 100)
	for n := range key {
		r.Read(key)
		const m = 0x5bd1e995
		h := 0x9747b28c ^ uint32(n)
		for i := range n / 4 {
			var k uint32
			for j := range 4 {
				k |= uint32(key[4*i+j]) << (8 * j)
			}
			k *= m
			k ^= k >> 24
			k *= m
			h = h*m ^ k
		}
		for j := n%4 - 1; j >= 0; j-- {
			if h ^= uint32(key[n/4*4+j]) << (8 * j); j == 0 {
				h *= m
			}
		}
		h = (h ^ h>>13) * m
		if want := h ^ h>>15; Murmur2(key[:n]) != want {
			t.Errorf("%d bytes: %#x, want %#x", n, Murmur2(key[:n]), want)
		}
	}
}

func TestPartition_PlacesAsJavaDoes(t *testing.T) {
	for text, hash := range murmurVectors {
		for _, n := range []int{1, 2, 3, 6, 12, 100, 1024} {
			want := int32(int64(uint32(hash)&0x7fffffff) % int64(n)) // Utils.toPositive
			if got := Partition([]byte(text), n); got != want {
				t.Errorf("Partition(%q, %d) = %d, want %d", text, n, got, want)
			}
		}
	}
	if got := Partition(nil, 7); got < 0 || got > 6 {
		t.Errorf("Partition of no key is %d", got)
	}
}

func TestValidNetwork_TakesTheAlphabetOnly(t *testing.T) {
	for _, good := range []string{"a", "0", "speakap", "a.b_c-d", "9-", strings.Repeat("a", 64)} {
		if !ValidNetwork(good) || !ValidNetwork([]byte(good)) {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{"", ".a", "_a", "-a", "A", "a/b", "a b", "a\x00", "é", "a\n", strings.Repeat("a", 65)} {
		if ValidNetwork(bad) {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestKey_RoundTrip(t *testing.T) {
	for _, user := range []string{"u", "a/b", "/", "ü", strings.Repeat("x", 256)} {
		key := AppendKey(nil, "net", user)
		network, got, ok := ParseKey(key)
		if !ok || string(network) != "net" || string(got) != user {
			t.Errorf("ParseKey(%q) = %q, %q, %v", key, network, got, ok)
		}
		if !KeyIs(key, []byte("net"), []byte(user)) || KeyIs(key, []byte("ne"), []byte("t"+user)) {
			t.Errorf("KeyIs is wrong for %q", key)
		}
	}
	for _, bad := range []string{"", "net", "net/", "/u", "Net/u", "net/" + strings.Repeat("x", 257)} {
		if _, _, ok := ParseKey([]byte(bad)); ok {
			t.Errorf("key %q is taken", bad)
		}
	}
}

func TestIdentities_PartsDoNotRunTogether(t *testing.T) {
	seen := map[[16]byte]string{}
	for _, parts := range [][3]string{{"ab", "c", ""}, {"a", "bc", ""}, {"a", "b", "c"}, {"", "abc", ""}, {"", "", "abc"}, {"ab", "", "c"}} {
		for _, start := range []int64{0, 1, -1} {
			id := SessionID(parts[0], parts[1], parts[2], start)
			if other, ok := seen[id]; ok {
				t.Errorf("%q at %d has the id of %s", parts, start, other)
			}
			seen[id] = strings.Join(parts[:], "|")
		}
	}
	a := IdentityOf("n", "u", "s1", "id")
	b := IdentityOf([]byte("n"), []byte("u"), []byte("s"), []byte("1id"))
	if a == b {
		t.Error("source and id run together")
	}
	ev := Event{Network: []byte("n"), User: []byte("u"), Source: []byte("s1"), ID: []byte("id"), TimeMs: 7}
	if EventIdentity(&ev) != a {
		t.Error("an event and its parts differ")
	}
}

// Short identities are put together in another way than long ones.
func TestEventIdentity_IsThatOfItsParts(t *testing.T) {
	text := bytes.Repeat([]byte("abcdefghi"), 40)
	for network := range 20 {
		for user := 0; user < 130; user += 7 {
			for source := range 9 {
				id := (network*31 + user*7 + source) % 257
				ev := Event{Network: text[:network], User: text[1 : 1+user], Source: text[2 : 2+source], ID: text[3 : 3+id]}
				if EventIdentity(&ev) != IdentityOf(ev.Network, ev.User, ev.Source, ev.ID) {
					t.Fatalf("lengths %d, %d, %d, %d", network, user, source, id)
				}
			}
		}
	}
}

const (
	stableSession = "3d6f839514d3af804a854c1e3aebc530"
	stableContent = 0x49b5a30ad6067722
)

var stableIdentity = [2]uint64{0x82e83fb386e96555, 0x8a2d8eb527dfb278}

// Stored ids must survive a change of library or encoding.
func TestIdentities_AreStable(t *testing.T) {
	id := SessionID("speakap", "u-1", "web", 1_778_595_600_123)
	if got := hex.EncodeToString(id[:]); got != stableSession {
		t.Errorf("SessionID is now %s", got)
	}
	if got := IdentityOf("speakap", "u-1", "unknown", "e-1"); got != stableIdentity {
		t.Errorf("IdentityOf is now %#x", got)
	}
	ev := decoded(t, typical)
	if got := ContentHash(&ev); got != stableContent {
		t.Errorf("ContentHash is now %#x", got)
	}
}

func TestIdentities_DoNotAllocate(t *testing.T) {
	ev := decoded(t, typical)
	device := strings.Repeat("d", 400)
	if n := testing.AllocsPerRun(100, func() {
		EventIdentity(&ev)
		ContentHash(&ev)
		SessionID("speakap", "u-1048576", device, 1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	long := bytes.Repeat([]byte("s"), 5000)
	if IdentityOf(long, long, long, long) == IdentityOf(long, long, long, long[:4999]) {
		t.Error("the end of a long identity does not count")
	}
}

func TestContentHash_SeesEveryField(t *testing.T) {
	base := `"id":"1","network":"n","user":"u","time":"2026-05-12T14:20:00Z"`
	same := []string{
		`{` + base + `}`,
		`{"id":"2","network":"m","user":"v","time":"2026-05-12T14:21:00Z","source":"s","received":"2026-05-12T14:22:00Z"}`,
		`{` + base + `,"category":"","type":null,"props":{}}`,
	}
	var first uint64
	for i, raw := range same {
		ev := decoded(t, raw)
		if h := ContentHash(&ev); i == 0 {
			first = h
		} else if h != first {
			t.Errorf("%s has another hash", raw)
		}
	}
	seen := map[uint64]string{first: "nothing"}
	for _, more := range []string{
		`"type":"x"`, `"category":"x"`, `"action":"x"`, `"label":"x"`, `"device":{"id":"x"}`, `"device":{"class":"web"}`, `"device":{"class":"mobile"}`,
		`"content":{"id":"x"}`, `"content":{"name":"x"}`, `"content":{"slug":"x"}`, `"context":{"zone":"x"}`, `"context":{"ua":"x"}`,
		`"context":{"url":"x"}`, `"props":{"x":1}`, `"x":1,"props":{"x":2}`, `"y":1`,
	} {
		ev := decoded(t, `{`+base+`,`+more+`}`)
		h := ContentHash(&ev)
		if other, ok := seen[h]; ok {
			t.Errorf("%s has the hash of %s", more, other)
		}
		seen[h] = more
	}
}
