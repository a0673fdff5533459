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

// rowReader gives the rows of one member, then io.EOF.
type rowReader interface {
	next() (Row, error)
}

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

// Read maps every line of every member and hands the rows to yield, in the
// order of the files. It stops at the first error of reading or of yield.
func Read(ctx context.Context, in *Inputs, opts *Options, yield func(Row) error) error {
	for _, m := range in.Members {
		if err := readMember(ctx, m, opts, len(in.Members) > 1, yield); err != nil {
			return err
		}
	}
	return nil
}

func readMember(ctx context.Context, m *Member, opts *Options, several bool, yield func(Row) error) (err error) {
	r, err := m.Open()
	if err != nil {
		return err
	}
	defer func() {
		if cerr := r.Close(); cerr != nil && err == nil {
			err = fmt.Errorf("close input %s: %w", m.Path, cerr)
		}
	}()
	rows, err := newRowReader(r, m, opts, several)
	if err != nil {
		return err
	}
	for {
		row, err := rows.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", m.Path, err)
		}
		if err := yield(row); err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
}

// newRowReader builds the reader of a member's format.
func newRowReader(r io.Reader, m *Member, opts *Options, several bool) (rowReader, error) {
	lines := newLineReader(r)
	format := opts.Format
	if format == FormatAuto || format == "" {
		head, err := lines.r.Peek(sniffBytes)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read %s: %w", m.Path, err)
		}
		if format, err = detect(head, m.Name); err != nil {
			return nil, fmt.Errorf("read %s: %w", m.Path, err)
		}
	}
	mp := newMapper(opts, m, several)
	switch format {
	case FormatNDJSON:
		return &ndjson{mapper: mp, lines: lines}, nil
	case FormatCSV:
		return newCSV(mp, lines)
	case FormatCombined:
		columns, err := bindLog(opts)
		if err != nil {
			return nil, err
		}
		return &combined{mapper: mp, lines: lines, columns: columns}, nil
	case FormatAuto:
	}
	return nil, fmt.Errorf("read %s: no format %q; write auto, ndjson, csv or combined", m.Path, format)
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
