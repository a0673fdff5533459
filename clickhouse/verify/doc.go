// Package verify proves what TRUST.md section 1 promises of the tables, from
// ClickHouse and Kafka's offsets alone: P1 (every offset is in exactly one class,
// and the classes are the rows), P2 (an event id counts once), P3 (sessions are
// what their events make), P4 (rollups equal their recomputation), P6 (the
// committed offset never passes what is stored), and the order of versions.
//
// Each check is one SELECT in sql/ that gives an item a row: its identity, what
// is wrong with it (” if nothing), and whether it is in flight. Checks about
// users run by shards of the primary key, so that memory is bounded; a check of
// the derivation (sessions.sql) is written against the rules, not against the
// pipeline's code.
//
// # While workers run
//
// At the start two positions are taken of each partition: stored (the ledger's
// end: every row of a record below it is there) and published (every session that
// a record below it changed is written; the workers report it, a commit implies
// it). Rows of records from stored on are not judged, and neither are sessions,
// slices and days of a user who has an event from published on: they are counted
// as in flight. Because a flush writes events first, such a user is always known
// by a read that begins after the difference was seen: what looks wrong is looked
// at again, and counts only if it is wrong both times and not in flight.
package verify
