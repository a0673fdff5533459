package simtest

import (
	"slices"
	"testing"
	"time"

	"daybook/pipeline"
	"daybook/schemas"
)

// The counter-examples that were constructed on paper or found by the model.
// Each is told with real times, cut into batches in every way, with a crash
// after each step, with everything in memory, little, and nothing.
func TestTraps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tale *tale
		want []string
	}{
		"09:25 joins 09:00 and 09:50 after the watermark has passed, and 10:15 extends that session": {
			newTale().signals("09:00", "09:50").others("16:00").signals("09:25", "10:15"), []string{"09:00–10:15"},
		},
		"a start was published as 10:00, the replay's batch has 09:50 first": {
			newTale().signals("10:00", "09:50", "10:10"), []string{"09:50–10:10"},
		},
		"a chain of 40 hours from 01:00 is cut by the cap, then 00:40 arrives": {
			always("01:00", 80).signals("00:40"), []string{"+1 00:00–+1 16:30", "00:40–23:30"},
		},
		"the same id with another time within the hour, across the horizon and midnight": {
			newTale().event(Event{ID: "x", TimeMs: instant("23:50")}).others("+1 12:00").event(Event{ID: "x", TimeMs: instant("+1 00:20")}), []string{"23:50–23:50"},
		},
		"the same id with another time beyond the hour, across the horizon and midnight": {
			newTale().event(Event{ID: "x", TimeMs: instant("23:50")}).others("+1 12:00").event(Event{ID: "x", TimeMs: instant("+1 01:00")}),
			[]string{"+1 01:00–+1 01:00", "23:50–23:50"},
		},
		"a network is made and events are produced at once": {
			(&tale{setting: schemas.Control{Network: "acme", GapMs: schemas.DefaultGapMs}}).signals("09:00").set(func(*schemas.Control) {}).signals("09:10"), []string{"09:10–09:10"},
		},
		"recording is disabled between two records": {
			newTale().signals("09:00", "09:10").disable("09:05").signals("09:04", "09:12").others("12:00"), []string{"09:00–09:10"},
		},
		"the gap is changed between two records": {
			newTale().signals("09:00").gap(5).signals("09:10").gap(30).signals("09:30"), []string{"09:00–09:00", "09:10–09:30"},
		},
		"a late logout and an on-time event in one batch": {
			newTale().signals("18:00", "18:25").others("21:30").logout("18:00").signals("18:20"), []string{"18:00–18:00", "18:20–18:25"},
		},
		"a bulk read sees its own batch": {
			newTale().others("+1 12:00").signals("09:50", "09:30", "09:20"), []string{"09:20–09:50"},
		},
		"a truncated session would be published from a read-back": {
			always("01:00", 60).others("+8 00:00").event(Event{ID: "late", TimeMs: instant("+2 20:00")}).event(Event{ID: "later", TimeMs: instant("+1 06:50")}),
			[]string{"+1 00:00–+1 06:50", "+2 20:00–+2 20:00", "01:00–23:30"},
		},
		"a throttled row is lost with its snapshot": {
			newTale().signals("20:00", "20:10", "20:20").others("+1 20:00"), []string{"20:00–20:20"},
		},
		"an always-on chain is evicted in parts and capped": {
			always("01:00", 60).others("+1 07:30").signals("+1 07:00", "+1 07:15", "+1 07:45"), []string{"+1 00:00–+1 07:45", "01:00–23:30"},
		},
		"a gap is raised after an eviction": {
			newTale().gap(30).signals("09:00").others("12:00").gap(240).signals("12:50"), []string{"09:00–12:50"},
		},
		"a setting is re-read from a compacted catalogue": {
			newTale().signals("09:00").gap(240).gap(5).signals("09:20", "09:10"), []string{"09:00–09:00", "09:10–09:10", "09:20–09:20"},
		},
		"two sessions would start in one instant": {
			newTale().event(Event{ID: "id1", TimeMs: instant("10:00")}).event(Event{ID: "id2", TimeMs: instant("10:00"), Type: schemas.TypeLoggedOut}).
				event(Event{ID: "id3", TimeMs: instant("10:00")}).signals("10:05"), []string{"10:00–10:00", "10:05–10:05"},
		},
		"ids are known to an hour before the horizon": {
			newTale().event(Event{ID: "x", TimeMs: instant("05:00")}).event(Event{ID: "y", TimeMs: instant("19:00")}).event(Event{ID: "x", TimeMs: instant("05:55")}),
			[]string{"05:00–05:00", "19:00–19:00"},
		},
		"what was read is united with what is in memory": {
			newTale().signals("+2 09:00", "+2 09:25").signals("06:00"), []string{"+2 09:00–+2 09:25", "06:00–06:00"},
		},
		"the hole at a window's edge is read": {
			newTale().logout("20:00").signals("19:50", "20:10", "20:30", "-2 15:55"), []string{"-2 15:55–-2 15:55", "19:50–20:00", "20:10–20:30"},
		},
		"an event is stamped with the gap of its place": {
			newTale().signals("13:00").gap(60).signals("12:10", "12:20").others("20:00").signals("13:40"), []string{"12:10–12:20", "13:00–13:40"},
		},
		"the watermark does not go back after a cold start": {
			newTale().signals("15:00").others("18:00").signals("09:00"), []string{"09:00–09:00", "15:00–15:00"},
		},
		"an on-time event finds its neighbour after a cold start": {
			newTale().signals("17:00").others("17:10").signals("17:20"), []string{"17:00–17:20"},
		},
		"the gap is raised in the batch of a re-entry (pair 21626)": {
			newTale().event(Event{ID: "x", TimeMs: instant("20:11")}).set(func(*schemas.Control) {}).event(Event{ID: "x", TimeMs: instant("19:32")}).
				others("+1 00:51").gap(240).event(Event{ID: "x", TimeMs: instant("19:32")}), []string{"20:11–20:11"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plans := c.tale.plans(2*time.Hour, time.Millisecond, -20*time.Minute, -time.Hour)
			if n := len(c.tale.items); n > 12 { // a long chain: a share of the cuts will do
				plans = slices.DeleteFunc(plans, func(p *Plan) bool { b := p.Batches[0]; return b != 1 && b != 7 && b != n-2 })
			}
			c.tale.tell(t, share(plans), c.want...)
		})
	}
}

