package source

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"sync"

	"github.com/segmentio/kafka-go"
)

// stickyProtocol is the name under which members agree on this balancer. The
// number goes up when members of two versions could not understand each other.
const stickyProtocol = "daybook-sticky-1"

// stickyBalancer keeps partitions where they are as far as balance allows, so
// that a rebalance keeps the state in memory warm (ARCHITECTURE.md 4.9). Each
// member tells in its UserData what it owned and since which generation; the
// leader believes the newest claim.
type stickyBalancer struct {
	mu         sync.Mutex
	generation int32
	owned      []int32
}

func newStickyBalancer() *stickyBalancer { return &stickyBalancer{generation: -1} }

// owns notes what this member was given.
func (b *stickyBalancer) owns(generation int32, partitions []int32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.generation, b.owned = generation, slices.Clone(partitions)
}

// ProtocolName implements kafka.GroupBalancer.
func (b *stickyBalancer) ProtocolName() string { return stickyProtocol }

// UserData implements kafka.GroupBalancer: generation, then partitions, each
// int32.
func (b *stickyBalancer) UserData() ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	data := appendInt32(nil, b.generation)
	for _, p := range b.owned {
		data = appendInt32(data, p)
	}
	return data, nil
}

// AssignGroups implements kafka.GroupBalancer. It runs on the leader only.
func (b *stickyBalancer) AssignGroups(members []kafka.GroupMember, partitions []kafka.Partition) kafka.GroupMemberAssignments {
	assignments := kafka.GroupMemberAssignments{}
	topics := map[string][]int32{}
	for _, p := range partitions {
		topics[p.Topic] = append(topics[p.Topic], int32(p.ID))
	}
	claims := make([]claim, 0, len(members))
	for _, m := range members {
		assignments[m.ID] = map[string][]int{}
		claims = append(claims, readClaim(m))
	}
	for topic, ids := range topics {
		var wanting []claim
		for i, m := range members {
			if slices.Contains(m.Topics, topic) {
				wanting = append(wanting, claims[i])
			}
		}
		for member, given := range assignSticky(wanting, ids) {
			for _, p := range given {
				assignments[member][topic] = append(assignments[member][topic], int(p))
			}
		}
	}
	return assignments
}

// claim is what a member says it owned.
type claim struct {
	member     string
	generation int32
	owned      []int32
}

func readClaim(m kafka.GroupMember) claim {
	c := claim{member: m.ID, generation: -1}
	if len(m.UserData) < 4 {
		return c
	}
	c.generation = int32(binary.BigEndian.Uint32(m.UserData))
	for data := m.UserData[4:]; len(data) >= 4; data = data[4:] {
		c.owned = append(c.owned, int32(binary.BigEndian.Uint32(data)))
	}
	return c
}

// assignSticky divides partitions over members, so that the shares differ by
// one at most and as many partitions as possible stay with the member that
// claims them. It is a function of its arguments' content, not of their order.
func assignSticky(claims []claim, partitions []int32) map[string][]int32 {
	given := make(map[string][]int32, len(claims))
	if len(claims) == 0 {
		return given
	}
	kept, free := settleClaims(claims, partitions)
	// Who claims most may have one of the larger shares: that moves the fewest.
	order := slices.Clone(claims)
	slices.SortFunc(order, func(a, b claim) int {
		return cmp.Or(cmp.Compare(len(kept[b.member]), len(kept[a.member])), strings.Compare(a.member, b.member))
	})
	least, larger := len(partitions)/len(claims), len(partitions)%len(claims)
	quota := make(map[string]int, len(order))
	for i, c := range order {
		quota[c.member] = least
		if i < larger {
			quota[c.member]++
		}
		own := kept[c.member]
		keep := min(len(own), quota[c.member])
		given[c.member] = own[:keep:keep]
		free = append(free, own[keep:]...)
	}
	slices.Sort(free)
	for _, c := range order {
		n := min(quota[c.member]-len(given[c.member]), len(free))
		given[c.member] = append(given[c.member], free[:n]...)
		free = free[n:]
		slices.Sort(given[c.member])
	}
	return given
}

// settleClaims gives each partition to the newest claim on it; free are those
// that nobody claims.
func settleClaims(claims []claim, partitions []int32) (kept map[string][]int32, free []int32) {
	newest := slices.Clone(claims)
	slices.SortFunc(newest, func(a, b claim) int {
		return cmp.Or(cmp.Compare(b.generation, a.generation), strings.Compare(a.member, b.member))
	})
	owner := make(map[int32]string, len(partitions))
	for _, c := range newest {
		for _, p := range c.owned {
			if _, taken := owner[p]; !taken {
				owner[p] = c.member
			}
		}
	}
	kept = make(map[string][]int32, len(claims))
	sorted := slices.Sorted(slices.Values(partitions))
	for _, p := range sorted {
		if member, ok := owner[p]; ok {
			kept[member] = append(kept[member], p)
		} else {
			free = append(free, p)
		}
	}
	return kept, free
}
