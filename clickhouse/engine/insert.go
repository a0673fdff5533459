package engine

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// insertChunk is how much goes to the engine at once; measured with the direct
// inserts of ENGINE.md section 7.
const insertChunk = 1 << 20

// insert streams the rows of an INSERT into the engine. The answer comes when
// they are durable and visible.
func (d *door) insert(c *conn, req *request, st *statement, p *response, r *http.Request) error {
	s, err := c.insert(st.text, st.format, req.params)
	if err != nil {
		return err
	}
	defer s.close()
	if err := d.appendRows(s, st.rows, p); err != nil {
		s.cancel()
		return err
	}
	if err := r.Context().Err(); err != nil {
		s.cancel() // the body ended because its sender went away
		return &Error{Code: codeQueryCancelled, Text: "the client went away. (QUERY_WAS_CANCELLED)"}
	}
	done, err := s.done()
	if err != nil {
		return err
	}
	defer done.close()
	done.add(&p.sum)
	p.begin("", 0)
	return nil
}

// appendRows hands the body over in chunks, each as full as it comes.
func (d *door) appendRows(s *insertStream, rows io.Reader, p *response) error {
	buf := d.chunks.Get().(*[insertChunk]byte)[:] //nolint:forcetypeassert // New makes no other
	defer func() { d.chunks.Put((*[insertChunk]byte)(buf)) }()
	for {
		_ = p.control.SetReadDeadline(time.Now().Add(readTimeout)) // not supported by test recorders only
		n, err := readChunk(rows, buf)
		if appendErr := s.append(buf[:n]); appendErr != nil {
			return appendErr
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return nil
		default:
			return err
		}
	}
}

// readChunk reads until the buffer is full or the reader ends, with the reader's own
// error. io.ReadFull says ErrUnexpectedEOF where the rest is short, which is also
// what a body says that was broken off: its rows would count as whole.
func readChunk(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var more int
		more, err = r.Read(buf[n:])
		n += more
	}
	if n == len(buf) {
		return n, nil // an end is said again
	}
	return n, err
}
