package apache

import "syscall"

// dieWithParent makes the kernel kill the child when this process is gone,
// however it went. A process group of its own keeps Ctrl-C from the node.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
