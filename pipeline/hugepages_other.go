//go:build !linux

package pipeline

// adviseHuge does nothing: only Linux is asked for huge pages.
func adviseHuge(_, _ uintptr) {}
