package engine

import (
	"encoding/binary"
	"regexp"
	"strings"
)

// helloText is the first statement of every clickhouse-go connection.
var helloText = regexp.MustCompile(`(?i)^\s*SELECT\s+displayName\(\)\s*,\s*version\(\)\s*,\s*revision\(\)\s*,\s*timezone\(\)\s*$`)

// isHello tells the statement that has to be answered at the client's own
// protocol revision.
func isHello(req *request, text []byte) bool {
	return req.protocol > 0 && strings.EqualFold(req.format, "Native") && len(text) < 200 && helloText.Match(text)
}

// helloBlock answers the hello in Native at the asked revision and names
// revision 0 as the server's, because that is what the engine's Native is. From
// then on the client decodes plain blocks.
func helloBlock(revision uint64, displayName, version string) []byte {
	const customSerialization = 54454 // first revision with a byte per column for it
	var b []byte
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	column := func(name, kind string) {
		text(name)
		text(kind)
		if revision >= customSerialization {
			b = append(b, 0)
		}
	}
	// Block info: overflows = 0 (field 1), bucket = -1 (field 2), end.
	b = append(b, 1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0)
	b = append(b, 4, 1) // columns, rows
	column("displayName()", "String")
	text(displayName)
	column("version()", "String")
	text(version)
	column("revision()", "UInt32")
	b = append(b, 0, 0, 0, 0)
	column("timezone()", "String")
	text("UTC")
	return b
}
