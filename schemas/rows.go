package schemas

// Flush is everything that one worker makes durable at once: a function of
// its partition's log in [0, Next). Written twice, late, or by two workers it
// changes nothing (ARCHITECTURE.md section 4.1, 4.2).
type Flush struct {
	Topic     string
	Epoch     uint16 // belongs to Kafka's topic id
	Partition int32
	From      int64 // first offset of the batch, inclusive
	Next      int64 // last offset, exclusive; the version of the rows is Version(Epoch, Next)

	Events    []EventRow
	Sessions  []SessionRow // live rows and tombstones
	Slices    []SliceRow   // live rows and tombstones
	Rejects   []RejectRow
	Ledger    []LedgerRow
	Progress  []ProgressRow
	Users     []UserRow
	Settings  []SettingRow // control records that were applied in [From, Next)
	UserFacts []UserFactRow
}

// Rows are what one flush makes durable, in the form that storage takes: a
// worker adds what it has decided as it goes along, so that no event need be held
// until the flush. One goroutine at a time uses them.
type Rows interface {
	// Add copies all rows of a part of the flush and keeps no reference to it.
	// Topic, Epoch, Partition and Next give place and version of its rows.
	Add(f *Flush)
	// Release gives the memory back; the rows must not be used any more.
	Release()
}

// Version orders the contents that a row had: topic epoch, then log position.
func Version(epoch uint16, next int64) uint64 { return uint64(epoch)<<48 | uint64(next) }

// EventRow is an accepted event with what was decided about it. The stamps
// (GapMs, Period, Zone) are what the log knew at Offset; they never change.
type EventRow struct {
	Event      *Event
	Offset     int64
	TimeMs     int64  // event time after clamping
	ReceivedMs int64  // received time (SEMANTICS.md section 9)
	DeviceID   []byte // of the session key: the client's device id, else the class
	Class      DeviceClass
	Flags      EventFlags
	GapMs      int32  // stamp: largest gap that continues a session, milliseconds
	Period     uint16 // stamp: number of the recording period
	Zone       string // stamp: the user's zone on record, else the network's, else UTC
	Content    uint64 // ContentHash of the event as decoded (before FillLabels); 0: the writer takes it of Event
}

// EventFlags are facts about an event that a reader may want to filter by.
type EventFlags uint8

// The flags.
const (
	FlagRobot        EventFlags = 1 << iota // the user agent names a robot
	FlagClassUnknown                        // neither field nor user agent told the class: Web by default
	FlagTimeClamped                         // event time was later than received + 5 min, set to received
	FlagLate                                // before the horizon when it was decided; a matter of speed only. Not stored: it depends on the run
)

// SessionRow is one presence session, or its tombstone (Deleted). Only the
// identity (Network, User, Device, StartMs, ID) of a tombstone is meant.
type SessionRow struct {
	ID      [16]byte // SessionID(Network, User, Device, StartMs)
	Network string
	User    string
	Device  string
	StartMs int64 // first event, milliseconds; stored truncated to the second beside the exact value
	EndMs   int64 // last event
	Events  uint32
	Class   DeviceClass
	Flags   EventFlags // of the earliest event: robot, class unknown
	Zone    string     // of the event with the lowest offset
	GapMs   int32      // stamp of the last event: closed when the watermark has passed EndMs + GapMs
	End     EndReason
	Deleted bool
}

// EndReason says why a session ended where it did. EndInactivity also stands
// on an open session, where nothing has ended it yet.
type EndReason uint8

// The reasons, as stored in sessions.end_reason.
const (
	EndInactivity   EndReason = iota // "inactivity"
	EndLoggedOut                     // "logged_out"
	EndBackgrounded                  // "backgrounded"
	EndRecording                     // "recording_disabled"
	EndCap                           // "cap"
)

// String gives the stored spelling.
func (r EndReason) String() string {
	return [...]string{"inactivity", "logged_out", "backgrounded", "recording_disabled", "cap"}[r]
}

// SliceRow is the part of a session that shows one local date (SEMANTICS.md
// 6.2). A date need not be one run of time (St John's, 2010-11-06): Runs holds
// each, half-open, whole seconds UTC, in order.
type SliceRow struct {
	Session       [16]byte
	Network       string
	User          string
	Device        string
	Class         DeviceClass
	Flags         EventFlags
	Zone          string
	Date          int32 // days since 1970-01-01, the local date
	Runs          [][2]int64
	Seconds       int32 // total of Runs
	SessionStart  int64 // ms, of the session
	ContinuesFrom bool  // the session began on an earlier date: not counted again
	ContinuesTo   bool
	Deleted       bool
}

// RejectRow keeps a record that could not be taken (I7).
type RejectRow struct {
	Offset      int64
	Reason      Reason
	Field       string
	Detail      string // sentence for a person: what is wrong and the remedy
	Key         []byte
	Raw         []byte // at most 64 KB
	RawBytes    uint32 // length before the cut
	TimestampMs int64  // the record's
	File        string // from replay's headers, if any
	Line        uint64 // 1-based, 0 if none
}

