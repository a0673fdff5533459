package deep

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"daybook/clickhouse/verify"
)

// partition reads one partition's log and compares everything that it decides.
func (r *run) partition(ctx context.Context, p *verify.Place) error {
	h, err := r.read(ctx, p)
	if err != nil {
		return err
	}
	if err := r.inFlight(ctx, h); err != nil {
		return err
	}
	d := &reader{run: r, ctx: ctx, h: h}
	for _, compare := range []func() error{d.events, d.rejects, d.settings, d.facts, d.ledger, d.progress, d.users, d.sessions, d.slices, d.userDays} {
		if err := compare(); err != nil {
			return err
		}
	}
	r.days.add(h)
	return nil
}

// inFlight notes whose events are not published. It is asked again before a
// difference counts, because a flush writes events first.
func (r *run) inFlight(ctx context.Context, h *history) error {
	from := "(SELECT DISTINCT network_id, user_id FROM events_versions WHERE " + here + " AND offset >= {published:Int64})"
	for u, err := range verify.Rows[verify.UserKey](ctx, r.db, from, at(h.place)...) {
		if err != nil {
			return err
		}
		h.flying[u] = struct{}{}
	}
	return nil
}

// judged says whether a user's rows can be told from this log.
func (h *history) judged(network, user string) bool {
	u := verify.UserKey{Network: network, User: user}
	_, flying := h.flying[u]
	_, earlier := h.earlier[u]
	return !flying && !earlier
}

// stable says whether a user's events can be told; those in flight have theirs
// beyond the position.
func (h *history) stable(network, user string) bool {
	_, earlier := h.earlier[verify.UserKey{Network: network, User: user}]
	return !earlier
}

// reader compares the tables of one partition.
type reader struct {
	*run

	ctx context.Context //nolint:containedctx // lives as long as the comparison of one partition
	h   *history
}

// table is one comparison: the rows that must be there, by identity, and how to
// say who a row is of.
type table[K comparable, T comparable] struct {
	name   string
	n      int                         // rows that must be there
	key    func(i int) K               // identity of one
	row    func(i int) (T, error)      // all of it
	of     func(T) K                   // identity of a stored row
	judged func(K) bool                // nil: every one
	again  func(context.Context) error // notes once more what is in flight; nil: the partition's users
	stored iter.Seq2[T, error]
}

// difference is one that is looked at again before it counts.
type difference[K comparable] struct {
	key   K
	wrong string
}

// compare reads the stored rows beside those that must be there.
func compare[K, T comparable](r *reader, t table[K, T]) error {
	c := r.check(t.name)
	want := make(map[K]int, t.n)
	for i := range t.n {
		want[t.key(i)] = i
	}
	seen := make([]bool, t.n)
	cells := uint64(verify.Cells[T]())
	var found []difference[K]
	for got, err := range t.stored {
		if err != nil {
			return err
		}
		c.Looked++
		c.Cells += cells
		k := t.of(got)
		i, ok := want[k]
		if !ok {
			found = append(found, difference[K]{k, "is stored, the log does not make it"})
			continue
		}
		if seen[i] {
			found = append(found, difference[K]{k, "is stored twice"})
			continue
		}
		seen[i] = true
		row, err := t.row(i)
		if err != nil {
			return err
		}
		if got != row {
			found = append(found, difference[K]{k, verify.Differ(got, row)})
		}
	}
	for i := range seen {
		if !seen[i] {
			c.Looked++
			found = append(found, difference[K]{t.key(i), "the log makes it, it is not stored"})
		}
	}
	if len(found) > 0 {
		if t.again == nil {
			t.again = func(ctx context.Context) error { return r.inFlight(ctx, r.h) }
		}
		if err := t.again(r.ctx); err != nil {
			return err
		}
	}
	for _, d := range found {
		if t.judged != nil && !t.judged(d.key) {
			c.Flying++
			continue
		}
		c.Add(r.Details, r.named(d.key), d.wrong)
	}
	return nil
}

// named spells an identity; offsets and blocks say little without their partition.
func (d *reader) named(key any) string {
	text := strings.Trim(fmt.Sprintf("%+v", key), "{}")
	if d.h == nil {
		return text
	}
	return fmt.Sprintf("partition %d %s", d.h.place.Partition, text)
}
