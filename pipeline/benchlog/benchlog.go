// Package benchlog makes the log that benchmarks of the hot path read, the same
// one in each run.
package benchlog

import (
	"fmt"
	"iter"
	"math/rand"
	"time"

	"daybook/pipeline/source"
	"daybook/schemas"
)

// Network is the one that the events are of.
const Network = "bench"

// Records yields n events of about 340 bytes, one every 5 ms: users with a Zipf
// distribution, 1 % repeats, 5 % out of order within a minute.
func Records(n, users int) iter.Seq2[int, source.Outgoing] {
	return func(yield func(int, source.Outgoing) bool) {
		r := rand.New(rand.NewSource(7))
		zipf := rand.NewZipf(r, 1.1, 8, uint64(users-1))
		begin := time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)
		agents := []string{
			"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36",
			"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
		}
		var out source.Outgoing
		for i := range n {
			at := begin.Add(time.Duration(i) * 5 * time.Millisecond)
			if i%100 != 99 { // else the one before again
				u := zipf.Uint64()
				shown := at
				if r.Intn(20) == 0 {
					shown = at.Add(-time.Duration(r.Intn(60_000)) * time.Millisecond)
				}
				user := fmt.Sprintf("user-%06d", u)
				out.Key = schemas.AppendKey(nil, Network, user)
				out.Value = fmt.Appendf(nil, `{"id":"%08x-%04x","source":"web","network":%q,"user":%q,"time":%q,"type":"io.daybook.content.content.viewed","device":{"id":"d-%06d","class":"web"},"content":{"id":"article-%d","name":"An article"},"context":{"zone":"Europe/Amsterdam","ua":%q},"props":{"n":%d}}`,
					i, r.Intn(65536), Network, user, shown.Format("2006-01-02T15:04:05.000Z"), u, r.Intn(5000), agents[u%2], i)
			}
			out.TimeMs = at.UnixMilli()
			if !yield(i, out) {
				return
			}
		}
	}
}
