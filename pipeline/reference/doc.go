// Package reference says what the tables must hold, given a log, as plainly as
// it can be said: Tables reads the log once, sorts, and derives everything. It
// has no state to keep small, no horizon, no batches, no versions, and shares
// nothing with the stages that it judges but the decoding of a single record.
//
// The simulator (pipeline/simtest), the model of the state
// (pipeline/model_test.go) and `daybook verify --deep` compare with it.
package reference

import (
	"daybook/pipeline/source"
	"daybook/schemas"
)

// Record is what a partition's log holds at one offset.
type Record struct {
	Offset      int64
	TimestampMs int64
	Key, Value  []byte
	Headers     []source.Header
	Skip        string // not "": no record for us (source.SkipControl, …), and why
}

// Decoded is what a record says by itself; of an event all but its stamps.
type Decoded struct {
	Control  *schemas.Control  // of a control record that is a setting
	SetAside *schemas.SetAside // of a control record that sets another record aside
	Repair   *schemas.Repair   // of a control record that has true rows written again: it changes none
	Reject   Reject            // Reason is "" if nothing is wrong so far
	Event    Event
	FactZone string // of a fact about the user: a valid zone, or ""
	FactName string
}

// Rules are the numbers that decide. Times are in milliseconds.
type Rules struct {
	Decode      func(*Record) Decoded
	DayMs       int64 // UTC day, at whose ends a chain longer than the cap is cut
	CapMs       int64
	GraceMs     int64 // a backgrounded mark is void if a signal follows within
	RepeatMs    int64 // two events of one identity at most this far apart are one
	OutOfOrder  int64 // the watermark follows the greatest event time at this distance
	LedgerBlock int64 // offsets of a ledger row
	// Split cuts a session into its local days.
	Split func(zone string, startMs, endMs int64) []Day
}

// Day is what a session has of one local date.
type Day struct {
	Date    int32      // days since 1970-01-01
	Runs    [][2]int64 // half-open, seconds since 1970, in order, never touching
	Seconds int32
}

// Result is what the tables must hold, each list by identity.
type Result struct {
	Events    []Event
	Sessions  []Session
	Slices    []Slice
	Rejects   []Reject
	Ledger    []Ledger
	Settings  []Setting
	UserFacts []UserFact
	Users     []User
	Progress  map[string]int64 // watermark by network
}

// Event is an accepted event. Its identity is (Network, User, Source, ID, TimeMs).
type Event struct {
	Network, User, Source, ID string
	TimeMs                    int64 // clamped
	ReceivedMs                int64
	Offset                    int64
	Device                    string // of the session key
	Class                     schemas.DeviceClass
	Flags                     schemas.EventFlags // without FlagLate, which is not stored
	Kind                      schemas.Kind
	Content                   uint64 // schemas.ContentHash
	GapMs                     int32  // stamp
	Period                    uint16 // stamp
	Zone                      string // stamp
	Record                    int    // index in the log: the rest of what it says is there
}

// Session is a presence session. Its identity is (Network, User, Device, StartMs).
type Session struct {
	Network, User, Device string
	StartMs, EndMs        int64
	Events                uint32
	Class                 schemas.DeviceClass
	Flags                 schemas.EventFlags // robot, class unknown: of the earliest event
	Zone                  string
	GapMs                 int32
	End                   schemas.EndReason
}

// Slice is the part of a session that shows one local date.
type Slice struct {
	Session
	Day

	ContinuesFrom, ContinuesTo bool
}

// Reject is a record that was not taken.
type Reject struct {
	Offset   int64
	Reason   string
	Key, Raw []byte // cut as stored
	RawBytes uint32 // before the cut
}

// Ledger accounts for the offsets [Block, Next).
type Ledger struct {
	Block                          int64
	Size                           int32
	Next                           int64
	Accepted, Duplicate, Conflicts uint32
	NotRecorded, Rejected, Skipped map[string]uint32 // by reason
}

// Setting is a control record that was applied.
type Setting struct {
	Offset  int64
	Control schemas.Control
}

// UserFact is a fact about a user that was applied: what was known after it.
type UserFact struct {
	Offset                    int64
	Network, User, Zone, Name string
}

// User is a user who has a session, or of whom a fact is known.
type User struct{ Network, User, Zone, Name string }
