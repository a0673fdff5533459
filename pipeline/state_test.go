package pipeline

import (
	"fmt"
	"math/rand"
	"testing"
)

// A user's keys are found whether they are few or many, as they come and go.
func TestUser_FindsItsDevices(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	u, want := &user{}, map[string]*key{}
	for i := range 5000 {
		device := fmt.Append(nil, r.Intn(3*fewDevices))
		k := u.key(device)
		if k != want[string(device)] {
			t.Fatalf("step %d: device %s gave %v, want %v", i, device, k, want[string(device)])
		}
		if k == nil {
			k = &key{device: string(device)}
			u.add(k)
			want[k.device] = k
		} else if i%50 < 20 || r.Intn(2) == 0 {
			u.remove(k)
			delete(want, k.device)
		}
		if len(u.keys) != len(want) {
			t.Fatalf("step %d: %d keys, want %d", i, len(u.keys), len(want))
		}
	}
}
