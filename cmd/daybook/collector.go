package main

import (
	"runtime/debug"
	"slices"
	"strings"
)

// workerGCPercent is how much the heap of a worker grows between two collections, in
// percent of what lives on it, in place of Go's 100. A worker allocates little for
// an event, so collections are few all the same (pipeline/DESIGN.md, "Memory of a worker").
const workerGCPercent = 50

// boundGarbage sets the collector of a worker's process, unless the operator has
// set it by GOGC.
func boundGarbage(environ []string) {
	if percent, ok := gcPercent(environ); ok {
		debug.SetGCPercent(percent)
	}
}

// gcPercent gives what boundGarbage sets; not ok: nothing.
func gcPercent(environ []string) (percent int, ok bool) {
	given := slices.ContainsFunc(environ, func(pair string) bool {
		value, found := strings.CutPrefix(pair, "GOGC=")
		return found && value != ""
	})
	return workerGCPercent, !given
}
