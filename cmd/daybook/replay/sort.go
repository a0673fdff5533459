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
// input. What does not fit memoryBytes goes to disk in sorted runs, which are
// merged at the end: history of any size, constant memory.
type Sorter struct {
	dir         string // of the runs; "" is the system's
	memoryBytes int64
	rows        []Row
	heldBytes   int64
	runs        []*os.File
	total       int64
}

// rowOverheadBytes is what a row costs beside its bytes: the struct with its
// three slice and string headers, and the allocator's rounding. Not measured.
const rowOverheadBytes = 200

// maxRuns bounds the open files of a merge. With the default memory of 256 MB
// this is 64 GB of rows; a smaller budget compacts the runs into one.
const maxRuns = 256

// NewSorter sorts with at most about memoryBytes of rows in memory.
func NewSorter(dir string, memoryBytes int64) *Sorter {
	return &Sorter{dir: dir, memoryBytes: memoryBytes}
}

// Len is the number of rows that were added.
func (s *Sorter) Len() int64 { return s.total }

// Add takes a row.
func (s *Sorter) Add(row Row) error {
	s.rows = append(s.rows, row)
	s.total++
	s.heldBytes += int64(len(row.Key)+len(row.Value)+len(row.Err)) + rowOverheadBytes
	if s.heldBytes < s.memoryBytes {
		return nil
	}
	return s.spill()
}

// sortRows is stable: rows of one instant stay in the order of the input.
func (s *Sorter) sortRows() {
	slices.SortStableFunc(s.rows, func(a, b Row) int { return cmp.Compare(a.TimeMs, b.TimeMs) })
}

// spill writes the rows in memory as one sorted run.
func (s *Sorter) spill() error {
	if len(s.runs) >= maxRuns {
		if err := s.compact(); err != nil {
			return err
		}
	}
	s.sortRows()
	if err := s.writeRun(func(put func(Row) error) error {
		for _, row := range s.rows {
			if err := put(row); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	clear(s.rows)
	s.rows, s.heldBytes = s.rows[:0], 0
	return nil
}

// compact merges all runs into one, which keeps the place of the first.
func (s *Sorter) compact() error {
	old := s.runs
	s.runs = nil
	if err := s.writeRun(func(put func(Row) error) error { return mergeRuns(old, nil, put) }); err != nil {
		s.runs = append(old, s.runs...)
		return err
	}
	return closeRuns(old)
}

// writeRun makes a file that has no name any more, so that no crash leaves it
// behind.
func (s *Sorter) writeRun(fill func(put func(Row) error) error) error {
	f, err := os.CreateTemp(s.dir, "daybook-replay-*.run")
	if err != nil {
		return fmt.Errorf("sort on disk: %w", err)
	}
	s.runs = append(s.runs, f)
	if err := os.Remove(f.Name()); err != nil {
		return fmt.Errorf("sort on disk: %w", err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	var buf []byte
	if err := fill(func(row Row) error {
		buf = appendRow(buf[:0], &row)
		_, err := w.Write(buf)
		return err
	}); err != nil {
		return fmt.Errorf("sort on disk: %w", err)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("sort on disk: %w", err)
	}
	return nil
}

// Each gives every row in order, once.
func (s *Sorter) Each(yield func(Row) error) error {
	s.sortRows()
	return mergeRuns(s.runs, s.rows, yield)
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
// are the last ones of the input.
func mergeRuns(runs []*os.File, memory []Row, yield func(Row) error) error {
	var h cursors
	for i, f := range runs {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("merge runs: %w", err)
		}
		// 64 KiB for each of at most maxRuns: 16 MiB.
		h = append(h, &cursor{order: i, r: bufio.NewReaderSize(f, 64<<10)})
	}
	h = append(h, &cursor{order: len(runs), memory: memory})
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
		if err := yield(h[0].row); err != nil {
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
	r      *bufio.Reader
	memory []Row
	row    Row
}

func (c *cursor) advance() (err error) {
	if c.r == nil {
		if len(c.memory) == 0 {
			return io.EOF
		}
		c.row, c.memory = c.memory[0], c.memory[1:]
		return nil
	}
	c.row, err = readRow(c.r)
	return err
}

type cursors []*cursor

func (h *cursors) Len() int { return len(*h) }
func (h *cursors) Less(i, j int) bool {
	a, b := (*h)[i], (*h)[j]
	if a.row.TimeMs != b.row.TimeMs {
		return a.row.TimeMs < b.row.TimeMs
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

// appendRow writes a row for a run: two integers, then four texts, each behind
// its length.
func appendRow(b []byte, row *Row) []byte {
	b = binary.AppendVarint(b, row.TimeMs)
	b = binary.AppendUvarint(b, row.Line)
	for _, text := range [][]byte{row.Key, row.Value, []byte(row.File), []byte(row.Err)} {
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	return b
}

func readRow(r *bufio.Reader) (row Row, err error) {
	if row.TimeMs, err = binary.ReadVarint(r); err != nil {
		return row, err
	}
	if row.Line, err = binary.ReadUvarint(r); err != nil {
		return row, truncated(err)
	}
	var texts [4][]byte
	for i := range texts {
		n, err := binary.ReadUvarint(r)
		if err != nil {
			return row, truncated(err)
		}
		texts[i] = make([]byte, n)
		if _, err := io.ReadFull(r, texts[i]); err != nil {
			return row, truncated(err)
		}
	}
	row.Key, row.Value, row.File, row.Err = texts[0], texts[1], string(texts[2]), string(texts[3])
	return row, nil
}

// truncated makes an end of file inside a row an error that is not the end.
func truncated(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
