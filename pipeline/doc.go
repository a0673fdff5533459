// Package pipeline is the write side of Daybook: it takes raw activity events
// from Kafka, turns them into presence sessions, and hands rows to storage.
// DESIGN.md beside it has the path, the invariants and the decisions.
//
// Words, each for one idea, in code, metrics, logs and README:
//
//	record        bytes with an offset in Kafka
//	event         a decoded record
//	accepted      an event that counts: valid, recorded, no repeat
//	repeat        an event whose accepted predecessor has its identity and a time within an hour
//	reject        a record that can never be right; kept with its reason
//	key           (network, user, device): what a presence session belongs to
//	presence session  a time in which a device was on the platform
//	segment       what the state keeps of neighbouring events of a key
//	chain         neighbouring events at most a gap apart, not cut by a mark
//	slice         the part of a session that shows one local date
//	watermark     W: greatest accepted event time of a network, less the out-of-orderness
//	horizon       B: what is at or after it is decided from memory
//	late          before the horizon: stored events re-enter first; a matter of speed only
//	stamp         gap, zone and period that the log knew at an event's offset
//	batch         records that are applied and flushed at once
//	flush         the rows of a batch made durable; version = position in the log
//	checkpoint    the state in the checkpoints topic, with a committed pointer to it
//	generation    a time in which the group gives this worker its partitions
//	epoch         belongs to a topic id; offsets of two epochs say nothing about each other
//
// A partition in the hands of a worker:
//
//	           ┌──────────── revoked: finish the turn in hand, checkpoint ───────────┐
//	           ▼                                                                     │
//	assigned ─► restore ─► resume ─► collect ─► apply ─► flush ─► (checkpoint) ─► collect …
//	           │   pointer → snapshot            │         │             │
//	           │   else an older one             │         │             └ fenced: drop the state
//	           │   else cold start               │         └ storage down: repeat, hold still
//	           └► halted: foreign commit, log    └ late records: read back first
//	              truncated, other partitions
package pipeline