// share takes so many of the plans, evenly, as the flag -sim.n asks for: all of
// them at 20,000.
func share(plans []*Plan) (some []*Plan) {
	most := max(40, *countFlag/8)
	for i, p := range plans {
		if i*most/len(plans) != (i-1)*most/len(plans) || i == 0 || most >= len(plans) {
			some = append(some, p)
		}
	}
	return some
}

// always is a device that speaks every half hour.
func always(from string, halfHours int) *tale {
	s := newTale()
	for i := range halfHours {
		s.event(Event{TimeMs: instant(from) + int64(i)*30*minute})
	}
	return s
}

// long is a tale of one busy morning: enough batches for the traps of the group.
func long() *tale {
	s := newTale()
	for i := range int64(40) {
		s.event(Event{TimeMs: instant("09:00") + i*minute})
		if i%10 == 5 {
			s.event(Event{TimeMs: instant("09:00") + i*minute - 25*second}).others("08:30")
		}
	}
	return s
}

// under tells the long tale under plans that differ in what is drawn. All that
// is to befall somebody must have done so.
func under(t *testing.T, change func(*Plan), more ...string) {
	t.Helper()
	var plans []*Plan
	kinds := more
	for seed := range uint64(60) {
		p := calmPlan()
		p.Seed, p.Workers, p.Batches, p.FetchRecords = seed, 2, []int{1, 3, 2}, 4
		p.Lateness, p.Spread, p.Every = []time.Duration{2 * time.Hour, time.Millisecond}, 8*time.Second, 200*time.Millisecond
		change(p)
		plans = append(plans, p)
		for _, f := range p.Faults {
			kinds = append(kinds, f.Do)
		}
	}
	befallen := long().tell(t, plans, "09:00–09:39")
	for _, k := range kinds {
		if befallen[k] == 0 {
			t.Fatalf("%q never befell anybody: %v", k, befallen)
		}
	}
}

