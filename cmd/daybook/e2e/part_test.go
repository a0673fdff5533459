package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// part is one process of a site that can be killed, paused and started again
// on the same place.
type part struct {
	name string
	args []string
	env  []string
	// input is the process's standard input, which stays open while it shall
	// live; empty: none.
	input string
	// speaks says that the process prints a line to stdout when it is ready.
	speaks bool
	log    string // file that its stderr is appended to

	mu   sync.Mutex
	cmd  *exec.Cmd     // nil before the first start
	gone chan struct{} // closed when the process has ended
	line string        // that it printed when it was ready
}

// start runs the process and returns when it is ready. extra goes behind its
// environment.
func (p *part) start(extra ...string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		return fmt.Errorf("start %s: it runs already", p.name)
	}
	path, err := binary()
	if err != nil {
		return err
	}
	cmd := exec.Command(path, p.args...)
	cmd.Env = environment(append(append([]string{}, p.env...), extra...)...)
	// It must not outlive the tests, however they end.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	stderr, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if p.input != "" {
		stdin, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		// A pipe takes one line at once, also before anyone reads it.
		go func() { _, _ = io.WriteString(stdin, p.input+"\n") }()
	}
	gone, started, ready := make(chan struct{}), make(chan error, 1), make(chan string, 1)
	go func() {
		// The kernel watches the thread that started the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			lines := bufio.NewReader(stdout)
			line, _ := lines.ReadString('\n') // "" where it ended without a word
			ready <- line
			_, _ = io.Copy(io.Discard, lines)
			_ = cmd.Wait() // told by the process state
		}
		_ = stderr.Close()
		close(gone)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.cmd, p.gone = cmd, gone
	if !p.speaks {
		return nil
	}
	select {
	case p.line = <-ready:
		if p.line != "" {
			return nil
		}
		<-gone
		return fmt.Errorf("start %s: it ended before it was ready: %v\n%s", p.name, cmd.ProcessState, p.tail())
	case <-time.After(startLimit):
		return fmt.Errorf("start %s: not ready after %s\n%s", p.name, startLimit, p.tail())
	}
}

// running tells whether a process is there; the caller holds the lock.
func (p *part) running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.gone:
		return false
	default:
		return true
	}
}

// pid is 0 while none runs.
func (p *part) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return 0
	}
	return p.cmd.Process.Pid
}

// signal sends a signal if the process runs.
func (p *part) signal(s syscall.Signal) {
	if pid := p.pid(); pid != 0 {
		_ = syscall.Kill(pid, s) // it may end meanwhile
	}
}

// end sends a signal that ends the process and returns when it is gone. It is
// killed if it takes too long, which is an error.
func (p *part) end(s syscall.Signal) error {
	p.mu.Lock()
	gone, runs := p.gone, p.running()
	p.mu.Unlock()
	if !runs {
		return nil
	}
	p.signal(s)
	p.signal(syscall.SIGCONT) // a stopped process takes no other signal
	select {
	case <-gone:
		return nil
	case <-time.After(startLimit):
		p.signal(syscall.SIGKILL)
		<-gone
		return fmt.Errorf("end %s: it did not end within %s of signal %d\n%s", p.name, startLimit, s, p.tail())
	}
}

// await waits until the process is gone.
func (p *part) await(limit time.Duration) bool {
	p.mu.Lock()
	gone, runs := p.gone, p.running()
	p.mu.Unlock()
	if !runs {
		return true
	}
	select {
	case <-gone:
		return true
	case <-time.After(limit):
		return false
	}
}

// killedBy tells by which signal the last process ended; 0: by itself.
func (p *part) killedBy() syscall.Signal {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil || p.running() {
		return 0
	}
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return status.Signal()
	}
	return 0
}

// paused tells whether the process is stopped by a signal.
func (p *part) paused() bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.pid()) + "/stat")
	if err != nil {
		return false
	}
	state := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])[0]
	return len(state) == 1 && state[0] == 'T'
}

// tail is the end of what the process wrote.
func (p *part) tail() string {
	text, err := os.ReadFile(p.log)
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	return string(text[max(0, len(text)-4000):])
}
