package replay

import (
	"bufio"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Sorter orders rows by event time, rows of one time by their place in the
// input. Rows are kept as bytes, in pages, and sorted by what points to them.
// What does not fit memoryBytes goes to disk in sorted runs, which are merged at
// the end: history of any size, constant memory.
type Sorter struct {
	dir         string // of the runs; "" is the system's
	memoryBytes int64
	pages       [][]byte
	free        [][]byte // pages of rows that are on disk
	refs        []ref    // in the order of the input
	heldBytes   int64    // of pages and refs
	files       []string // names that rows have, by number
	runs        []*os.File
	total       int64
	buf         []byte
}

// ref is where a row in memory is, and what it is sorted by.
type ref struct {
	timeMs int64
	page   int32
	at     int32
}

const (
	refBytes = 16
	// pageBytes is small against the memory and large against a row. A row that
	// is larger has a page of its own.
	pageBytes = 1 << 20
)

// maxRuns bounds the open files of a merge. With the default memory of 256 MB
// this is 64 GB of rows; a smaller budget compacts the runs into one.
const maxRuns = 256

// NewSorter sorts with at most about memoryBytes of rows in memory.
func NewSorter(dir string, memoryBytes int64) *Sorter {
	return &Sorter{dir: dir, memoryBytes: memoryBytes}
}

// Len is the number of rows that were added.
func (s *Sorter) Len() int64 { return s.total }

// Add takes a row; its bytes are copied.
func (s *Sorter) Add(row *Row) error {
	s.buf = s.appendRow(s.buf[:0], row)
	page := s.room(len(s.buf))
	at := len(s.pages[page])
	s.pages[page] = append(s.pages[page], s.buf...)
	s.refs = append(s.refs, ref{row.TimeMs, int32(page), int32(at)})
	s.total++
	s.heldBytes += int64(len(s.buf)) + refBytes
	if s.heldBytes < s.memoryBytes {
		return nil
	}
	return s.spill()
}

// room gives a page that has so much room.
func (s *Sorter) room(size int) int {
	if last := len(s.pages) - 1; last >= 0 && cap(s.pages[last])-len(s.pages[last]) >= size {
		return last
	}
	var page []byte
	switch n := len(s.free); {
	case size > pageBytes:
		page = make([]byte, 0, size)
	case n > 0:
		page, s.free = s.free[n-1], s.free[:n-1]
	default:
		page = make([]byte, 0, pageBytes)
	}
	s.pages = append(s.pages, page)
	return len(s.pages) - 1
}

// sortRows is stable, because places rise with the input.
func (s *Sorter) sortRows() {
	order := func(a, b ref) int {
		return cmp.Or(cmp.Compare(a.timeMs, b.timeMs), cmp.Compare(a.page, b.page), cmp.Compare(a.at, b.at))
	}
	if !slices.IsSortedFunc(s.refs, order) {
		slices.SortFunc(s.refs, order)
	}
}

// bytes gives a row in memory as it is written.
func (s *Sorter) bytes(r ref) []byte { return s.pages[r.page][r.at:] }

// spill writes the rows in memory as one sorted run.
func (s *Sorter) spill() error {
	if len(s.runs) >= maxRuns {
		if err := s.compact(); err != nil {
			return err
		}
	}
	s.sortRows()
	if err := s.writeRun(func(w *bufio.Writer) error {
		for _, r := range s.refs {
			text := s.bytes(r)
			_, _ = w.Write(text[:rowBytes(text)]) // a bufio.Writer keeps its first error
		}
		return nil
	}); err != nil {
		return err
	}
	for _, page := range s.pages {
		if cap(page) == pageBytes {
			s.free = append(s.free, page[:0])
		}
	}
	s.pages, s.refs, s.heldBytes = s.pages[:0], s.refs[:0], 0
	return nil
}

// compact merges all runs into one, which keeps the place of the first.
func (s *Sorter) compact() error {
	old := s.runs
	s.runs = nil
	if err := s.writeRun(func(w *bufio.Writer) error {
		return mergeRuns(old, nil, func(text []byte) error {
			_, err := w.Write(text)
			return err
		})
	}); err != nil {
		s.runs = append(old, s.runs...)
		return err
	}
	return closeRuns(old)
}

// writeRun makes a file that has no name any more, so that no crash leaves it
// behind.
func (s *Sorter) writeRun(fill func(w *bufio.Writer) error) error {
	f, err := os.CreateTemp(s.dir, "daybook-replay-*.run")
	if err != nil {
		return fmt.Errorf("sort on disk: %w", err)
	}
	s.runs = append(s.runs, f)
	if err := os.Remove(f.Name()); err != nil {
		return fmt.Errorf("sort on disk: %w", err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	if err := fill(w); err != nil {
		return fmt.Errorf("sort on disk: %w", err)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("sort on disk: %w", err)
	}
	return nil
}

// Each gives every row in order, once; its bytes are valid until yield returns.
func (s *Sorter) Each(yield func(*Row) error) error {
	s.sortRows()
	var row Row
	return mergeRuns(s.runs, s, func(text []byte) error {
		if err := s.readRow(text, &row); err != nil {
			return err
		}
		return yield(&row)
	})
}

// Close gives the disk back.
func (s *Sorter) Close() error { return closeRuns(s.runs) }

func closeRuns(runs []*os.File) error {
	var all []error
	for _, f := range runs {
		all = append(all, f.Close())
	}
	return errors.Join(all...)
}

// mergeRuns merges sorted runs and the rows that are still in memory, which
// are the last ones of the input. It hands on rows as they are written.
func mergeRuns(runs []*os.File, memory *Sorter, yield func(text []byte) error) error {
	var h cursors
	for i, f := range runs {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("merge runs: %w", err)
		}
		// 64 KiB for each of at most maxRuns: 16 MiB.
		h = append(h, &cursor{order: i, r: bufio.NewReaderSize(f, 64<<10)})
	}
	if memory != nil {
		h = append(h, &cursor{order: len(runs), memory: memory})
	}
	live := h[:0]
	for _, c := range h {
		if err := c.advance(); err == nil {
			live = append(live, c)
		} else if !errors.Is(err, io.EOF) {
			return fmt.Errorf("merge runs: %w", err)
		}
	}
	h = live
	heap.Init(&h)
	for len(h) > 0 {
		if err := yield(h[0].text); err != nil {
			return err
		}
		switch err := h[0].advance(); {
		case err == nil:
			heap.Fix(&h, 0)
		case errors.Is(err, io.EOF):
			heap.Pop(&h)
		default:
			return fmt.Errorf("merge runs: %w", err)
		}
	}
	return nil
}

// cursor walks one run. The order of runs is the order of the input, so it
// decides between equal times.
type cursor struct {
	order  int
	timeMs int64
	text   []byte // the row as it is written; valid until the next advance

	r      *bufio.Reader
	buf    []byte
	memory *Sorter // instead of r
	next   int     // of memory.refs
}

func (c *cursor) advance() error {
	if c.r != nil {
		return c.read()
	}
	if c.next == len(c.memory.refs) {
		return io.EOF
	}
	at := c.memory.refs[c.next]
	c.next++
	text := c.memory.bytes(at)
	c.timeMs, c.text = at.timeMs, text[:rowBytes(text)]
	return nil
}

func (c *cursor) read() error {
	if cap(c.buf) < rowHead {
		c.buf = make([]byte, rowHead, 4<<10)
	}
	if _, err := io.ReadFull(c.r, c.buf[:rowHead]); err != nil {
		return err // io.EOF between rows, io.ErrUnexpectedEOF inside one
	}
	size := rowBytes(c.buf[:rowHead])
	c.buf = slices.Grow(c.buf[:rowHead], size-rowHead)[:size]
	if _, err := io.ReadFull(c.r, c.buf[rowHead:]); err != nil {
		return truncated(err)
	}
	c.timeMs, c.text = rowTime(c.buf), c.buf
	return nil
}

type cursors []*cursor

func (h *cursors) Len() int { return len(*h) }
func (h *cursors) Less(i, j int) bool {
	a, b := (*h)[i], (*h)[j]
	if a.timeMs != b.timeMs {
		return a.timeMs < b.timeMs
	}
	return a.order < b.order
}
func (h *cursors) Swap(i, j int) { (*h)[i], (*h)[j] = (*h)[j], (*h)[i] }

// Push is for container/heap only.
func (h *cursors) Push(x any) { *h = append(*h, x.(*cursor)) }

// Pop is for container/heap only.
func (h *cursors) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// A row as it is written: its size in bytes and its time, both of fixed width,
// then line, number of its file, and three texts, each behind its length.
const rowHead = 4 + 8

func rowBytes(text []byte) int  { return int(binary.LittleEndian.Uint32(text)) }
func rowTime(text []byte) int64 { return int64(binary.LittleEndian.Uint64(text[4:])) }

func (s *Sorter) appendRow(b []byte, row *Row) []byte {
	from := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(row.TimeMs))
	b = binary.AppendUvarint(b, row.Line)
	b = binary.AppendUvarint(b, uint64(s.file(row.File)))
	b = binary.AppendUvarint(b, uint64(len(row.Key)))
	b = append(b, row.Key...)
	b = binary.AppendUvarint(b, uint64(len(row.Value)))
	b = append(b, row.Value...)
	b = binary.AppendUvarint(b, uint64(len(row.Err)))
	b = append(b, row.Err...)
	binary.LittleEndian.PutUint32(b[from:], uint32(len(b)-from))
	return b
}

// file gives the number of a file's name. Rows of one file come one after the
// other.
func (s *Sorter) file(name string) int {
	if n := len(s.files); n == 0 || s.files[n-1] != name {
		s.files = append(s.files, name)
	}
	return len(s.files) - 1
}

var errDamaged = errors.New("merge runs: a row on disk is damaged")

func (s *Sorter) readRow(text []byte, row *Row) error {
	rest := text[rowHead:]
	number := func() uint64 {
		v, n := binary.Uvarint(rest)
		rest = rest[max(n, 0):]
		return v
	}
	bytes := func() []byte {
		n := min(number(), uint64(len(rest)))
		field := rest[:n:n]
		rest = rest[n:]
		return field
	}
	*row = Row{TimeMs: rowTime(text), Line: number()}
	file := number()
	row.Key, row.Value, row.Err = bytes(), bytes(), string(bytes())
	if file >= uint64(len(s.files)) || len(rest) > 0 {
		return errDamaged
	}
	row.File = s.files[file]
	return nil
}

// truncated makes an end of file inside a row an error that is not the end.
func truncated(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
