package engine

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// request is one statement asked for over HTTP, its parameters understood.
type request struct {
	*values

	account account

	database string // "" = the configured one
	format   string // default_format, for a statement without FORMAT
	queryID  string
	readOnly bool // GET and HEAD, or readonly=1: a change is refused

	sessionID      string // "" = none
	sessionTimeout time.Duration
	sessionCheck   bool // the session must exist
	closeSession   bool

	protocol   uint64 // client_protocol_version
	compress   bool   // native frames in the answer
	decompress bool   // native frames in the body
	waitEnd    bool   // wait_end_of_query

	external []externalTable
	text     io.Reader // query parameter, line feed, decoded body
}

// Limits of sessions, as the server's own defaults.
const (
	defaultSessionTimeout = time.Minute
	maxSessionTimeout     = time.Hour
)

// parse reads and authenticates a request. Nothing of the body is read for
// someone without a password, save the fields of a multipart form.
func (d *door) parse(r *http.Request) (*request, error) {
	v, err := parseValues(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	req := &request{values: v, queryID: queryID(r, v)}
	if req.account, err = d.accounts.authenticate(r, v); err != nil {
		return req, err
	}
	body, err := d.body(r)
	if err != nil {
		return req, err
	}
	if kind, attributes, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "multipart/form-data" {
		if req.external, err = readMultipart(body, attributes["boundary"], v); err != nil {
			return req, err
		}
		body = http.NoBody
	}
	if err := req.readControls(r); err != nil {
		return req, err
	}
	if req.decompress {
		body = newFrameReader(body)
	}
	req.text = &limitedReader{r: body, left: d.cfg.MaxBodyBytes}
	if q := v.control["query"]; q != "" {
		req.text = newPrefixed([]byte(q+"\n"), req.text)
	}
	return req, nil
}

// readControls reads the parameters that the HTTP interface itself knows.
func (req *request) readControls(r *http.Request) error {
	c := req.control
	first := func(values ...string) string {
		for _, v := range values {
			if v != "" {
				return v
			}
		}
		return ""
	}
	req.database = first(c["database"], r.Header.Get("X-ClickHouse-Database"))
	req.format = first(c["default_format"], r.Header.Get("X-ClickHouse-Format"))
	req.readOnly = r.Method == http.MethodGet || r.Method == http.MethodHead || truth(c["readonly"]) || c["readonly"] == "2"
	req.compress, req.decompress, req.waitEnd = truth(c["compress"]), truth(c["decompress"]), truth(c["wait_end_of_query"])
	req.sessionID, req.sessionCheck, req.closeSession = c["session_id"], truth(c["session_check"]), truth(c["close_session"])
	req.sessionTimeout = defaultSessionTimeout
	if s := c["session_timeout"]; s != "" {
		seconds, err := strconv.ParseUint(s, 10, 32)
		if err != nil || time.Duration(seconds)*time.Second > maxSessionTimeout {
			return badArgument("Invalid session timeout " + strconv.Quote(s) + ", at most " + maxSessionTimeout.String())
		}
		req.sessionTimeout = time.Duration(seconds) * time.Second
	}
	if s := c["client_protocol_version"]; s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return badArgument("Invalid client_protocol_version " + strconv.Quote(s))
		}
		req.protocol = n
	}
	if role := c["role"]; role != "" && role != string(req.account.role) {
		return &Error{Code: codeSetNotGranted, Text: fmt.Sprintf("Role %s should be granted to set as current. (SET_NON_GRANTED_ROLE)", strconv.Quote(role))}
	}
	return nil
}

// body gives the request's body, bounded and with its encoding undone.
func (d *door) body(r *http.Request) (io.Reader, error) {
	if r.Body == nil || r.ContentLength == 0 {
		return http.NoBody, nil
	}
	return decodeBody(r.Header.Get("Content-Encoding"), r.Body)
}

// queryID is the client's name for the statement, or a random one.
func queryID(r *http.Request, v *values) string {
	for _, id := range []string{v.control["query_id"], r.Header.Get("X-ClickHouse-Query-Id")} {
		if id != "" && len(id) <= 256 {
			return id
		}
	}
	b := randomBytes(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // UUID version 4
	s := hex.EncodeToString(b)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// errBodyTooLarge ends a body above MaxBodyBytes.
var errBodyTooLarge = &Error{Code: codeQueryIsTooLarge, Text: "The request body is too large. (QUERY_IS_TOO_LARGE)"}

// limitedReader fails, instead of ending, above its limit: rows cut off there
// would pass for a whole INSERT.
type limitedReader struct {
	r    io.Reader
	left int64
}

func (l *limitedReader) Read(b []byte) (int, error) {
	if l.left < 0 {
		return 0, errBodyTooLarge
	}
	n, err := l.r.Read(b[:min(int64(len(b)), l.left+1)])
	if l.left -= int64(n); l.left < 0 {
		return 0, errBodyTooLarge
	}
	// A body cut short (io.ErrUnexpectedEOF) must not look like its end.
	var known *Error
	if err != nil && !errors.Is(err, io.EOF) && !errors.As(err, &known) {
		err = encodingError(err)
	}
	return n, err
}
