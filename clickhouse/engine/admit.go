package engine

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
