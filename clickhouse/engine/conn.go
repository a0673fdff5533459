package engine

import (
	"errors"
	"runtime"
	"slices"
	"unsafe"
)

// Statement classes of chdb_classify_query_n.
const (
	classRead    = 0 // SELECT, SHOW, DESCRIBE, EXPLAIN, EXISTS, CHECK
	classControl = 3 // SET, USE, SYSTEM, KILL, INTO OUTFILE, INSERT INTO FUNCTION, temporary tables
	classUnknown = 4 // does not parse
)

// conn is one connection to the engine: a session with its own settings,
// current database and temporary tables. It runs one statement at a time and
// has one owner at a time, the request that took it from the pool.
type conn struct {
	api *capi
	ptr unsafe.Pointer // what chdb_connect returned: a pointer to the handle
	// id marks this connection's statements in system.processes (as their
	// log_comment), the only name by which they can be cancelled.
	id       string
	database string // current database, "" while unknown
	// settings are those of the request, or of the last one (settings.go).
	settings []setting
	// spoiled says that the session's state is no longer what the pool gave
	// out (SET, USE, a temporary table): close it instead of pooling it.
	spoiled bool
	// broken says that a statement of this connection was cancelled. Until it
	// is closed it keeps that statement listed and its tables in use, so that a
	// DROP ... SYNC elsewhere waits for ever. Not even a session survives it.
	broken bool
}

// param is a value for a {name:Type} placeholder, in the escaped TSV form of
// the HTTP interface.
type param struct{ name, value string }

// openConn connects with argv, which the first connection of a process
// consumes whole and later ones only in part.
func (api *capi) openConn(argv []string, id string) (*conn, error) {
	texts := make([][]byte, len(argv))
	ptrs := make([]unsafe.Pointer, len(argv)+1)
	for i, a := range argv {
		texts[i] = append([]byte(a), 0)
		ptrs[i] = unsafe.Pointer(&texts[i][0])
	}
	ptr := api.connect(int32(len(argv)), unsafe.Pointer(&ptrs[0]))
	runtime.KeepAlive(texts)
	if ptr == nil || *(*unsafe.Pointer)(ptr) == nil {
		return nil, errors.New("connect engine: refused, see the engine's own line above")
	}
	return &conn{api: api, ptr: ptr, id: id}, nil
}

func (c *conn) handle() unsafe.Pointer { return *(*unsafe.Pointer)(c.ptr) }

// close ends the session. It waits for a running statement.
func (c *conn) close() {
	if c.ptr != nil {
		c.api.closeConn(c.ptr)
		c.ptr = nil
	}
}

// call runs one of the three statement functions with Go memory pinned for the
// length of the call.
func (c *conn) call(f statementFunc, text []byte, format string, params []param) unsafe.Pointer {
	n := len(params)
	keep := make([][]byte, 0, 2*n+2)
	bytesOf := func(s []byte) unsafe.Pointer {
		s = append(slices.Clip(s), 0) // never empty, so that it has an address
		keep = append(keep, s)
		return unsafe.Pointer(&s[0])
	}
	names, values := make([]unsafe.Pointer, n+1), make([]unsafe.Pointer, n+1)
	nameLens, valueLens := make([]uintptr, n+1), make([]uintptr, n+1)
	for i, p := range params {
		names[i], nameLens[i] = bytesOf([]byte(p.name)), uintptr(len(p.name))
		values[i], valueLens[i] = bytesOf([]byte(p.value)), uintptr(len(p.value))
	}
	r := f(c.handle(), bytesOf(text), uintptr(len(text)), bytesOf([]byte(format)), uintptr(len(format)),
		unsafe.Pointer(&names[0]), unsafe.Pointer(&nameLens[0]), unsafe.Pointer(&values[0]), unsafe.Pointer(&valueLens[0]), uintptr(n))
	runtime.KeepAlive(keep)
	runtime.KeepAlive(names)
	runtime.KeepAlive(values)
	runtime.KeepAlive(nameLens)
	runtime.KeepAlive(valueLens)
	return r
}

// query runs one statement and holds its whole result in the engine's memory
// until the result is closed.
func (c *conn) query(text []byte, format string, params []param) (*result, error) {
	return c.api.newResult(c.call(c.api.query, text, format, params))
}

// exec runs a statement whose result nobody reads.
func (c *conn) exec(text string) error {
	r, err := c.query([]byte(text), "Null", nil)
	r.close()
	return err
}

// text runs a statement of the door's own and returns its result as TabSeparated.
func (c *conn) text(statement string) (string, error) {
	r, err := c.query([]byte(statement), "TabSeparatedRaw", nil)
	if err != nil {
		return "", err
	}
	defer r.close()
	return string(r.bytes()), nil
}

