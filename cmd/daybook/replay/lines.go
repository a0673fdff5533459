package replay

import (
	"bufio"
	"errors"
	"io"

	"daybook/schemas"
)

// Limits of one line.
const (
	// maxLineBytes is the longest line that is kept whole. It is above the
	// contract's limit of an event, so that a line just over it reaches the
	// worker and is named too_large, and below the broker's default
	// message.max.bytes (1,048,588) with its headers.
	maxLineBytes = schemas.MaxEventBytes + 24_000
	// cutLineBytes is what is kept of a longer one: as much as a reject keeps.
	cutLineBytes = 64 << 10
)

// line is one physical line without its line break. Text is valid until the
// next read.
type line struct {
	text    []byte
	number  uint64 // 1-based
	length  int64  // before a cut; > len(text) if the line was cut
	problem string // why it is no record, in a format whose records may span lines
}

func (l *line) cut() bool { return l.length > int64(len(l.text)) }

// lineReader reads lines of any length in bounded memory: of a line longer
// than maxLineBytes it keeps the start. Blank lines in the middle of a file
// are lines (they end as rejects), blank ones at its end are not.
type lineReader struct {
	r       *bufio.Reader
	buf     []byte // of a line that is longer than the reader's memory
	number  uint64
	blanks  int    // blank lines read and not yet given
	pending line   // the line after them, if there is one
	held    bool   // there is one
	blankAt uint64 // number of the next blank to give
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, batchBytes)}
}

// waits says that the next line is not in memory.
func (lr *lineReader) waits() bool { return lr.blanks == 0 && !lr.held && lr.r.Buffered() == 0 }

// next gives the next line, or io.EOF.
func (lr *lineReader) next() (line, error) {
	if lr.blanks > 0 {
		lr.blanks--
		lr.blankAt++
		return line{number: lr.blankAt - 1}, nil
	}
	if lr.held {
		lr.held = false
		return lr.pending, nil
	}
	first := lr.number + 1
	for blanks := 0; ; blanks++ {
		l, err := lr.read()
		if err != nil {
			return line{}, err // blanks before the end of file are forgotten
		}
		if !blank(l.text) {
			if blanks == 0 {
				return l, nil
			}
			lr.blanks, lr.blankAt, lr.pending, lr.held = blanks, first, l, true
			return lr.next()
		}
	}
}

// read reads one physical line. Most lie in the reader's memory as a whole and
// are not copied.
func (lr *lineReader) read() (line, error) {
	part, err := lr.r.ReadSlice('\n')
	if err == nil && len(part) <= maxLineBytes {
		return lr.finish(part, int64(len(part))), nil
	}
	lr.buf = lr.buf[:0]
	var length int64
	for ; ; part, err = lr.r.ReadSlice('\n') {
		length += int64(len(part))
		if room := maxLineBytes + 2 - len(lr.buf); room > 0 {
			lr.buf = append(lr.buf, part[:min(room, len(part))]...)
		}
		switch {
		case err == nil && length > int64(len(lr.buf)):
			return lr.finish(lr.buf, length-1), nil // of a cut line the break is not in buf
		case err == nil:
			return lr.finish(lr.buf, length), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && length > 0:
			return lr.finish(lr.buf, length), nil
		default:
			return line{}, err
		}
	}
}

func (lr *lineReader) finish(text []byte, length int64) line {
	lr.number++
	if length <= int64(len(text)) {
		if n := len(text); n > 0 && text[n-1] == '\n' {
			text, length = text[:n-1], length-1
		}
		if n := len(text); n > 0 && text[n-1] == '\r' {
			text, length = text[:n-1], length-1
		}
	}
	if lr.number == 1 && len(text) >= 3 && string(text[:3]) == "\xef\xbb\xbf" {
		text, length = text[3:], length-3 // byte order mark
	}
	if len(text) > maxLineBytes {
		text = text[:cutLineBytes]
	}
	return line{text: text, number: lr.number, length: length}
}

func blank(text []byte) bool {
	for _, c := range text {
		if c != ' ' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}
