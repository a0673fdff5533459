package pipeline

import (
	"fmt"
	"testing"
)

// Users who leave in the order in which they came empty one page after the other:
// those are given back, all but one that the next ones come to.
func TestUsers_EmptyPagesAreGivenBack(t *testing.T) {
	const pages = 20
	for name, turn := range map[string]func(i int) int{
		"in order":         func(i int) int { return i },
		"from the last on": func(i int) int { return pages*pageUsers - 1 - i },
		"mixed":            func(i int) int { return i * 7919 % (pages * pageUsers) },
	} {
		t.Run(name, func(t *testing.T) {
			var all users
			n := &network{id: "n"}
			id := func(i int) []byte { return fmt.Appendf(nil, "u%d", i) }
			for round := range 3 {
				for i := range pages * pageUsers {
					all.add(n, n.hash(id(i)), id(i), nil)
				}
				if len(all.pages) > pages+1 {
					t.Fatalf("round %d: %d pages for %d users", round, len(all.pages), all.count)
				}
				for i := range pages * pageUsers {
					who := id(turn(i))
					all.remove(all.find(n, n.hash(who), who))
				}
				kept := 0
				for _, p := range all.pages {
					if p != nil {
						kept++
					}
				}
				if kept > 1 || all.count != 0 {
					t.Errorf("round %d: nobody is left, %d users counted, and %d pages stay", round, all.count, kept)
				}
			}
		})
	}
}
