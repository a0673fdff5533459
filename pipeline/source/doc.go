// Package source is the only door to Kafka. It reads the events topic by raw
// record batches, keeps the membership of the consumer group, commits offsets
// with a pointer to a checkpoint, keeps the checkpoints and the catalogue of
// settings in compacted topics, and produces records.
//
// The library behind it is kafka-go; of it only the connection pool, the group
// membership and the message types of the protocol are used. What it reads and
// writes record by record is our own (DESIGN.md says why).
//
//	           NewGroup                 Next                      context ended
//	Client ───────────────► Group ───────────────► Generation ───────────────────► Next …
//	  │                                               │ Committed, Commit, Start
//	  ├─ Fetch ──► Chunk (records and skips cover [From, Next) exactly)
//	  ├─ WriteCheckpoint, ReadCheckpoint, Checkpoints, DropCheckpoints
//	  ├─ PutSetting, Settings, AppendControl
//	  └─ Produce, NewProducer
package source
