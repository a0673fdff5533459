package engine

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
)

// The bytes that clickhouse-go 2.50 must get for its first statement. Another
// version of it that asks for another revision fails here first, not at Open.
func TestHello_IsTheBlockThatClickhouseGoReads(t *testing.T) {
	want := []byte("\x01\x00\x02\xff\xff\xff\xff\x00" + "\x04\x01" +
		"\x0ddisplayName()\x06String\x00\x04host" +
		"\x09version()\x06String\x00\x0826.7.2.1" +
		"\x0arevision()\x06UInt32\x00\x00\x00\x00\x00" +
		"\x0atimezone()\x06String\x00\x03UTC")
	got := helloBlock(54460, "host", "26.7.2.1")
	if !bytes.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	// Before revision 54454 a column has no serialization byte.
	if old := helloBlock(54453, "host", "26.7.2.1"); len(old) != len(want)-4 {
		t.Errorf("at revision 54453: %q", old)
	}
	var name, version, zone proto.ColStr
	var revision proto.ColUInt32
	results := proto.Results{{Name: "displayName()", Data: &name}, {Name: "version()", Data: &version}, {Name: "revision()", Data: &revision}, {Name: "timezone()", Data: &zone}}
	var block proto.Block
	if err := block.DecodeBlock(proto.NewReader(bytes.NewReader(got)), 54460, results); err != nil {
		t.Fatal(err)
	}
	if name.Row(0) != "host" || version.Row(0) != "26.7.2.1" || revision.Row(0) != 0 || zone.Row(0) != "UTC" {
		t.Errorf("decoded %q %q %d %q", name.Row(0), version.Row(0), revision.Row(0), zone.Row(0))
	}
}

func TestHello_IsToldFromEveryOtherStatement(t *testing.T) {
	hello := []byte("SELECT displayName(), version(), revision(), timezone()")
	for _, test := range []struct {
		protocol uint64
		format   string
		text     []byte
		want     bool
	}{
		{54460, "Native", hello, true},
		{54460, "Native", append(append([]byte("\n "), hello...), '\n'), true},
		{0, "Native", hello, false},
		{54460, "JSON", hello, false},
		{54460, "Native", append(bytes.Clone(hello), " FROM t"...), false},
		{54405, "Native", []byte("SELECT 1 AS check"), false},
	} {
		if got := isHello(&request{protocol: test.protocol, format: test.format}, test.text); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

func TestBinaryHeader_StopsAtDamage(t *testing.T) {
	good := []byte{2, 1, 'a', 1, 'b', 3, 'I', 'n', 't', 2, 'U', '8', 9, 9}
	if n := headerSize(binaryHeader, 2, good); n != 12 {
		t.Errorf("size %d", n)
	}
	for i := range 12 {
		if n := headerSize(binaryHeader, 2, good[:i]); n != 0 {
			t.Errorf("cut at %d: size %d", i, n)
		}
	}
	if n := headerSize(binaryHeader, 2, binary.AppendUvarint(nil, 1<<63)); n != 0 {
		t.Errorf("absurd count: size %d", n)
	}
}
