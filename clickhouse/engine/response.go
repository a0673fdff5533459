package engine

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// writeTimeout is how long a client may take for one chunk: a client that
// stopped reading must not hold a turn for ever.
const writeTimeout = 2 * time.Minute

// summary is what a request did, for X-ClickHouse-Summary.
type summary struct {
	readRows, readBytes, writtenRows, writtenBytes, resultRows, resultBytes uint64
}

// response writes one answer: headers once, then chunks through the encodings.
type response struct {
	w       http.ResponseWriter
	control *http.ResponseController
	version string
	start   time.Time
	sum     summary

	tag      string // X-ClickHouse-Exception-Tag
	encoding string // content encoding, "" = none
	frames   string // method of native frames, "" = none
	format   string // set once there is a result
	enc      encoder
}

func (d *door) newResponse(w http.ResponseWriter, r *http.Request) *response {
	tag := hex.EncodeToString(randomBytes(8))
	h := w.Header()
	h.Set("X-ClickHouse-Server-Display-Name", d.displayName)
	h.Set("X-ClickHouse-Timezone", "UTC")
	h.Set("X-ClickHouse-Exception-Tag", tag)
	h.Set("X-Content-Type-Options", "nosniff")
	return &response{w: w, control: http.NewResponseController(w), version: d.version, start: d.now(), tag: tag, encoding: chooseEncoding(r.Header.Get("Accept-Encoding"))}
}

// prepare settles the encodings, once the parameters are known.
func (p *response) prepare(req *request) {
	method := "LZ4"
	for _, s := range req.settings {
		switch s.name {
		case "enable_http_compression":
			if !truth(s.value) {
				p.encoding = ""
			}
		case "network_compression_method":
			method = s.value
		}
	}
	if req.compress {
		p.encoding, p.frames = "", method
	}
}

// begin sends the headers of a good answer with a result in format, "" for
// none. size is the body's length if it goes out as it is, else negative.
func (p *response) begin(format string, size int) {
	h := p.w.Header()
	p.format = format
	if format != "" {
		h.Set("X-ClickHouse-Format", format)
		h.Set("Content-Type", contentType(format))
	} else {
		h.Set("Content-Type", "text/plain; charset=UTF-8")
	}
	if size == 0 {
		p.encoding, p.frames = "", ""
	}
	switch {
	case p.encoding != "":
		h.Set("Content-Encoding", p.encoding)
	case p.frames == "" && size >= 0:
		h.Set("Content-Length", strconv.Itoa(size))
	}
	h.Set("X-ClickHouse-Summary", p.sum.json(time.Since(p.start)))
	if p.frames != "" {
		p.enc = newFrameEncoder(p.frames, p.w)
	} else {
		p.enc = newEncoder(p.encoding, p.w)
	}
	p.w.WriteHeader(http.StatusOK)
}

// begun says that the status has gone out.
func (p *response) begun() bool { return p.enc != nil }

// write sends a chunk.
func (p *response) write(b []byte) error {
	if err := p.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	_, err := p.enc.Write(b)
	return err
}

// fail answers with an error: a status if none went out yet, else the exception
// block inside the encodings and a broken connection, so that nobody takes a
// cut result for a whole one.
func (p *response) fail(err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Code: codeUnknownExternal, Text: err.Error()}
	}
	text := p.text(e)
	if p.begun() {
		block := fmt.Sprintf("\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n", p.tag, text, len(text)+1, p.tag)
		if p.enc.exception([]byte(block)) == nil {
			_ = p.control.Flush() // the connection breaks next either way
		}
		panic(http.ErrAbortHandler)
	}
	h := p.w.Header()
	h.Set("X-ClickHouse-Exception-Code", strconv.Itoa(e.Code))
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	if e.status() == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="ClickHouse server HTTP API"`)
	}
	if e.status() == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	h.Set("Content-Length", strconv.Itoa(len(text)+1))
	p.w.WriteHeader(e.status())
	_, _ = p.w.Write([]byte(text + "\n")) // the client may be gone
}

// text is the error as a server prints it; libchdb leaves the version out, or
// puts it before the name.
func (p *response) text(e *Error) string {
	text := strings.ReplaceAll(e.Text, " (version "+p.version+").", "")
	return fmt.Sprintf("Code: %d. DB::Exception: %s (version %s (official build))", e.Code, strings.TrimSpace(text), p.version)
}

// json renders the summary; every value is a string, as the server's are.
func (s summary) json(elapsed time.Duration) string {
	return fmt.Sprintf(`{"read_rows":"%d","read_bytes":"%d","written_rows":"%d","written_bytes":"%d","total_rows_to_read":"0","result_rows":"%d","result_bytes":"%d","elapsed_ns":"%d"}`,
		s.readRows, s.readBytes, s.writtenRows, s.writtenBytes, s.resultRows, s.resultBytes, elapsed.Nanoseconds())
}
