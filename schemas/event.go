package schemas

// Event is one decoded record (INTERFACES.md section 6). Its byte slices alias
// the record's bytes or the decoder's arena: they are valid until the decoder
// is reset, and nobody writes to them. An absent field is nil.
type Event struct {
	ID      []byte // identity together with Network, User, Source; 1 to 256 bytes
	Source  []byte // "unknown" if absent
	Network []byte // [a-z0-9][a-z0-9._-]{0,63}
	User    []byte // 1 to 256 bytes of UTF-8, no NUL

	TimeMs     int64 // milliseconds since 1970, truncated; as sent, not yet clamped
	ReceivedMs int64 // milliseconds since 1970; 0 if absent

	Type     []byte // full dotted name; io.daybook.presence.activity if absent
	Kind     Kind   // what the type means to a presence session
	Category []byte
	Action   []byte
	Label    []byte
	Filled   Filled // which of the three FillLabels wrote; they are no part of the content

	DeviceID    []byte
	DeviceClass DeviceClass // ClassUnknown if the field is absent

	ContentID   []byte
	ContentName []byte
	ContentSlug []byte

	Zone      []byte // context.zone: information only, never the user's zone on record
	UserAgent []byte // context.ua
	URL       []byte // context.url

	Props []byte // one JSON object: props with the unknown fields; nil if both are empty

	// Directory facts of io.daybook.directory.user_upserted (props.tz, props.name).
	FactZone []byte
	FactName []byte
}

// Kind says what an event means to a presence session (SEMANTICS.md 6.1, 9).
type Kind uint8

// The kinds.
const (
	KindSignal       Kind = iota // a user-caused event or a visible heartbeat
	KindLoggedOut                // ends the session after its millisecond
	KindBackgrounded             // ends it unless a signal follows within 60 s
	KindUserFact                 // directory.user_upserted: sets facts, no signal
	KindOther                    // stored, but no presence signal (agent, interaction, ticket, directory, control)
)

// DeviceClass is Mobile or Web (SPK-19).
type DeviceClass uint8

// The classes. ClassUnknown never leaves the pipeline: it becomes Web, flagged.
const (
	ClassUnknown DeviceClass = iota
	ClassMobile
	ClassWeb
)

// String gives the spelling that is stored and answered: "mobile" or "web".
func (c DeviceClass) String() string {
	switch c {
	case ClassMobile:
		return "mobile"
	case ClassWeb:
		return "web"
	case ClassUnknown:
	}
	return "unknown"
}