// LedgerRow accounts for the offsets [Block, Block+Size) as far as Next.
// Accepted + Duplicate + ΣNotRecorded + ΣRejected + ΣSkipped = min(Next, Block+Size) − Block.
type LedgerRow struct {
	Block       int64
	Size        int32
	Next        int64 // read up to here, exclusive; at most Block+Size
	Accepted    uint32
	Duplicate   uint32
	Conflicts   uint32            // duplicates with other content; a part of Duplicate
	NotRecorded map[string]uint32 // by reason: recording_disabled, …
	Rejected    map[string]uint32 // by Reason
	Skipped     map[string]uint32 // control, aborted, compacted
}

// ProgressRow is the watermark of one network on one partition at Next.
type ProgressRow struct {
	Network     string
	WatermarkMs int64
}

// UserRow is what the directory knows of a user at Next.
type UserRow struct {
	Network string
	User    string
	Zone    string // "" if none is on record
	Name    string
}

// SettingRow is a control record that was applied: history by (partition, offset).
type SettingRow struct {
	Offset  int64
	Control Control
}

// UserFactRow is a fact about a user that was applied: history by (partition, offset).
type UserFactRow struct {
	Offset  int64
	Network string
	User    string
	Zone    string
	Name    string
}

// StoredEvent is an accepted event read back: what sessionizing and the
// recognition of repeats need.
type StoredEvent struct {
	Offset  int64
	Network string
	User    string
	Device  string
	Source  string
	ID      string
	TimeMs  int64
	Kind    Kind
	Class   DeviceClass
	Flags   EventFlags
	GapMs   int32
	Period  uint16
	Zone    string
	Content uint64 // ContentHash of the event, for conflicts
}

// EventsWindow asks for one user's events in [FromMs, ToMs], both inclusive.
type EventsWindow struct {
	Network string
	User    string
	FromMs  int64
	ToMs    int64
}

// EventsQuery asks for the stored events of a partition below an offset.
type EventsQuery struct {
	Epoch       uint16
	Partition   int32
	BelowOffset int64
	Windows     []EventsWindow
}

// ColdState is what storage knows of a partition below an offset, for a start
// without a checkpoint (ARCHITECTURE.md section 4.8).
type ColdState struct {
	Networks []ColdNetwork
	Settings []SettingRow  // per network the newest below the offset
	Facts    []UserFactRow // per user the newest below the offset
}

// Ahead is what is stored of a partition from an offset on: rows that became
// durable before their position was committed.
type Ahead struct {
	Ledger  []LedgerRow    // blocks that end above the offset, ascending
	Spans   []EventsWindow // of each user with accepted events at or above it: the least and the greatest time of those
	Offsets []int64        // of accepted events above what the ledger accounts for, ascending: their flush was torn
}

// ColdNetwork gives the extent of a network's stored events on the partition.
type ColdNetwork struct {
	Network     string
	GreatestMs  int64 // of all stored events, whatever their offset
	WatermarkMs int64 // greatest stored time below the offset; minInt64 if none
}

// PartitionStatus is a worker's report on a partition that it owns. It is
// about the present, not a function of the log.
type PartitionStatus struct {
	Topic        string
	Epoch        uint16
	Partition    int32
	Worker       string
	Next         int64 // flushed up to here
	Published    int64 // every changed session is written up to here
	Committed    int64 // checkpoint committed
	LogEnd       int64 // last stable offset at the last fetch
	CaughtUpMs   int64 // wall clock up to which everything that was received is visible, while the log is read to its end; 0 if behind
	CheckpointMs int64 // wall clock of the last checkpoint
	OpenSessions int64
	HorizonMs    map[string]int64         // by network: B
	History      map[string]HistoryStatus // by network that had late events since the partition was taken over
	RecordRate   float64                  // records taken a second, of any network
	UpdatedMs    int64
	OutOfOrderMs int64 // out_of_orderness in force
	Released     bool  // the worker let the partition go
}

// HistoryStatus tells how the history of a network comes on in a partition. It
// counts since the worker took the partition over: late is how an event was
// decided, which no row shows.
type HistoryStatus struct {
	Late      int64   // late events accepted
	Rate      float64 // of them a second, lately
	Reentries int64   // users whose stored events were read back
	ReadBack  int64   // stored events read back
	WorkingOn int64   // event time of the last late event, ms; 0 if none came lately
}

// RowsQuery asks for the sessions and slices that the tables show of users.
type RowsQuery struct {
	Version      uint64 // of the rows, at most
	Network      string
	Users        []string
	FromMs, ToMs int64 // both inclusive; rows that touch it
}

// StoredRow names a session or a slice that the tables show.
type StoredRow struct {
	User    string
	Device  string
	ID      [16]byte // of the session
	StartMs int64    // of the session
	Slice   bool
	Date    int32 // of a slice
}
