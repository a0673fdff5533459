package schemas

import "bytes"

// The types that mean something to the pipeline.
const (
	TypeActivity     = "io.daybook.presence.activity"
	TypeHeartbeat    = "io.daybook.presence.heartbeat"
	TypeLoggedOut    = "io.daybook.presence.logged_out"
	TypeBackgrounded = "io.daybook.presence.backgrounded"
	TypeUserUpserted = "io.daybook.directory.user_upserted"
)

const typePrefix = "io.daybook."

// KindOf tells what a type means to a presence session. Types of the agent,
// interaction, ticket, directory and control streams are no presence signals;
// every other type is one, an unknown type too: something that a user did
// (SEMANTICS.md section 6.1).
func KindOf(eventType []byte) Kind {
	rest, ours := bytes.CutPrefix(eventType, []byte(typePrefix))
	if !ours {
		return KindSignal
	}
	switch string(eventType) {
	case TypeLoggedOut:
		return KindLoggedOut
	case TypeBackgrounded:
		return KindBackgrounded
	case TypeUserUpserted:
		return KindUserFact
	}
	stream, _, dotted := bytes.Cut(rest, []byte{'.'})
	if !dotted {
		return KindSignal
	}
	switch string(stream) {
	case "agent", "interaction", "ticket", "directory", "control":
		return KindOther
	}
	return KindSignal
}
