package e2e

import (
	"io"
	"testing"
	"time"
)

// The soak's own count sees a record that is in no table, and an event that
// counts twice; verify sees the second one, too.
func TestSoak_CheckFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	r, stop := oneWorker(t, 500, 2*time.Second)
	r.awaitProgress()
	stop()
	r.settle()

	const never = 1 << 30 // no generator comes that far
	r.traffic.acked.set(never)
	found, err := r.site.check(r.traffic, false)
	r.must(err)
	if found.lost != 1 || found.twice != 0 || found.different != 0 {
		t.Errorf("a record that never came: lost %d, twice %d, different %d", found.lost, found.twice, found.different)
	}

	body, err := r.site.query(t.Context(), "INSERT INTO events_versions SELECT * REPLACE (time + INTERVAL 1 SECOND AS time) FROM events_versions WHERE source = 'generate' LIMIT 1")
	r.must(err)
	_, err = io.Copy(io.Discard, body)
	r.must(err)
	_ = body.Close()
	found, err = r.site.check(r.traffic, false)
	r.must(err)
	if found.twice != 1 || found.different == 0 {
		t.Errorf("an event that was stored twice: lost %d, twice %d, different %d", found.lost, found.twice, found.different)
	}
}
