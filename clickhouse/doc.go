// Package clickhouse stores what the write side produces and answers what the
// worker and the command line ask: it is the only door to clickhouse-go.
//
// A Store is opened from an address, brings the tables up to date (Migrate),
// and writes flushes (Write): each a function of the log up to a position, so
// that writing it twice, late, or from two workers at once changes nothing
// (ARCHITECTURE.md section 4). Tables are append-only and keep every version
// under the name with the suffix _versions; the views without suffix show each
// identity once, and are what people use. Questions of the read side are in
// clickhouse/query; a Store runs them.
//
// Speaks HTTP only, because only HTTP takes Native blocks that are encoded
// beforehand, and because the embedded engine has no other door.
package clickhouse
