package source

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go"
	"pgregory.net/rapid"
)

func TestSticky_Table(t *testing.T) {
	for name, c := range map[string]struct {
		claims     []claim
		partitions []int32
		want       map[string][]int32
	}{
		"nobody": {nil, []int32{0, 1}, map[string][]int32{}},
		"first join": {
			[]claim{{member: "b"}, {member: "a"}},
			[]int32{0, 1, 2},
			map[string][]int32{"a": {0, 1}, "b": {2}},
		},
		"second member takes half of what the first owned": {
			[]claim{{"a", 1, []int32{0, 1, 2, 3}}, {"b", -1, nil}},
			[]int32{0, 1, 2, 3},
			map[string][]int32{"a": {0, 1}, "b": {2, 3}},
		},
		"who owns most keeps the larger share": {
			[]claim{{"a", 4, []int32{0}}, {"b", 4, []int32{1, 2}}},
			[]int32{0, 1, 2},
			map[string][]int32{"a": {0}, "b": {1, 2}},
		},
		"a member left": {
			[]claim{{"a", 4, []int32{0, 3}}, {"c", 4, []int32{1}}},
			[]int32{0, 1, 2, 3},
			map[string][]int32{"a": {0, 3}, "c": {1, 2}},
		},
		"the newest claim counts": {
			[]claim{{"old", 3, []int32{0, 1}}, {"new", 5, []int32{0, 1}}},
			[]int32{0, 1, 2, 3},
			map[string][]int32{"new": {0, 1}, "old": {2, 3}},
		},
		"a claim on a partition that is gone": {
			[]claim{{"a", 1, []int32{0, 9}}},
			[]int32{0, 1},
			map[string][]int32{"a": {0, 1}},
		},
		"more members than partitions": {
			[]claim{{"a", 1, []int32{0}}, {"b", -1, nil}},
			[]int32{0},
			map[string][]int32{"a": {0}, "b": nil},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, assignSticky(c.claims, c.partitions), cmp.Transformer("nil", func(p []int32) []int32 {
				return append([]int32{}, p...)
			})); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

// TestSticky_IsBalancedStickyAndIndependentOfOrder checks what assignSticky
// promises, over random claims.
func TestSticky_IsBalancedStickyAndIndependentOfOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count, members := rapid.IntRange(0, 20).Draw(t, "partitions"), rapid.IntRange(1, 6).Draw(t, "members")
		partitions := make([]int32, count)
		for i := range partitions {
			partitions[i] = int32(i)
		}
		claims := make([]claim, members)
		for i := range claims {
			claims[i] = claim{
				member:     fmt.Sprint("m", i),
				generation: rapid.Int32Range(-1, 3).Draw(t, "generation"),
				owned:      rapid.SliceOfNDistinct(rapid.Int32Range(0, 22), 0, 8, rapid.ID).Draw(t, "owned"),
			}
		}
		given := assignSticky(claims, partitions)
		var all []int32
		kept, settled := 0, 0
		owners, _ := settleClaims(claims, partitions)
		for _, c := range claims {
			all = append(all, given[c.member]...)
			if n := len(given[c.member]); n < count/members || n > (count+members-1)/members {
				t.Fatalf("%s has %d of %d", c.member, n, count)
			}
			for _, p := range given[c.member] {
				if slices.Contains(owners[c.member], p) {
					kept++
				}
			}
			settled += min(len(owners[c.member]), count/members)
		}
		slices.Sort(all)
		if !slices.Equal(all, partitions) && count > 0 {
			t.Fatalf("given are %v", all)
		}
		if kept < settled {
			t.Fatalf("kept %d of %d that could stay", kept, settled)
		}
		slices.Reverse(claims)
		slices.Reverse(partitions)
		if diff := cmp.Diff(given, assignSticky(claims, partitions)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestSticky_ClaimTravelsInUserData(t *testing.T) {
	b := newStickyBalancer()
	b.owns(7, []int32{3, 1})
	data, err := b.UserData()
	if err != nil {
		t.Fatal(err)
	}
	members := []kafka.GroupMember{{ID: "x", Topics: []string{"t"}}, {ID: "y", Topics: []string{"t"}, UserData: data}}
	var partitions []kafka.Partition
	for i := range 4 {
		partitions = append(partitions, kafka.Partition{Topic: "t", ID: i})
	}
	want := kafka.GroupMemberAssignments{"x": {"t": {0, 2}}, "y": {"t": {1, 3}}}
	if diff := cmp.Diff(want, b.AssignGroups(members, partitions)); diff != "" {
		t.Fatal(diff)
	}
	if c := readClaim(kafka.GroupMember{ID: "z", UserData: []byte{1}}); c.generation != -1 || len(c.owned) != 0 {
		t.Fatalf("damaged user data: %+v", c)
	}
}
