package schemas

import "math"

// Control is a setting of a network as it travels: the whole of what is in
// force, so that a reader needs no earlier one (ARCHITECTURE.md section 4.10).
// It is written to the catalogue topic under the network's id, then to every
// partition of the events topic, signed.
type Control struct {
	Network  string `json:"network"`
	Position int64  `json:"position"`       // offset in the catalogue; newer wins
	Zone     string `json:"zone"`           // IANA name; "" means UTC
	GapMs    int32  `json:"gap_ms"`         // 60,000 to 14,400,000
	Dark     []Dark `json:"dark,omitempty"` // times in which nothing is recorded, ascending
	Title    string `json:"title,omitempty"`
	// RetentionDays is how long the stored events of the network are kept; 0: for
	// ever. A record that is older than they reach back cannot be united with them
	// and is rejected (TooOld). Whoever deletes stored events sets it before.
	RetentionDays int32 `json:"retention_days,omitempty"`
}

// TooOld says whether an event is older than the stored events reach back, less
// a margin: what it could touch must be there in full. It is judged by received
// time, so that it is the same whenever the record is read.
func (c *Control) TooOld(timeMs, receivedMs int64) bool { return timeMs < c.Oldest(receivedMs) }

// Oldest gives the least event time that is not too old.
func (c *Control) Oldest(receivedMs int64) int64 {
	if c.RetentionDays <= 0 {
		return math.MinInt64
	}
	return receivedMs - int64(c.RetentionDays-RetentionMarginDays)*86_400_000
}

// Dark is a half-open span [FromMs, ToMs) in which a network is not recorded.
// The last one may be open: ToMs = math.MaxInt64.
type Dark struct {
	FromMs int64 `json:"from_ms"`
	ToMs   int64 `json:"to_ms"`
}

// HeaderControl marks a record of the events topic as a control record; its
// value is the signature (SignControl) of the record's value.
const HeaderControl = "daybook-control"

// Headers that replay sets on a line it could not map.
const (
	HeaderFile  = "daybook-file"
	HeaderLine  = "daybook-line"
	HeaderError = "daybook-error"
)

// Topic names.
const (
	TopicEvents      = "daybook.events"
	TopicSettings    = "daybook.settings"
	TopicCheckpoints = "daybook.checkpoints"
)

// Limits of the contract.
const (
	MaxEventBytes = 1_000_000 // of a record's value, decompressed
	MaxIDBytes    = 256
	MaxNameBytes  = 256 // of source, type and device.id
	MaxUserBytes  = 256
	MinGapMs      = 60_000
	MaxGapMs      = 240 * 60_000 // the largest gap that a network may have
	DefaultGapMs  = 30 * 60_000

	// MinRetentionDays leaves room for history and for what is read back: two days
	// and the largest gap to either side, which is what the margin is for.
	MinRetentionDays    = 30
	MaxRetentionDays    = 36_500
	RetentionMarginDays = 3
)
