package engine

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
)

// A chunk ends where the body does; one that is broken off says so.
func TestReadChunk_TellsTheEndFromABreak(t *testing.T) {
	boom := errors.New("boom")
	for name, tc := range map[string]struct {
		r    io.Reader
		n    int
		want error
	}{
		"full":                   {strings.NewReader("12345678"), 8, nil},
		"more than full":         {strings.NewReader("123456789"), 8, nil},
		"short":                  {strings.NewReader("123"), 3, io.EOF},
		"empty":                  {strings.NewReader(""), 0, io.EOF},
		"byte by byte":           {iotest.OneByteReader(strings.NewReader("123")), 3, io.EOF},
		"end beside the data":    {iotest.DataErrReader(strings.NewReader("123")), 3, io.EOF},
		"full, end beside it":    {iotest.DataErrReader(strings.NewReader("12345678")), 8, nil},
		"fails":                  {io.MultiReader(strings.NewReader("123"), iotest.ErrReader(boom)), 3, boom},
		"a body that breaks off": {io.MultiReader(strings.NewReader("123"), iotest.ErrReader(io.ErrUnexpectedEOF)), 3, io.ErrUnexpectedEOF},
	} {
		if n, err := readChunk(tc.r, make([]byte, 8)); n != tc.n || !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
			t.Errorf("%s: %d, %v, want %d, %v", name, n, err, tc.n, tc.want)
		}
	}
}

// What net/http says of a body that is shorter than its Content-Length is a break.
func TestReadChunk_OfAShortRequest(t *testing.T) {
	said := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := readChunk(r.Body, make([]byte, 1<<20))
		said <- err
	}))
	defer server.Close()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n1\n2\n"); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-said; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a short body ended with %v, want %v", err, io.ErrUnexpectedEOF)
	}
}
