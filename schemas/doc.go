// Package schemas is the contract that the two sides of Daybook share: the
// event on the wire (version 1), its decoder and encoder, the reasons for
// which a record is rejected, the control record that carries a setting, and
// the rows that the write side hands to storage.
//
// It is a leaf: it imports nothing of Daybook.
//
// # File map
//
//   - event.go, kind.go: the event and what its type means to a session.
//   - decode.go, mapper.go, cloudevent.go: from a record to an event; scan.go and
//     index.go beneath them read strict JSON and know nothing of events.
//   - shape.go, shape_field.go, shape_finish.go, shape_learn.go: the short way for
//     records whose names were seen before; memo.go: values that come again.
//   - reject.go, remedy.go: the verdicts.
//   - encode.go, rfc3339.go: from an event to a record; times.
//   - activity_types.tsv, activities.go, labels.go, property.go: the content
//     activity types and their cells.
//   - key.go, identity.go: placement on partitions, identities and hashes.
//   - control.go, controlcodec.go: settings and their signatures.
//   - rows.go: what is stored; zones: the time zones that days are counted in.
//   - event.v1.schema.json, jsonschema.go: the event for producers' tools.
//
// # Shapes
//
// Decoder.whole is the definition. Records that it has taken teach shapes: paths
// of a tree of literals, with the field of the value behind each.
//
//	{"id": ── id ── ,"network": ── network ── ,"user": ── user ┬ ,"time": ── time ── }
//	                                                           └ ,"device":{"id": ── …
//
// A path says what does not depend on values: which names there are, that none
// repeats, and what becomes of each. Values are examined on the way; any fault, a
// fact of the directory, and what no path fits goes to whole. Names within values
// that are kept as they are (unknown objects, arrays) are no part of a shape; the
// names in props are, until there are too many of them. The tree has a bound, and
// is forgotten when it is full of shapes that are sent no more; records of unknown
// shapes are looked at ever less often while learning is of no use.
//
// # Non-obvious
//
//   - The identities of identity.go are stored: TestIdentities_AreStable fails
//     when a change would give new ones.
//   - Many names in one object go through an index; the straight comparison took
//     17 ms for a record of 9 KB (BenchmarkDecoder_ManyNames).
//   - In the shapes' loop the place of the next word must not be computed from what
//     the last one held (i += TrailingZeros64(stop)/8 without a branch is a fifth
//     slower: the processor cannot run ahead), and load's slice expression has a
//     third index, which saves the compiler masking the pointer.
//   - A literal of a struct that is appended goes by the stack and stalls; the
//     scanner sets fields in place instead.
package schemas
