package engine

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
)

// maxExternalBytes bounds the external tables of one request together; they
// are held in memory until the statement ran.
const maxExternalBytes = 256 << 20

// externalTable is a temporary table that travels with its query.
type externalTable struct {
	name, structure, format string
	rows                    []byte
}

// readMultipart reads a form: files are external tables, other fields are
// parameters like those of the URL.
func readMultipart(body io.Reader, boundary string, v *values) ([]externalTable, error) {
	if boundary == "" {
		return nil, badArgument("The multipart body has no boundary")
	}
	var tables []externalTable
	form, left := multipart.NewReader(body, boundary), int64(maxExternalBytes)
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, badArgument("Cannot read the multipart body: " + err.Error())
		}
		content, err := io.ReadAll(io.LimitReader(part, left+1))
		if err != nil {
			return nil, badArgument("Cannot read the multipart body: " + err.Error())
		}
		if left -= int64(len(content)); left < 0 {
			return nil, errBodyTooLarge
		}
		name := part.FormName()
		if isUpload(part) {
			tables = append(tables, externalTable{name: name, rows: content})
		} else if err := v.add(name, string(content)); err != nil {
			return nil, err
		}
	}
	for i := range tables {
		if err := tables[i].describe(v); err != nil {
			return nil, err
		}
	}
	return tables, nil
}

// isUpload tells a file from a field: clickhouse-go's files have an empty name.
func isUpload(part *multipart.Part) bool {
	_, attributes, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	_, named := attributes["filename"]
	return err == nil && named
}

// describe takes the table's structure and format from the parameters.
func (t *externalTable) describe(v *values) error {
	if !isIdentifier(t.name) {
		return badArgument("An external table must have a plain name")
	}
	structure, types, format := v.takeExternal(t.name)
	if t.format = format; format == "" {
		t.format = "TabSeparated"
	}
	switch {
	case structure != "":
		t.structure = structure
	case types != "":
		var columns []string
		for i, typ := range splitTypes(types) {
			columns = append(columns, fmt.Sprintf("_%d %s", i+1, typ))
		}
		t.structure = strings.Join(columns, ", ")
	default:
		return badArgument("Neither structure nor types of external table " + t.name + " are given")
	}
	return nil
}

// splitTypes cuts a list at its commas outside brackets.
func splitTypes(s string) []string {
	text, depth, from := []byte(s), 0, 0
	var types []string
	for pos := 0; ; {
		t := nextToken(text, pos)
		if t.kind == tokenEnd || t.kind == tokenCut {
			return append(types, strings.TrimSpace(s[from:]))
		}
		if t.kind == tokenPunct {
			depth += bracket(text[t.from])
			if depth == 0 && text[t.from] == ',' {
				types = append(types, strings.TrimSpace(s[from:t.from]))
				from = t.to
			}
		}
		pos = t.to
	}
}

// createExternal makes the request's temporary tables on its connection and
// gives the way to drop them.
func createExternal(c *conn, tables []externalTable) (drop func(), err error) {
	made := 0
	drop = func() {
		for _, t := range tables[:made] {
			if c.exec("DROP TEMPORARY TABLE IF EXISTS "+quoteName(t.name)) != nil {
				c.spoiled = true
			}
		}
	}
	for _, t := range tables {
		create := []byte("CREATE TEMPORARY TABLE " + quoteName(t.name) + " (" + t.structure + ") ENGINE = Memory")
		if n, _ := c.classify(create); n != 1 {
			return drop, badArgument("Cannot parse the structure of external table " + t.name)
		}
		if err := c.exec(string(create)); err != nil {
			return drop, err
		}
		made++
		if len(t.rows) == 0 {
			continue
		}
		if err := c.insertAll("INSERT INTO "+quoteName(t.name), t.format, t.rows); err != nil {
			return drop, err
		}
	}
	return drop, nil
}

// insertAll inserts rows that are in memory.
func (c *conn) insertAll(head, format string, rows []byte) error {
	s, err := c.insert([]byte(head), format, nil)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.append(rows); err != nil {
		return err
	}
	r, err := s.done()
	r.close()
	return err
}