func TestTrap_RevokedWithUnflushedRowsAndAssignedAgainWithAnUnmovedPointer(t *testing.T) {
	under(t, func(p *Plan) {
		p.Workers, p.Every, p.Idle, p.Drain = 1, time.Hour, 10_000, 30*time.Millisecond
		for n := 1; n <= 12; n += 2 {
			p.Faults = append(p.Faults, Fault{pipeline.PointApplied, n, doRebalance, 0}, Fault{pointWrite, n + 1, doSlow, 5 * time.Second})
		}
	})
}

func TestTrap_GenerationsShorterThanTheCheckpointInterval(t *testing.T) {
	under(t, func(p *Plan) {
		p.Every, p.Idle = time.Hour, 10_000
		for n := 1; n <= 12; n++ {
			p.Faults = append(p.Faults, Fault{pointFetch, 3 * n, doRebalance, 0})
		}
	})
}

func TestTrap_ACommitTimesOutAndIsAppliedAfterFourLaterOnes(t *testing.T) {
	under(t, func(p *Plan) {
		n := 1 + int(p.Seed%4)
		p.Faults = []Fault{{pointCommit, n, doDelayed, 0}, {pipeline.PointCommitted, n + 5, doCrash, time.Second}}
	}, appliedLate)
}

func TestTrap_TwoWorkersThatBothBelieveToOwnAPartitionWriteForTenSeconds(t *testing.T) {
	under(t, func(p *Plan) {
		p.Spread = 15 * time.Second
		p.Faults = []Fault{{pipeline.PointApplied, 1 + int(p.Seed%9), doSplit, 10 * time.Second}, {pipeline.PointWritten, 30, doSplit, 10 * time.Second}}
	})
}

// Rows of open sessions are held back, a few at a time are written before a
// checkpoint. If it were committed before the last of them, its loss would leave
// a session as it was: nothing after the position touches it.
func TestTrap_AThrottledRowIsLostWithItsSnapshot(t *testing.T) {
	heldBack(t, pipeline.PointCommitted, doCold)
}

// A snapshot that was written and not committed serves where the group's offset
// was lost: it must know which rows were held back.
func TestTrap_AnUncommittedSnapshotServesAndRowsWereHeldBack(t *testing.T) {
	heldBack(t, pipeline.PointCheckpointWritten, doAmnesia)
}

// heldBack tells of five users of whose rows one at a time is written before a
// checkpoint; something befalls the process at a point of each checkpoint.
func heldBack(t *testing.T, point, do string) {
	t.Helper()
	s := newTale()
	for i := range int64(8) {
		for _, user := range []string{"a", "b", "c", "d", "u"} {
			s.event(Event{User: user, TimeMs: instant("20:00") + i*minute})
		}
	}
	s.others("20:30").others("20:31")
	var plans []*Plan
	for seed := range uint64(120) {
		p := calmPlan()
		p.Seed, p.ForceKeys, p.Block, p.FetchRecords, p.Spread = seed, 1, 2, 5, 2*time.Second
		p.Batches, p.Lateness, p.Every, p.Users = []int{5}, []time.Duration{2 * time.Hour}, 200*time.Millisecond, int(1+seed%2)
		p.Faults = []Fault{{point, 1 + int(seed%12), do, 10 * time.Millisecond}}
		plans = append(plans, p)
	}
	if befallen := s.tell(t, plans, "20:00–20:07"); befallen[do] < 40 {
		t.Fatalf("%s befell a process %d times only", do, befallen[do])
	}
}

func TestTrap_AZombieWakesAfterItsPartitionMoved(t *testing.T) {
	points := pipeline.Points()
	under(t, func(p *Plan) {
		p.Faults = []Fault{{points[int(p.Seed)%len(points)], 1 + int(p.Seed/12), doPause, 9 * time.Second}}
	})
}

func TestTrap_AnInsertArrivesLongAfterItsWorkerDied(t *testing.T) {
	under(t, func(p *Plan) {
		n := 1 + int(p.Seed%9)
		p.Faults = []Fault{{pointWrite, n, doDelayed, 12 * time.Second}, {pointWrite, n + 1, doCrash, 10 * time.Millisecond}}
	})
}
