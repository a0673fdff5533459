package engine

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"
)

// No text makes the door panic, hang or lose bytes: what it takes for rows and
// what it takes for the statement are parts of what came in, and the same
// however the input was cut.
func FuzzReadStatement(f *testing.F) {
	for _, s := range []string{
		"INSERT INTO t FORMAT CSV SETTINGS a = 1\n1", "INSERT INTO t VALUES (1)", "INSERT INTO `a``b` ('x\\'') FORMAT x", "SELECT $a$ FORMAT $a$ FORMAT CSV",
		"INSERT INTO t /* x", "INSERT INTO t (SELECT 1", "insert into x.values format TSV\r\n", "INSERT INTO t FORMAT CSV SETTINGS a = 0.5, b", "#! x\nINSERT", "“file”",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, err := readStatement(bytes.NewReader(in), 1<<16)
		cut, cutErr := readStatement(iotest.HalfReader(bytes.NewReader(in)), 1<<16)
		if (err == nil) != (cutErr == nil) {
			t.Fatalf("whole %v, in pieces %v", err, cutErr)
		}
		if err != nil {
			return
		}
		if whole.format != cut.format || !bytes.Equal(whole.text, cut.text) {
			t.Fatalf("whole %q %q, in pieces %q %q", whole.text, whole.format, cut.text, cut.format)
		}
		if whole.isInsert() {
			rows, err := io.ReadAll(whole.rows)
			if err != nil || !bytes.HasSuffix(in, rows) {
				t.Fatalf("rows %q of %q: %v", rows, in, err)
			}
		} else if !bytes.Contains(in, whole.text) {
			t.Fatalf("text %q of %q", whole.text, in)
		}
		shapeOf(whole.text)
		suspiciousTokens(whole.text)
		suspiciousTree(string(whole.text))
		splitTypes(string(whole.text))
	})
}

// No query string makes the door panic, and no name of it becomes SQL unless it
// is a plain word.
func FuzzParseValues(f *testing.F) {
	for _, s := range []string{"query=SELECT+1;&param_a=%27", "a=b&a'=1", "%&=", "session_id=x&max_threads=1;2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		v, err := parseValues(raw)
		if err != nil {
			return
		}
		for _, s := range v.settings {
			for i := range len(s.name) {
				if !isWordByte(s.name[i]) && s.name[i] != '.' {
					t.Fatalf("setting name %q", s.name)
				}
			}
		}
	})
}

// Header measuring never goes beyond its chunk.
func FuzzHeaderSize(f *testing.F) {
	f.Add([]byte("\"a\nb\",c\n1\n"), uint8(1))
	f.Add([]byte{2, 1, 'a', 1, 'b', 9}, uint8(3))
	f.Fuzz(func(t *testing.T, chunk []byte, which uint8) {
		kind := []formatKind{lineHeader, csvHeader, binaryHeader}[which%3]
		if n := headerSize(kind, 1+int(which)%2, chunk); n < 0 || n > len(chunk) {
			t.Fatalf("%d of %d bytes", n, len(chunk))
		}
	})
}
