package schemas

// What a producer should send instead. Constants, so that a verdict costs
// nothing; none of them shows the record's own text.
const (
	remedySize       = "send records of at most 1,000,000 bytes"
	remedyEmpty      = "send one JSON object a record"
	remedyJSON       = "send one JSON object a record, as RFC 8259 says"
	remedyTrailing   = "send one JSON object a record and nothing behind it"
	remedyUTF8       = "send text as UTF-8"
	remedyNUL        = "send text without NUL"
	remedySurrogate  = "send surrogates in pairs, or the character itself as UTF-8"
	remedyDuplicate  = "send every name of an object once"
	remedyDepth      = "nest objects and arrays at most 32 deep"
	remedyProperties = "send at most 1,000 names a record"

	remedyString     = "send a string, or leave the field out"
	remedyObject     = "send an object, or leave the field out"
	remedySpec       = `send specversion "1.0"`
	remedyData       = "send data as a JSON object, not as text or data_base64"
	remedyTenant     = "send tenant or network, or the same in both"
	remedyNoID       = "send an id, unique for network, user and source"
	remedyBadID      = "send an id of 1 to 256 bytes"
	remedyNoNetwork  = "send the id of the network"
	remedyBadNetwork = "send a network that matches [a-z0-9][a-z0-9._-]{0,63}"
	remedyNoUser     = "send the id of the user"
	remedyBadUser    = "send a user of 1 to 256 bytes"
	remedyNoTime     = "send the time at which it happened, as RFC 3339"
	remedyBadTime    = "send RFC 3339 such as 2026-05-12T14:20:00.123Z or 2026-05-12T16:20:00+02:00"
	remedyTooLong    = "send at most 256 bytes"
)
