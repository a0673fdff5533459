package engine

import (
	"fmt"
	"strings"
)

// admit decides, before anything runs, whether the account may run the
// statement, and gives the statement's class. The grants of the role close
// tables, files, URLs and remote sources; what they leave open is closed here.
func (d *door) admit(c *conn, req *request, st *statement) (class int, err error) {
	text := st.text
	if st.isInsert() {
		// A cut head does not parse; any rows do for the question.
		text = append(append([]byte{}, text...), " VALUES (1)"...)
	}
	count, class := c.classify(text)
	switch {
	case count > 1:
		return class, &Error{Code: codeSyntaxError, Text: "Multi-statements are not allowed. (SYNTAX_ERROR)"}
	case req.readOnly && class != classRead && class != classUnknown:
		return class, &Error{Code: codeReadonly, Text: req.account.user + ": Cannot execute query in readonly mode; use POST. (READONLY)"}
	case req.account.role == roleApp:
		return class, nil
	}
	return class, admitReader(c, req, text, count, class)
}

// admitReader lets through one statement that leaves no trace and reads no
// file. What does not parse runs into the engine's own error only if it cannot
// be a statement at all.
func admitReader(c *conn, req *request, text []byte, count, class int) error {
	if class == classUnknown {
		// EXPLAIN AST parses without running, and so names the error.
		if _, err := c.query(append([]byte("EXPLAIN AST "), text...), "TabSeparatedRaw", req.params); err != nil {
			return err
		}
	}
	if count != 1 || class != classRead {
		return denied(req, "SELECT and SHOW statements only")
	}
	if len(req.external) > 0 {
		return denied(req, "no external tables")
	}
	for _, s := range req.settings {
		if strings.Contains(s.name, "dialect") {
			return denied(req, "no other dialect")
		}
	}
	if callsFunction(text, "file") {
		return denied(req, "no files")
	}
	r, err := c.query(append([]byte("EXPLAIN AST "), text...), "TabSeparatedRaw", req.params)
	if err != nil {
		return err
	}
	defer r.close()
	if strings.Contains(string(r.bytes()), "Function file") {
		return denied(req, "no files")
	}
	return nil
}

func denied(req *request, why string) error {
	return &Error{Code: codeAccessDenied, Text: fmt.Sprintf("%s: Not enough privileges: %s. (ACCESS_DENIED)", req.account.user, why)}
}
