package engine

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// formatKind says how a format's chunks of one streamed result fit together.
// The engine writes header and footer of the format into every chunk.
type formatKind int

const (
	wholeOnly    formatKind = iota // header and footer, or unknown: cannot be streamed
	plainRows                      // chunks concatenate
	lineHeader                     // 1 or 2 header lines to cut from chunks 2..n
	csvHeader                      // the same, where a quoted name may hold a line feed
	binaryHeader                   // RowBinaryWithNames[AndTypes]
)

// formatOf tells how to stream a format, and of how many lines (or, for binary,
// lists of strings) its header consists.
func formatOf(name string) (kind formatKind, header int) {
	base, lists := strings.ToLower(name), 0
	if b, ok := strings.CutSuffix(base, "withnamesandtypes"); ok {
		base, lists = b, 2
	} else if b, ok := strings.CutSuffix(base, "withnames"); ok {
		base, lists = b, 1
	}
	switch base {
	case "native", "jsoneachrow", "jsonlines", "ndjson", "jsonstringseachrow", "msgpack":
		if lists == 0 {
			return plainRows, 0
		}
	case "csv":
		return pick(lists, csvHeader), lists
	case "tsv", "tabseparated", "jsoncompacteachrow", "jsoncompactstringseachrow":
		return pick(lists, lineHeader), lists
	case "tsvraw", "tabseparatedraw":
		if lists == 0 { // a raw name may hold a line feed, so its header has no sure end
			return plainRows, 0
		}
	case "rowbinary":
		return pick(lists, binaryHeader), lists
	}
	return wholeOnly, 0
}

func pick(lists int, withHeader formatKind) formatKind {
	if lists == 0 {
		return plainRows
	}
	return withHeader
}

// headerCutter removes the repeated header from every chunk but the first.
type headerCutter struct {
	kind   formatKind
	lists  int
	header []byte // of the first chunk, once seen
}

// cut gives the part of the chunk to send; it aliases chunk.
func (h *headerCutter) cut(chunk []byte) []byte {
	if h.kind == plainRows {
		return chunk
	}
	if h.header == nil {
		h.header = bytes.Clone(chunk[:headerSize(h.kind, h.lists, chunk)])
		return chunk
	}
	return bytes.TrimPrefix(chunk, h.header)
}

// headerSize measures the header in front of a chunk.
func headerSize(kind formatKind, lists int, chunk []byte) int {
	if kind == binaryHeader {
		return binaryHeaderSize(lists, chunk)
	}
	quoted := false
	for i, b := range chunk {
		switch b {
		case '"':
			quoted = !quoted && kind == csvHeader
		case '\n':
			if quoted {
				continue
			}
			if lists--; lists == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// binaryHeaderSize walks a column count and that many strings per list.
func binaryHeaderSize(lists int, chunk []byte) int {
	columns, pos := binary.Uvarint(chunk)
	if pos <= 0 || columns > uint64(len(chunk)) {
		return 0
	}
	for range columns * uint64(lists) {
		size, n := binary.Uvarint(chunk[pos:])
		if n <= 0 || size > uint64(len(chunk)-pos-n) {
			return 0
		}
		pos += n + int(size)
	}
	return pos
}

// contentType is the media type that the server gives a format.
func contentType(format string) string {
	f := strings.ToLower(format)
	switch {
	case strings.HasPrefix(f, "csvwithnames"):
		return "text/csv; charset=UTF-8; header=present"
	case f == "csv":
		return "text/csv; charset=UTF-8; header=absent"
	case strings.HasPrefix(f, "tabseparated"), strings.HasPrefix(f, "tsv"):
		return "text/tab-separated-values; charset=UTF-8"
	case f == "jsoneachrow", f == "jsonlines", f == "ndjson", f == "jsonstringseachrow", strings.HasPrefix(f, "jsoncompact") && strings.Contains(f, "eachrow"):
		return "application/x-ndjson; charset=UTF-8"
	case strings.HasPrefix(f, "json"):
		return "application/json; charset=UTF-8"
	case f == "xml":
		return "application/xml; charset=UTF-8"
	case f == "native", strings.HasPrefix(f, "rowbinary"), f == "parquet", strings.HasPrefix(f, "arrow"), f == "orc", f == "avro", f == "msgpack":
		return "application/octet-stream"
	default:
		return "text/plain; charset=UTF-8"
	}
}

// readShape is what the door must know of a statement that is not an INSERT
// with rows.
type readShape struct {
	format     string // of a FORMAT clause; "" = none
	streamable bool   // chdb_stream_query takes it, and no totals or extremes follow the rows
}

// shapeOf scans a statement. Doubt makes it not streamable, which costs memory
// (capped), never a wrong answer.
func shapeOf(text []byte) readShape {
	var shape readShape
	first := nextToken(text, 0)
	shape.streamable = first.is(text, "SELECT") || first.is(text, "WITH") || first.punct(text, '(')
	depth := 0
	for pos := 0; ; {
		t := nextToken(text, pos)
		switch {
		case t.kind == tokenEnd || t.kind == tokenCut:
			return shape
		case t.kind == tokenPunct:
			depth += bracket(text[t.from])
		case t.is(text, "TOTALS"), t.is(text, "extremes"), t.is(text, "OUTFILE"):
			shape.streamable = false
		case depth == 0 && t.is(text, "FORMAT"):
			name := nextToken(text, t.to)
			after := nextToken(text, name.to)
			if name.kind == tokenWord && (after.kind == tokenEnd || after.kind == tokenCut || after.punct(text, ';') || after.is(text, "SETTINGS")) {
				shape.format = string(text[name.from:name.to])
			}
		}
		pos = t.to
	}
}
