// Package export writes what a person takes away: today CSV (RFC 4180), one
// row stream for every format that follows.
//
// Cells that come from users are guarded against being run as a formula by a
// spreadsheet (SEMANTICS.md section 7, TRUST.md section 3); numbers, dates and
// column names are not text of users and stay as they are. Memory is constant:
// rows are written as they come, in blocks of about 64 KB.
package export
