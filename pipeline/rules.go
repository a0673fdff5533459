package pipeline

import (
	"time"

	"daybook/pipeline/enrich"
	"daybook/pipeline/sessionize"
	"daybook/schemas"
)

// Rules are the numbers that decide what the rows say. All of them come from
// SEMANTICS.md and ARCHITECTURE.md section 4; tests scale them down so that a
// random history meets every edge. Times are in milliseconds.
type Rules struct {
	Session      sessionize.Rules
	MaxGap       int64 // largest gap that a network may have
	Repeat       int64 // two events of one identity at most this far apart are one
	ReadBack     int64 // stored events re-enter this far to either side of a late one, and MaxGap more
	Lateness     int64 // the horizon follows the watermark at this distance
	OutOfOrder   int64 // the watermark follows the greatest event time at this distance
	FutureClamp  int64 // a time later than received by more is set to received
	FutureReject int64 // … and by more than this rejected
	Earliest     int64 // an earlier time is rejected
	Latest       int64 // a later time is rejected, even if the record's timestamp is as late
	LedgerBlock  int64 // offsets a ledger row accounts for
	Rewrite      int64 // wall clock: an open session is written again at most this often
	ReadAhead    int64 // … and as much further towards the horizon: what comes next in a history is then known
	PastIDs      int   // ids of re-entered users in a turn of past
	PastFor      int64 // wall clock: a turn of past lasts at most this long
	ForceKeys    int   // so many held-back keys a flush writes at most when it must, so that none takes long
	LeastIDs     int   // so few ids of a network are never worth a pass to forget some
	ExpiryBucket int64 // keys are looked at for leaving in steps of the horizon of this size

	// Split cuts a session into its local days, reusing the memory of dst beyond
	// its length.
	Split func(dst []enrich.Slice, zone string, startMs, endMs int64) []enrich.Slice
	// Dates appends to dst the dates of those days, without making them.
	Dates func(dst []int32, zone string, startMs, endMs int64) []int32
	// ValidZone says whether a zone name is one of the time zone database.
	ValidZone func(name []byte) bool
}

// Standard gives the rules in force in production, for one partition. lateness
// and outOfOrder are settings; they decide speed and what is shown, never a
// stored session.
func Standard(lateness, outOfOrder time.Duration) Rules {
	zones := enrich.NewZones()
	return Rules{
		Session:      sessionize.Standard(),
		MaxGap:       schemas.MaxGapMs,
		Repeat:       time.Hour.Milliseconds(),
		ReadBack:     48 * time.Hour.Milliseconds(),
		Lateness:     lateness.Milliseconds(),
		OutOfOrder:   outOfOrder.Milliseconds(),
		FutureClamp:  5 * time.Minute.Milliseconds(),
		FutureReject: 365 * 24 * time.Hour.Milliseconds(),
		Earliest:     time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(),
		Latest:       time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), // where LogAppendTime is not in force the producer sets both; the tables end in 2106
		ReadAhead:    7 * 24 * time.Hour.Milliseconds(),
		PastIDs:      500_000, // 16 MB, twice
		PastFor:      time.Minute.Milliseconds(),
		LedgerBlock:  8192, // a cold start reads at most this many records again; 120 rows a second at 1 M events/s
		Rewrite:      10 * time.Second.Milliseconds(),
		ForceKeys:    10_000, // 20,000 rows: about 60 ms with their insert
		LeastIDs:     1024,   // 32 KB
		ExpiryBucket: time.Minute.Milliseconds(),
		Split: func(dst []enrich.Slice, zone string, startMs, endMs int64) []enrich.Slice {
			return zones.Split(dst, zones.LoadOr(zone), seconds(startMs), seconds(endMs))
		},
		Dates: func(dst []int32, zone string, startMs, endMs int64) []int32 {
			return zones.Dates(dst, zones.LoadOr(zone), seconds(startMs), seconds(endMs))
		},
		ValidZone: func(name []byte) bool { _, ok := zones.Load(name); return ok },
	}
}

// seconds truncates an instant to the whole second that is stored.
func seconds(ms int64) int64 {
	s := ms / 1000
	if ms%1000 < 0 {
		s--
	}
	return s
}
