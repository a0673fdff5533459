package pipeline

import "syscall"

// Advice of linux/mman.h that package syscall has no names for.
const (
	madvHugepage = 14
	madvCollapse = 25 // since Linux 6.1
)

// adviseHuge asks the kernel to back a range of the heap with huge pages, where it
// can, and to move there what is in small ones already. Both are hints: a kernel
// that has neither refuses, and nothing changes.
func adviseHuge(from, bytes uintptr) {
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, from, bytes, madvHugepage)
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, from, bytes, madvCollapse)
}
