// Package sessionize turns the set of a key's accepted events into presence
// sessions (SEMANTICS.md section 9). It is a pure stage: same events, same
// sessions, whatever their order of arrival.
//
// The state of a key, one (network, user, device), is a list of segments in
// the order of time. A segment is a run of neighbouring events that share one
// chain, one UTC day and one stamp (gap and recording period), reduced to what
// later events can still depend on. A single event is a segment too, so one
// function, [Rules.Build], derives the sessions of both:
//
//	events     •  • •    •L        •  •         |00:00 UTC|  •
//	segments  [────────────]      [────]                    [•]
//	chain     └──── 1 ─────┘      └───────────── 2 ──────────┘
//	sessions  └──── 1 ─────┘      └─ one if chain 2 spans at most 24 h, else one a UTC day
//
// Where a summary cannot decide (a cut mark before a segment's last event, or
// another stamp inside it) [Key.Insert] says so: the caller then replaces the
// segments around by the stored events and inserts again.
package sessionize
