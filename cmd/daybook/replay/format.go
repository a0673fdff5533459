package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// Format is how a file writes its lines.
type Format string

// The formats.
const (
	FormatAuto     Format = "auto"     // told by the first line
	FormatNDJSON   Format = "ndjson"   // one JSON object a line
	FormatCSV      Format = "csv"      // RFC 4180, the first record names the columns
	FormatCombined Format = "combined" // Apache and nginx, combined or common
)

// sniffBytes is how much of a member is looked at to tell its format.
const sniffBytes = 8 << 10

// detect tells the format from the first lines, and from the name only where
// they leave it open.
func detect(head []byte, name string) (Format, error) {
	for text := range bytes.Lines(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))) {
		text = bytes.TrimSpace(text)
		if len(text) == 0 {
			continue
		}
		if text[0] == '{' {
			return FormatNDJSON, nil
		}
		if _, err := splitLogLine(text); err == nil {
			return FormatCombined, nil
		}
		base := strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zip")
		switch ext := filepath.Ext(base); {
		case ext == ".csv" || (bytes.IndexByte(text, ',') > 0 && ext != ".log"):
			return FormatCSV, nil
		case ext == ".ndjson" || ext == ".jsonl" || ext == ".json":
			return FormatNDJSON, nil
		}
	}
	if len(bytes.TrimSpace(head)) == 0 {
		return FormatNDJSON, nil // empty: no line, whatever the format
	}
	return "", errors.New("its first lines tell no format; name it with --format ndjson, csv or combined")
}

// Read maps every line of every member, on all processors, and hands the rows
// to yield, in the order of the files; a row's bytes are valid until yield
// returns. It stops at the first error of reading or of yield.
func Read(ctx context.Context, in *Inputs, opts *Options, yield func(*Row) error) error {
	for _, m := range in.Members {
		if err := readMember(ctx, m, opts, len(in.Members) > 1, yield); err != nil {
			return err
		}
	}
	return nil
}

func readMember(ctx context.Context, m *Member, opts *Options, several bool, yield func(*Row) error) (err error) {
	r, err := m.Open(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := r.Close(); cerr != nil && err == nil {
			err = fmt.Errorf("close input %s: %w", m.Path, cerr)
		}
	}()
	lines, mapper, err := openFormat(r, m, opts, several)
	if err != nil {
		return err
	}
	return mapAll(ctx, named{lines, m.Path}, mapper, yield)
}

// named says in an error which member could not be read.
type named struct {
	lineSource

	path string
}

func (n named) next() (line, error) {
	l, err := n.lineSource.next()
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("read %s: %w", n.path, err)
	}
	return l, err
}

// openFormat gives the lines of a member, and what makes a mapper of its
// format.
func openFormat(r io.Reader, m *Member, opts *Options, several bool) (lineSource, func() rowMapper, error) {
	lines := newLineReader(r)
	format := opts.Format
	if format == FormatAuto || format == "" {
		head, err := lines.r.Peek(sniffBytes)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, nil, fmt.Errorf("read %s: %w", m.Path, err)
		}
		if format, err = detect(head, m.Name); err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", m.Path, err)
		}
	}
	switch format {
	case FormatNDJSON:
		return lines, func() rowMapper { return &ndjson{newMapper(opts, m, several)} }, nil
	case FormatCSV:
		records, err := newCSV(m, opts, lines)
		if err != nil {
			return nil, nil, err
		}
		return records, func() rowMapper { return &csvRows{mapper: newMapper(opts, m, several), columns: records.columns} }, nil
	case FormatCombined:
		columns, err := bindLog(opts)
		if err != nil {
			return nil, nil, err
		}
		return lines, func() rowMapper { return &combined{mapper: newMapper(opts, m, several), columns: columns} }, nil
	case FormatAuto:
	}
	return nil, nil, fmt.Errorf("read %s: no format %q; write auto, ndjson, csv or combined", m.Path, format)
}

// bindLog finds the mapped parts of a log line.
func bindLog(opts *Options) ([]boundColumn, error) {
	var bound []boundColumn
	for _, column := range opts.Map {
		index := -1
		for i, name := range logParts() {
			if name == column.Name {
				index = i
			}
		}
		if index < 0 {
			return nil, fmt.Errorf("map %s: a log line has no part %q; its parts are %s", column.Field, column.Name, strings.Join(logParts(), ", "))
		}
		bound = append(bound, boundColumn{column, index})
	}
	if _, ok := opts.Set["network"]; opts.Network == "" && !ok {
		return nil, errors.New("a log names no network; add --network NAME")
	}
	return bound, nil
}
