package engine

import (
	"strconv"
)

// spoolBytes is how much of a result wait_end_of_query holds back. A client
// that always sends it (clickhouse-connect) still reads any result in constant
// memory; only errors beyond this point come in mid-stream.
const spoolBytes = 16 << 20

// query runs a statement that carries no rows and answers with its result.
func (d *door) query(c *conn, req *request, st *statement, class int, p *response) error {
	shape := shapeOf(st.text)
	format := shape.format
	if format == "" {
		format = req.format
	}
	if format == "" {
		format = "TabSeparated"
	}
	kind, lists := formatOf(format)
	if class != classRead || !shape.streamable || kind == wholeOnly || wantsExtremes(req) {
		return d.whole(c, req, st, class, format, p)
	}
	return d.streamed(c, req, st, headerCutter{kind: kind, lists: lists}, format, p)
}

func wantsExtremes(req *request) bool {
	for _, s := range req.settings {
		if s.name == "extremes" && s.value != "0" {
			return true
		}
	}
	return false
}

// whole runs a statement whose result cannot be cut into chunks.
func (d *door) whole(c *conn, req *request, st *statement, class int, format string, p *response) error {
	if class == classRead {
		limits := []setting{{"max_result_bytes", strconv.FormatInt(d.cfg.MaxResultBytes, 10)}, {"result_overflow_mode", "throw"}}
		if !names(req.settings, "max_result_bytes") {
			if err := c.useSettings(limits); err != nil {
				return err
			}
		}
	}
	r, err := c.query(st.text, format, req.params)
	if err != nil {
		return err
	}
	defer r.close()
	if int64(r.size()) > d.cfg.MaxResultBytes {
		return &Error{Code: codeTooManyBytes, Text: "Limit for result exceeded: use a format that can be streamed. (TOO_MANY_ROWS_OR_BYTES)"}
	}
	r.add(&p.sum)
	if class != classRead && r.size() == 0 {
		format = ""
	}
	p.begin(format, r.size())
	return p.write(r.bytes())
}

func names(settings []setting, name string) bool {
	for _, s := range settings {
		if s.name == name {
			return true
		}
	}
	return false
}

// streamed sends a SELECT's rows chunk by chunk. The first chunks are held back:
// an early error still gets its status, a small answer its length and summary.
func (d *door) streamed(c *conn, req *request, st *statement, cut headerCutter, format string, p *response) error {
	s, err := c.stream(st.text, format, req.params)
	if err != nil {
		return err
	}
	closed := false
	defer func() {
		if !closed {
			s.close()
		}
	}()
	hold := 0
	if req.waitEnd {
		hold = spoolBytes
	}
	held, ended, err := holdBack(s, &cut, hold, p)
	if err != nil {
		return err
	}
	if len(held) == 0 && cut.kind != plainRows {
		// No row, so no chunk and no header: the whole answer has it.
		s.close()
		closed = true
		return d.whole(c, req, st, classRead, format, p)
	}
	if ended {
		p.begin(format, len(held))
		return p.write(held)
	}
	p.begin(format, -1)
	if err := p.write(held); err != nil {
		return err
	}
	for {
		r, err := s.next()
		if err != nil || r == nil {
			return err
		}
		err = p.write(cut.cut(r.bytes()))
		r.close()
		if err != nil {
			return err
		}
	}
}

// holdBack reads the first chunk, one more to see whether it was the last, and
// then on until more than least bytes are held.
func holdBack(s *stream, cut *headerCutter, least int, p *response) (held []byte, ended bool, err error) {
	for chunks := 0; chunks < 2 || len(held) <= least; chunks++ {
		r, err := s.next()
		if err != nil {
			return nil, false, err
		}
		if r == nil {
			return held, true, nil
		}
		r.add(&p.sum)
		held = append(held, cut.cut(r.bytes())...)
		r.close()
	}
	return held, false, nil
}
