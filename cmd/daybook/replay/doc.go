// Package replay turns files into records of the events topic: newline
// delimited JSON, Apache or nginx combined logs, and CSV with a mapping of
// columns; plain, gzip or zip.
//
// The path of a line:
//
//	Inputs ──► member (a file, or one file of a zip) ──► Format: line → fields
//	       ──► mapper: fields → schemas.Event → Row ──► Sorter (by event time) ──► records
//
// Nothing is dropped here. A line that cannot be mapped becomes a Row that
// carries the line as it is, with file, line and reason, so that it ends in
// the rejects table like any other bad record (ARCHITECTURE.md I7). A line
// that is JSON but a bad event goes on without a reason of ours: the worker's
// decoder names the precise one. Repeats are not looked for: that is the
// worker's deed, and it alone knows what was accepted.
//
// Rows are functions of the file's content, its name and the options, never of
// a clock: the same file gives the same ids again.
package replay
