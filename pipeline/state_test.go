package pipeline

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"
	"unsafe"
)

// A user's keys are found whether they are few or many, as they come and go.
func TestUser_FindsItsDevices(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	var us users
	n := &network{}
	u, want := us.add(n, n.hash([]byte("u")), []byte("u"), nil), map[string]*key{}
	for i := range 5000 {
		device := fmt.Append(nil, r.Intn(3*fewDevices))
		k := u.key(device)
		if k != want[string(device)] {
			t.Fatalf("step %d: device %s gave %v, want %v", i, device, k, want[string(device)])
		}
		if k == nil {
			k = us.addKey(u, device)
			want[string(device)] = k
		} else if i%50 < 20 || r.Intn(2) == 0 {
			u.removeKey(k)
			delete(want, k.device())
		}
		if got := slices.Collect(u.keys); len(got) != len(want) || u.gone() != (len(want) == 0) {
			t.Fatalf("step %d: %d keys, gone: %v; want %d", i, len(got), u.gone(), len(want))
		}
		if u.name() != "u" {
			t.Fatalf("step %d: the user is called %q", i, u.name())
		}
	}
}

// Users are found as they come and go by thousands, of two networks with the
// same ids; places are taken again, and pages that are empty are given back.
func TestUsers_AreFoundWhileTheyComeAndGo(t *testing.T) {
	type ref struct {
		net *network
		id  string
	}
	r := rand.New(rand.NewSource(3))
	var us users
	nets, want, all := []*network{{salt: 1}, {salt: 2}}, map[ref]*user{}, 0
	for i := range 200_000 {
		w := ref{nets[r.Intn(2)], fmt.Sprint("user-", r.Intn(20_000))}
		hash := w.net.hash([]byte(w.id))
		u := us.find(w.net, hash, []byte(w.id))
		if u != want[w] {
			t.Fatalf("step %d: %v gave %p, want %p", i, w, u, want[w])
		}
		if coming := i/40_000%2 == 0; u == nil && coming {
			want[w] = us.add(w.net, hash, []byte(w.id), nil)
		} else if u != nil && !coming {
			us.remove(u)
			delete(want, w)
		}
		all = max(all, len(us.pages))
	}
	if us.count != len(want) {
		t.Errorf("%d users, want %d", us.count, len(want))
	}
	if all > 40_000/pageUsers+1 {
		t.Errorf("%d pages for 40,000 users", all)
	}
	for w, u := range want {
		if got := us.find(w.net, w.net.hash([]byte(w.id)), []byte(w.id)); got != u || got.name() != w.id {
			t.Fatalf("%v gave %p, want %p", w, got, u)
		}
		us.remove(u)
	}
	pages, slots := 0, 0
	for _, p := range us.pages {
		if p != nil {
			pages++
		}
	}
	for i := range us.index {
		slots += len(us.index[i].slots)
	}
	if pages != 1 || slots > 8*indexShards {
		t.Errorf("%d pages and %d slots are left of nobody, want one page and at most %d slots", pages, slots, 8*indexShards)
	}
}

// A user with one device, one segment and one session fits two cache lines.
func TestUser_TakesTwoLines(t *testing.T) {
	if n := unsafe.Sizeof(user{}); n != 128 {
		t.Errorf("a user takes %d bytes, want 128", n)
	}
	if at := unsafe.Offsetof(userPage{}.users); at != 0 {
		t.Errorf("users begin at byte %d of their page, want 0: no user begins with a line", at)
	}
}
