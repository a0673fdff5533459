//go:build !linux

package apache

import "syscall"

// dieWithParent cannot be had here: Close ends the nodes, a killed test leaves
// them behind.
func dieWithParent() *syscall.SysProcAttr { return nil }
