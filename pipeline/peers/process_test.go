package peers

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// process is one process that is measured from its start to its end.
type process struct {
	name   string
	cmd    *exec.Cmd
	input  io.WriteCloser // its standard input; it may live by it
	log    string         // file of what it printed
	lines  chan string    // what it prints, for the one who waits for a word; dropped while nobody does
	peakKB atomic.Int64   // VmHWM
	before time.Duration  // CPU taken when begin was called
	within time.Duration  // CPU taken from there until end was called
	gone   chan struct{}
}

// usage is what a process has taken: user and system time, from the first record
// to the last and in all its life, and the most memory that it had resident
// (VmHWM of /proc, which the kernel keeps).
type usage struct {
	name      string
	run, life time.Duration
	peakKB    int64
}

// launch starts a command in a process group of its own, which dies with this one.
func launch(name, log string, cmd *exec.Cmd) (*process, error) {
	p := &process{name: name, cmd: cmd, log: log, lines: make(chan string, 1000), gone: make(chan struct{})}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := os.MkdirAll(filepath.Dir(log), 0o755); err != nil {
		return nil, err
	}
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	if p.input, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	reader, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = writer, writer
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the kernel watches the thread that started the process
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // told by its state
		}
		_ = writer.Close()
	}()
	go func() {
		defer close(p.gone)
		defer file.Close()
		for scanner := bufio.NewScanner(io.TeeReader(reader, file)); scanner.Scan(); {
			select {
			case p.lines <- scanner.Text():
			default:
			}
		}
		_, _ = io.Copy(file, reader) // a line was too long
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go p.watch()
	return p, nil
}

// watch keeps the last word of the kernel on the peak; the figure only rises.
func (p *process) watch() {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		p.samplePeak()
		select {
		case <-tick.C:
		case <-p.gone:
			return
		}
	}
}

func (p *process) samplePeak() {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid)) // it may be gone
	if _, after, ok := bytes.Cut(text, []byte("VmHWM:")); ok {
		if kb, err := strconv.ParseInt(string(bytes.Fields(after)[0]), 10, 64); err == nil {
			p.peakKB.Store(kb)
		}
	}
}

// begin and end enclose what counts as the run, in CPU.
func (p *process) begin() { p.before = p.cpu() }
func (p *process) end()   { p.within = p.cpu() - p.before }

// cpu is what the process has taken until now, or 0 when it is gone.
func (p *process) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, _ := strconv.ParseInt(fields[11], 10, 64) // the kernel writes numbers
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	// Ticks of a hundredth of a second, on every Linux that Go runs on.
	return time.Duration(user+system) * 10 * time.Millisecond
}

// sofar is the usage until now, of a process that goes on.
func (p *process) sofar() usage {
	p.samplePeak()
	return usage{p.name, p.within, p.cpu(), p.peakKB.Load()}
}

// whole tells a process to end, by the end of its input and the signals, and
// gives what it took in all its life.
func (p *process) whole(ctx context.Context, signals ...os.Signal) (usage, error) {
	p.samplePeak()
	_ = p.input.Close()
	for _, signal := range signals {
		_ = p.cmd.Process.Signal(signal) // it may be gone
	}
	select {
	case <-p.gone:
	case <-ctx.Done():
		p.kill()
		return usage{}, fmt.Errorf("%s did not end: %w", p.name, p.explain(context.Cause(ctx)))
	}
	if !p.cmd.ProcessState.Success() {
		return usage{}, p.explain(fmt.Errorf("%s: %s", p.name, p.cmd.ProcessState))
	}
	return usage{p.name, p.within, p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime(), p.peakKB.Load()}, nil
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be gone
	<-p.gone
}

// await gives the rest of the first line that has a text in it.
func (p *process) await(ctx context.Context, text string) (string, error) {
	for {
		select {
		case line := <-p.lines:
			if _, after, ok := strings.Cut(line, text); ok {
				return strings.TrimSpace(after), nil
			}
		case <-p.gone:
			select {
			case line := <-p.lines: // said at last
				if _, after, ok := strings.Cut(line, text); ok {
					return strings.TrimSpace(after), nil
				}
				continue
			default:
			}
			return "", p.explain(fmt.Errorf("%s ended without saying %q", p.name, text))
		case <-ctx.Done():
			return "", p.explain(fmt.Errorf("%s did not say %q: %w", p.name, text, context.Cause(ctx)))
		}
	}
}

// explain adds the end of what the process printed to an error.
func (p *process) explain(err error) error {
	text, _ := os.ReadFile(p.log)
	return fmt.Errorf("%w\n%s", err, text[max(0, len(text)-4000):])
}
