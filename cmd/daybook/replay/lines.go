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
	text   []byte
	number uint64 // 1-based
	length int64  // before a cut; > len(text) if the line was cut
}

func (l *line) cut() bool { return l.length > int64(len(l.text)) }

// lineReader reads lines of any length in bounded memory: of a line longer
// than maxLineBytes it keeps the start. Blank lines in the middle of a file
// are lines (they end as rejects), blank ones at its end are not.
type lineReader struct {
	r       *bufio.Reader
	buf     []byte
	number  uint64
	blanks  int    // blank lines read and not yet given
	pending *line  // the line after them
	blankAt uint64 // number of the next blank to give
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 1<<16)}
}

// next gives the next line, or io.EOF.
func (lr *lineReader) next() (*line, error) {
	if lr.blanks > 0 {
		lr.blanks--
		lr.blankAt++
		return &line{number: lr.blankAt - 1}, nil
	}
	if l := lr.pending; l != nil {
		lr.pending = nil
		return l, nil
	}
	first := lr.number + 1
	for blanks := 0; ; blanks++ {
		l, err := lr.read()
		if err != nil {
			return nil, err // blanks before the end of file are forgotten
		}
		if !blank(l.text) {
			if blanks == 0 {
				return l, nil
			}
			lr.blanks, lr.blankAt, lr.pending = blanks, first, l
			return lr.next()
		}
	}
}

// read reads one physical line.
func (lr *lineReader) read() (*line, error) {
	lr.buf = lr.buf[:0]
	var length int64
	for {
		part, err := lr.r.ReadSlice('\n')
		length += int64(len(part))
		if room := maxLineBytes + 2 - len(lr.buf); room > 0 {
			lr.buf = append(lr.buf, part[:min(room, len(part))]...)
		}
		switch {
		case err == nil && length > int64(len(lr.buf)):
			return lr.finish(length - 1), nil // of a cut line the break is not in buf
		case err == nil:
			return lr.finish(length), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && length > 0:
			return lr.finish(length), nil
		default:
			return nil, err
		}
	}
}

func (lr *lineReader) finish(length int64) *line {
	lr.number++
	text := lr.buf
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
	return &line{text: text, number: lr.number, length: length}
}

func blank(text []byte) bool {
	for _, c := range text {
		if c != ' ' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}
