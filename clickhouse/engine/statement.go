package engine

import (
	"errors"
	"fmt"
	"io"
)

// statement is what a request asks for: SQL text, and for an INSERT with rows
// the text's head and the stream of rows behind it.
type statement struct {
	text   []byte    // whole statement, or the INSERT without its FORMAT or VALUES clause
	format string    // of the rows that follow; "" = not an INSERT with rows
	rows   io.Reader // unread rows of an INSERT
}

// isInsert tells an INSERT that carries rows from every other statement.
func (s *statement) isInsert() bool { return s.format != "" }

// readStatement takes the statement off the front of in. Rows of an INSERT stay
// unread, so that any number of them passes in constant memory; every other
// text must fit into limit bytes.
func readStatement(in io.Reader, limit int) (*statement, error) {
	buf := make([]byte, 0, 4096)
	for {
		n, err := fill(in, &buf, limit+1)
		atEnd := errors.Is(err, io.EOF)
		if err != nil && !atEnd {
			return nil, err
		}
		head, scanErr := scanInsert(buf, atEnd)
		if scanErr != nil {
			return nil, scanErr
		}
		switch {
		case head.verdict == insertRows:
			rest := newPrefixed(buf[head.rowsAt:], in)
			return &statement{text: head.text, format: head.format, rows: rest}, nil
		case atEnd:
			if len(buf) > limit {
				return nil, tooLarge(limit)
			}
			return &statement{text: trimStatement(buf)}, nil
		case len(buf) > limit:
			return nil, tooLarge(limit)
		case n == 0:
			return nil, io.ErrNoProgress
		}
	}
}

func tooLarge(limit int) error {
	return &Error{Code: codeSyntaxError, Text: fmt.Sprintf("Max query size exceeded: the statement has more than %d bytes before its rows. (SYNTAX_ERROR)", limit)}
}

// fill reads what is there, until the buffer has doubled, reached limit, or the
// input ended (io.EOF).
func fill(in io.Reader, buf *[]byte, limit int) (int, error) {
	want := min(max(4096, 2*len(*buf)), limit)
	if cap(*buf) < want {
		grown := make([]byte, len(*buf), want)
		copy(grown, *buf)
		*buf = grown
	}
	total := 0
	for len(*buf) < want {
		n, err := in.Read((*buf)[len(*buf):want])
		*buf = (*buf)[:len(*buf)+n]
		total += n
		if err != nil {
			return total, err
		}
		if n > 0 && len(*buf) < want {
			// A small INSERT head must not wait for rows that its sender
			// sends only later.
			return total, nil
		}
	}
	return total, nil
}

// trimStatement drops blanks and semicolons behind a statement: the streaming
// call refuses them as a second, empty statement.
func trimStatement(text []byte) []byte {
	for len(text) > 0 {
		if b := text[len(text)-1]; b > ' ' && b != ';' {
			break
		}
		text = text[:len(text)-1]
	}
	return text
}

// prefixed gives back bytes that were read too far, then the rest.
type prefixed struct {
	front []byte
	rest  io.Reader
}

func newPrefixed(front []byte, rest io.Reader) io.Reader { return &prefixed{front, rest} }

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.front) > 0 {
		n := copy(b, p.front)
		p.front = p.front[n:]
		return n, nil
	}
	return p.rest.Read(b)
}
