package engine_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"daybook/clickhouse/engine/enginetest"
)

// codec is one content encoding, from libraries as a client would use them.
type codec struct {
	name   string
	encode func(io.Writer) io.WriteCloser
	decode func(io.Reader) (io.Reader, error)
}

func codecs() []codec {
	return []codec{
		{"gzip", func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }, func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		{"deflate", func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }, func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }},
		{"br", func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) }, func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil }},
		{"lz4", func(w io.Writer) io.WriteCloser { return lz4.NewWriter(w) }, func(r io.Reader) (io.Reader, error) { return lz4.NewReader(r), nil }},
		{
			"zstd", func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z },
			func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
		},
	}
}

func TestDoor_SpeaksEveryContentEncoding(t *testing.T) {
	dsn := enginetest.StartForTest(t)
	good(t, dsn, "CREATE TABLE t (c String, a UInt64) ENGINE = MergeTree ORDER BY a")
	var rows strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&rows, "%d\n", i)
	}
	for _, c := range codecs() {
		var body bytes.Buffer
		w := c.encode(&body)
		if _, err := io.WriteString(w, "INSERT INTO t (a) FORMAT CSV\n"+rows.String()); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if a := ask(t, dsn, "", body.String(), "Content-Encoding", c.name); a.status != http.StatusOK {
			t.Errorf("%s: insert: %s", c.name, a.body)
		}
		good(t, dsn, "ALTER TABLE t UPDATE c = '"+c.name+"' WHERE c = '' SETTINGS mutations_sync = 1")
		a := ask(t, dsn, "", "SELECT a FROM t WHERE c = '"+c.name+"' ORDER BY a FORMAT CSV", "Accept-Encoding", c.name)
		if got := a.header.Get("Content-Encoding"); got != c.name {
			t.Errorf("%s: answered in %q", c.name, got)
			continue
		}
		r, err := c.decode(strings.NewReader(a.body))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if plain, err := io.ReadAll(r); err != nil || string(plain) != rows.String() {
			t.Errorf("%s: %d bytes came back, want %d (%v)", c.name, len(plain), rows.Len(), err)
		}
	}
	a := ask(t, dsn, "enable_http_compression=0", "SELECT 1", "Accept-Encoding", "gzip")
	if a.header.Get("Content-Encoding") != "" || a.body != "1\n" {
		t.Errorf("compression that was switched off: %q", a.body)
	}
	a = ask(t, dsn, "", "SELECT 1", "Accept-Encoding", "br;q=0, x, gzip;q=0.5")
	if got := a.header.Get("Content-Encoding"); got != "gzip" {
		t.Errorf("a refused encoding was chosen: %q", got)
	}
}

func TestDoor_SpeaksNativeFrames(t *testing.T) {
	dsn := enginetest.StartForTest(t)
	good(t, dsn, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	rows := strings.Repeat("7\n", 3_000_000) // several frames each way
	for name, method := range map[string]compress.Method{"LZ4": compress.LZ4, "ZSTD": compress.ZSTD, "NONE": compress.None} {
		w := compress.NewWriter(compress.LevelZero, method)
		var body bytes.Buffer
		for b := []byte(rows); len(b) > 0; b = b[min(len(b), 1<<20):] {
			if err := w.Compress(b[:min(len(b), 1<<20)]); err != nil {
				t.Fatal(err)
			}
			body.Write(w.Data)
		}
		if a := ask(t, dsn, "decompress=1&query=INSERT+INTO+t+FORMAT+TSV", body.String()); a.status != http.StatusOK {
			t.Errorf("%s: insert: %s", name, a.body)
		}
		// The reader of ch-go gives its last block for ever: a door that reads
		// on after the end never stops inserting.
		if got := good(t, dsn, "SELECT count() FROM t"); got != "3000000\n" {
			t.Errorf("%s: %s rows", name, got)
		}
		a := ask(t, dsn, "compress=1&network_compression_method="+name, "SELECT a FROM t FORMAT TSV")
		plain := make([]byte, len(rows))
		if _, err := io.ReadFull(compress.NewReader(strings.NewReader(a.body)), plain); err != nil || string(plain) != rows {
			t.Errorf("%s: rows differ (%v)", name, err)
		}
		good(t, dsn, "TRUNCATE TABLE t")
	}
	a := ask(t, dsn, "decompress=1&query=INSERT+INTO+t+FORMAT+TSV", strings.Repeat("x", 100))
	if a.status == http.StatusOK || a.header.Get("X-ClickHouse-Exception-Code") != "271" {
		t.Errorf("damaged frames: %d %s", a.status, a.body)
	}
}

// brokenBody fails after some rows, as a client does that dies while it sends.
type brokenBody struct{ rows int }

func (b *brokenBody) Read(p []byte) (int, error) {
	if b.rows == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	b.rows--
	return copy(p, "1\n"), nil
}

func TestDoor_InsertsNothingOfABrokenBody(t *testing.T) {
	dsn := enginetest.StartForTest(t)
	good(t, dsn, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	if a, err := tryAsk(dsn, "query=INSERT+INTO+t+FORMAT+CSV", &brokenBody{rows: 1000}); err == nil {
		t.Fatalf("a broken body was answered with %d", a.status)
	}
	var cut bytes.Buffer
	z := gzip.NewWriter(&cut)
	if _, err := io.WriteString(z, strings.Repeat("1\n", 1000)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	a := ask(t, dsn, "query=INSERT+INTO+t+FORMAT+CSV", cut.String()[:cut.Len()-9], "Content-Encoding", "gzip")
	if a.status == http.StatusOK || a.header.Get("X-ClickHouse-Exception-Code") != "271" {
		t.Errorf("a cut gzip body: %d %s", a.status, a.body)
	}
	if got := good(t, dsn, "SELECT count() FROM t"); got != "0\n" {
		t.Errorf("%s rows of broken bodies are visible", got)
	}
}
