package reference

import (
	"cmp"
	"slices"

	"daybook/schemas"
)

// Tables derives, from a partition's whole log, what the tables must hold.
func Tables(log []Record, r Rules) *Result {
	t := newTables(log, r)
	for i := range log {
		l := t.block(log[i].Offset)
		if log[i].Skip != "" {
			l.Skipped[log[i].Skip]++
			continue
		}
		d := t.decode(&log[i])
		if d.Control != nil || d.SetAside != nil || d.Repair != nil {
			l.Skipped["control"]++
			t.set(log[i].Offset, d.Control)
			continue
		}
		e, setting := d.Event, t.settings[d.Event.Network]
		e.Offset, e.Record, e.GapMs = log[i].Offset, i, setting.GapMs
		d.Reject.Reason = cmp.Or(d.Reject.Reason, t.refuses(&e))
		twins := t.twins(&e)
		switch {
		case d.Reject.Reason != "":
			l.Rejected[d.Reject.Reason]++
			t.reject(&log[i], d.Reject)
		case dark(&setting, e.TimeMs) || dark(&setting, e.ReceivedMs):
			l.NotRecorded["recording_disabled"]++
		case len(twins) > 0:
			l.Duplicate++
			if !slices.ContainsFunc(twins, func(x *Event) bool { return x.Content == e.Content }) {
				l.Conflicts++
			}
		default:
			l.Accepted++
			e.Period, e.Zone = period(&setting, e.TimeMs), cmp.Or(t.facts[userOf(&e)].Zone, setting.Zone, "UTC")
			t.accept(&e, &d)
		}
	}
	for _, es := range t.keys {
		slices.SortFunc(es, byTime)
		var j, m int
		for i := 0; i < len(es); i = j { // es[i:j] is a chain
			end, ended := r.ends(es, i)
			for j = i + 1; !ended; j++ {
				end, ended = r.ends(es, j)
			}
			capped := es[j-1].TimeMs-es[i].TimeMs > r.CapMs
			for k := i; k < j; k = m { // es[k:m] is a session
				for m = k + 1; m < j && (!capped || floorDiv(es[m].TimeMs, r.DayMs) == floorDiv(es[k].TimeMs, r.DayMs)); {
					m++
				}
				if m < j {
					t.session(es[k:m], schemas.EndCap)
				} else {
					t.session(es[k:m], end)
				}
			}
		}
	}
	return t.sorted()
}

// ends says whether a chain ends after es[i], and why. Nothing comes between
// events of one instant.
func (r *Rules) ends(es []*Event, i int) (why schemas.EndReason, ended bool) {
	e := es[i]
	last := i+1 == len(es)
	if !last && es[i+1].TimeMs == e.TimeMs {
		return 0, false
	}
	for k := i; k >= 0 && es[k].TimeMs == e.TimeMs; k-- {
		if es[k].Kind == schemas.KindLoggedOut {
			return schemas.EndLoggedOut, true
		}
		if es[k].Kind == schemas.KindBackgrounded && !r.signalFollows(es[i+1:], e.TimeMs+r.GraceMs) {
			why, ended = schemas.EndBackgrounded, true
		}
	}
	if ended || last {
		return why, true
	}
	next := es[i+1]
	if next.TimeMs-e.TimeMs > int64(next.GapMs) {
		return schemas.EndInactivity, true
	}
	return schemas.EndRecording, next.Period != e.Period
}

// signalFollows says whether one of the events is a signal of until or before.
func (r *Rules) signalFollows(es []*Event, until int64) bool {
	for _, e := range es {
		if e.TimeMs > until {
			return false
		}
		if e.Kind == schemas.KindSignal {
			return true
		}
	}
	return false
}

// refuses says why the network of an event does not take it; "" if it does.
func (t *tables) refuses(e *Event) string {
	setting, known := t.settings[e.Network]
	switch {
	case !known:
		return "unknown_network"
	case setting.TooOld(e.TimeMs, e.ReceivedMs):
		return "too_old"
	}
	return ""
}

// dark says whether nothing is recorded at an instant.
func dark(c *schemas.Control, ms int64) bool {
	return slices.ContainsFunc(c.Dark, func(d schemas.Dark) bool { return d.FromMs <= ms && ms < d.ToMs })
}

// period numbers the recording period of an instant.
func period(c *schemas.Control, ms int64) (n uint16) {
	for _, d := range c.Dark {
		if d.FromMs <= ms {
			n++
		}
	}
	return n
}

func byTime(a, b *Event) int {
	return cmp.Or(cmp.Compare(a.TimeMs, b.TimeMs), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Offset, b.Offset))
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
