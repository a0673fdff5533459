// Package engine is the ClickHouse that Daybook brings along: libchdb, loaded
// without cgo, in a child process of the same binary, served on loopback as the
// ClickHouse HTTP interface. clickhouse-go, curl and every other HTTP client
// talk to it as to a server.
//
// Start (the Supervisor) runs in the parent and keeps a child alive; RunChild is
// the child. Tests of other packages use engine/enginetest. DESIGN.md says how
// the parts fit.
package engine
