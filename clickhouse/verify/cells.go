package verify

// The rows below are the cells of the tables as a comparison with the log sees
// them: comparable values, what is nested as text. The tag says how the cell is
// read. The first field, a struct, is the identity.

// EventKey is the identity of an event.
type EventKey struct {
	Network string `sql:"toString(network_id)"`
	User    string `sql:"user_id"`
	Source  string `sql:"toString(source)"`
	ID      string `sql:"event_id"`
	TimeMs  int64  `sql:"toUnixTimestamp64Milli(time)"`
}

// EventRow is an accepted event.
type EventRow struct {
	EventKey

	Offset       int64  `sql:"offset"`
	ReceivedMs   int64  `sql:"toUnixTimestamp64Milli(received_at)"`
	Device       string `sql:"device_id"`
	Class        string `sql:"toString(device_class)"`
	Kind         string `sql:"toString(kind)"`
	Robot        bool   `sql:"robot"`
	ClassUnknown bool   `sql:"class_unknown"`
	TimeClamped  bool   `sql:"time_clamped"`
	GapMs        uint32 `sql:"gap_ms"`
	Period       uint16 `sql:"recording_period"`
	Zone         string `sql:"toString(zone)"`
	Content      uint64 `sql:"content_hash"`
	Type         string `sql:"toString(type)"`
	Category     string `sql:"toString(category)"`
	Action       string `sql:"toString(action)"`
	Label        string `sql:"label"`
	ContentID    string `sql:"content_id"`
	ContentName  string `sql:"content_name"`
	ContentSlug  string `sql:"content_slug"`
	ContextZone  string `sql:"toString(context_zone)"`
	UserAgent    string `sql:"toString(context_ua)"`
	URL          string `sql:"context_url"`
	Props        string `sql:"props"`
}

// SessionKey is the identity of a presence session.
type SessionKey struct {
	Network   string `sql:"toString(network_id)"`
	User      string `sql:"user_id"`
	Device    string `sql:"device_id"`
	StartedMs int64  `sql:"started_ms"`
}

// SessionRow is a presence session.
type SessionRow struct {
	SessionKey

	ID           string `sql:"toString(session_id)"`
	Class        string `sql:"toString(device_class)"`
	Date         int32  `sql:"toInt32(date)"`
	Started      int64  `sql:"toInt64(toUnixTimestamp(started_at))"`
	Ended        int64  `sql:"toInt64(toUnixTimestamp(ended_at))"`
	Seconds      uint32 `sql:"duration_s"`
	EndedMs      int64  `sql:"ended_ms"`
	EndReason    string `sql:"toString(end_reason)"`
	Events       uint32 `sql:"events"`
	Zone         string `sql:"toString(zone)"`
	GapMs        uint32 `sql:"gap_ms"`
	Robot        bool   `sql:"robot"`
	ClassUnknown bool   `sql:"class_unknown"`
}

// SliceKey is the identity of a slice.
type SliceKey struct {
	Network string `sql:"toString(network_id)"`
	User    string `sql:"user_id"`
	Date    int32  `sql:"toInt32(date)"`
	Session string `sql:"toString(session_id)"`
}

// SliceRow is the part of a session that shows one local date.
type SliceRow struct {
	SliceKey

	Device        string `sql:"device_id"`
	Class         string `sql:"toString(device_class)"`
	Started       int64  `sql:"toInt64(toUnixTimestamp(started_at))"`
	Ended         int64  `sql:"toInt64(toUnixTimestamp(ended_at))"`
	Seconds       uint32 `sql:"duration_s"`
	Runs          string `sql:"arrayStringConcat(arrayMap(r -> concat(toString(toUnixTimestamp(r.1)), '-', toString(toUnixTimestamp(r.2))), runs), ' ')"`
	Zone          string `sql:"toString(zone)"`
	StartedMs     int64  `sql:"session_started_ms"`
	ContinuesFrom bool   `sql:"continues_from"`
	ContinuesTo   bool   `sql:"continues_to"`
	Robot         bool   `sql:"robot"`
	ClassUnknown  bool   `sql:"class_unknown"`
}

// OffsetKey is the identity of what a partition has at most one of at an offset.
type OffsetKey struct {
	Offset int64 `sql:"offset"`
}