// classify parses without running: how many statements, of which class.
func (c *conn) classify(text []byte) (count, class int) {
	var out struct{ size, count, flags, class uint32 }
	out.size = uint32(unsafe.Sizeof(out))
	text = append(slices.Clip(text), 0)
	state := c.api.classify(c.handle(), unsafe.Pointer(&text[0]), uintptr(len(text)-1), nil, 0, unsafe.Pointer(&out))
	runtime.KeepAlive(text)
	if state != 0 {
		return 0, classUnknown
	}
	return int(out.count), int(out.class)
}

// stream starts a SELECT whose result comes in chunks. The connection takes no
// other statement until the stream is closed: the engine would silently drop
// the stream.
func (c *conn) stream(text []byte, format string, params []param) (*stream, error) {
	ptr := c.call(c.api.streamQuery, text, format, params)
	if _, err := c.api.newResult(ptr); err != nil {
		return nil, err
	}
	return &stream{c: c, ptr: ptr}, nil
}

// stream is a running SELECT.
type stream struct {
	c     *conn
	ptr   unsafe.Pointer
	ended bool // its last chunk was given
}

// next gives the next chunk, nil at the end.
func (s *stream) next() (*result, error) {
	r, err := s.c.api.newResult(s.c.api.streamFetch(s.c.handle(), s.ptr))
	if err != nil {
		return nil, err
	}
	if r.size() == 0 {
		s.ended = true
		r.close()
		return nil, nil //nolint:nilnil // the end is no error, and no chunk
	}
	return r, nil
}

// close cancels what still runs and gives the memory back. A stream that failed
// is cancelled too: after a KILL its fetch may return the error while the query
// runs on, for ever, with nobody left to stop it.
func (s *stream) close() {
	if !s.ended {
		s.c.broken = true
		s.c.api.streamCancel(s.c.handle(), s.ptr)
	}
	s.c.api.destroy(s.ptr)
}

// insert starts an INSERT: the text without FORMAT or VALUES clause, the format
// of the rows that follow.
func (c *conn) insert(text []byte, format string, params []param) (*insertStream, error) {
	s := &insertStream{c: c, api: c.api, ptr: c.call(c.api.insert, text, format, params)}
	if err := s.err(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// insertStream is a running INSERT.
type insertStream struct {
	c   *conn
	api *capi
	ptr unsafe.Pointer
}

// append hands over a chunk; the engine copies it and may block.
func (s *insertStream) append(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	state := s.api.insertAppend(s.ptr, unsafe.Pointer(&b[0]), uintptr(len(b)))
	runtime.KeepAlive(b)
	if state == 0 {
		return nil
	}
	if err := s.err(); err != nil {
		return err
	}
	return &Error{Code: codeLogicalError, Text: "the insert ended before its last chunk"}
}

// done commits. Rows are visible and durable when it returns without error.
func (s *insertStream) done() (*result, error) { return s.api.newResult(s.api.insertDone(s.ptr)) }

// cancel drops what was not yet written.
func (s *insertStream) cancel() {
	s.c.broken = true
	s.api.insertCancel(s.ptr)
}

func (s *insertStream) close() { s.api.insertDestroy(s.ptr) }

func (s *insertStream) err() error { return parseError(s.api.insertError(s.ptr)) }

// result is an answer, or a chunk of one, in the engine's memory.
type result struct {
	api *capi
	ptr unsafe.Pointer
}

// newResult wraps a handle, or frees it and returns the error that it carries.
func (api *capi) newResult(ptr unsafe.Pointer) (*result, error) {
	if ptr == nil {
		return nil, &Error{Code: codeLogicalError, Text: "the engine gave no result"}
	}
	if err := parseError(api.resultError(ptr)); err != nil {
		api.destroy(ptr)
		return nil, err
	}
	return &result{api: api, ptr: ptr}, nil
}

func (r *result) size() int { return int(r.api.length(r.ptr)) }

// bytes aliases the engine's memory: valid until close.
func (r *result) bytes() []byte {
	n := r.size()
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(r.api.buffer(r.ptr)), n)
}

func (r *result) close() {
	if r != nil && r.ptr != nil {
		r.api.destroy(r.ptr)
		r.ptr = nil
	}
}

// add counts this result into the summary of a request.
func (r *result) add(s *summary) {
	s.resultRows += r.api.rows(r.ptr)
	s.resultBytes += r.api.bytes(r.ptr)
	s.readRows = max(s.readRows, r.api.storageRows(r.ptr))
	s.readBytes = max(s.readBytes, r.api.storageBytes(r.ptr))
	s.writtenRows += r.api.rowsWritten(r.ptr)
	s.writtenBytes += r.api.bytesWritten(r.ptr)
}
