package schemas

// Reason says why a record is rejected: it can never be right, whoever reads
// it again (HOUSE.md section 6). The zero value means that it is not rejected.
type Reason uint8

// The reasons, in the order in which a record is examined.
const (
	Accepted       Reason = iota
	TooLarge              // value longer than the limit (1 MB by default)
	Empty                 // no value, or only white space
	NotJSON               // binary, or not one JSON object
	InvalidUTF8           // JSON with invalid UTF-8 or a NUL
	DuplicateKey          // an object names a key twice
	TooDeep               // nested deeper than 32, or more than 1,000 properties
	WrongType             // a known field has another JSON type
	BadCloudEvent         // specversion other than 1.0, or no JSON data
	NoID                  // id is missing or empty
	BadID                 // id is longer than 256 bytes
	NoNetwork             // network is missing
	BadNetwork            // network is not [a-z0-9][a-z0-9._-]{0,63}
	NoUser                // user is missing or empty
	BadUser               // user is longer than 256 bytes
	NoTime                // time is missing
	BadTime               // time is no RFC 3339 instant
	WrongPartition        // the record's key is not network/user, or it lies on another partition
	UnknownNetwork        // no control record of the network precedes the record
	TimeOutOfRange        // before 1990, or more than a year after it was received
	TooOld                // older than the events' retention
	BadControl            // a control record that is malformed or not signed by this installation
	FieldTooLong          // source, type or device.id is longer than 256 bytes: they become state or dictionary entries
	Unmappable            // a line that replay could not map; its error is in the record's headers
	HandlerPanic          // handling it made the program panic three times: it was set aside (SetAside)
	reasonCount
)

var reasonNames = [reasonCount]string{ //nolint:gochecknoglobals // a constant that Go cannot write
	"accepted", "too_large", "empty", "not_json", "invalid_utf8", "duplicate_key", "too_deep", "wrong_type",
	"bad_cloudevent", "no_id", "bad_id", "no_network", "bad_network", "no_user", "bad_user", "no_time", "bad_time",
	"wrong_partition", "unknown_network", "time_out_of_range", "too_old", "bad_control", "field_too_long", "unmappable", "handler_panic",
}

// String gives the name that is stored in rejects.reason and used as label.
func (r Reason) String() string { return reasonNames[r] }

// Reasons lists every reason but Accepted, in order; metrics create a series
// for each.
func Reasons() []Reason {
	all := make([]Reason, 0, reasonCount-1)
	for r := Accepted + 1; r < reasonCount; r++ {
		all = append(all, r)
	}
	return all
}

// Reject is the verdict of the decoder: the reason, the field at fault, and
// what would be right. Field and Remedy are constants, so that a verdict costs
// no allocation.
type Reject struct {
	Reason Reason
	Field  string // "user", "device.class", … or ""
	Remedy string // what a producer should send instead
}