// RejectRow is a record that was not taken, as kept. Field and detail are
// sentences for a person and are not compared.
type RejectRow struct {
	OffsetKey

	Reason     string `sql:"toString(reason)"`
	Key        string `sql:"key"`
	Raw        string `sql:"raw"`
	RawBytes   uint32 `sql:"raw_bytes"`
	RecordedMs int64  `sql:"toUnixTimestamp64Milli(recorded_at)"`
	File       string `sql:"file"`
	Line       uint64 `sql:"line"`
}

// SettingRow is a control record that was applied, of settings_history_versions.
type SettingRow struct {
	OffsetKey

	Network   string `sql:"toString(network_id)"`
	Position  int64  `sql:"position"`
	Title     string `sql:"title"`
	Zone      string `sql:"toString(zone)"`
	GapMs     uint32 `sql:"gap_ms"`
	Retention uint32 `sql:"retention_days"`
	Dark      string `sql:"arrayStringConcat(arrayMap(d -> concat(toString(d.1), '-', toString(d.2)), dark), ' ')"`
}

// FactRow is a fact about a user that was applied.
type FactRow struct {
	OffsetKey

	Network string `sql:"toString(network_id)"`
	User    string `sql:"user_id"`
	Zone    string `sql:"toString(zone)"`
	Name    string `sql:"name"`
}

// BlockKey is the identity of a ledger block.
type BlockKey struct {
	Block int64 `sql:"block"`
}

// LedgerRow is what became of the offsets of a block.
type LedgerRow struct {
	BlockKey

	Size        int32  `sql:"size"`
	Next        int64  `sql:"next_offset"`
	Accepted    uint32 `sql:"accepted"`
	Duplicate   uint32 `sql:"duplicate"`
	Conflicts   uint32 `sql:"conflicts"`
	NotRecorded string `sql:"arrayStringConcat(arrayMap((k, v) -> concat(k, '=', toString(v)), mapKeys(mapSort(not_recorded)), mapValues(mapSort(not_recorded))), ' ')"`
	Rejected    string `sql:"arrayStringConcat(arrayMap((k, v) -> concat(k, '=', toString(v)), mapKeys(mapSort(rejected)), mapValues(mapSort(rejected))), ' ')"`
	Skipped     string `sql:"arrayStringConcat(arrayMap((k, v) -> concat(k, '=', toString(v)), mapKeys(mapSort(skipped)), mapValues(mapSort(skipped))), ' ')"`
}

// UserKey is the identity of a user.
type UserKey struct {
	Network string `sql:"toString(network_id)"`
	User    string `sql:"user_id"`
}

// UserRow is what the directory knows of a user.
type UserRow struct {
	UserKey

	Zone string `sql:"toString(zone)"`
	Name string `sql:"name"`
}

// NetworkKey is the identity of a network's watermark on a partition.
type NetworkKey struct {
	Network string `sql:"toString(network_id)"`
}

// ProgressRow is a watermark.
type ProgressRow struct {
	NetworkKey

	WatermarkMs int64 `sql:"toUnixTimestamp64Milli(watermark)"`
}

// UserDayKey is the identity of a row of daily_users.
type UserDayKey struct {
	Network string `sql:"toString(network_id)"`
	User    string `sql:"user_id"`
	Date    int32  `sql:"toInt32(date)"`
}

// UserDayRow is a user's local day. Seconds.
type UserDayRow struct {
	UserDayKey

	Sessions uint64 `sql:"sessions"`
	Duration int64  `sql:"toInt64(duration_s)"`
	Active   int64  `sql:"toInt64(active_s)"`
	Overlap  int64  `sql:"toInt64(overlap_s)"`
	Mobile   int64  `sql:"toInt64(mobile_s)"`
	Web      int64  `sql:"toInt64(web_s)"`
}

// NetworkDayKey is the identity of a row of daily_networks.
type NetworkDayKey struct {
	Network string `sql:"toString(network_id)"`
	Date    int32  `sql:"toInt32(date)"`
}

// NetworkDayRow is a network's day. Seconds.
type NetworkDayRow struct {
	NetworkDayKey

	Users    uint64 `sql:"users"`
	Sessions uint64 `sql:"sessions"`
	Duration int64  `sql:"toInt64(duration_s)"`
	Active   int64  `sql:"toInt64(active_s)"`
	Overlap  int64  `sql:"toInt64(overlap_s)"`
	Mobile   int64  `sql:"toInt64(mobile_s)"`
	Web      int64  `sql:"toInt64(web_s)"`
}
