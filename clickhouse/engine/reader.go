package engine

import (
	"fmt"
	"slices"
	"strings"
)

// The reader's gate. The role's grants close tables, files, URLs and remote
// sources. Open after grants is the scalar function file(path), which reads any
// file of the machine, and everything that is no read. The function can be
// called by name, or named where a function is expected: * APPLY file,
// arrayMap(file, paths). So the gate asks the engine's own parser (the class,
// the syntax tree) and its own scanner as well, because the tree leaves out what
// stands in APPLY, in SHOW ... WHERE and in some clauses.

// admitReader lets through one statement that leaves no trace and cannot name
// the function file.
func admitReader(c *conn, req *request, text []byte, count, class int) error {
	explain := append([]byte("EXPLAIN AST "), text...)
	if class == classUnknown {
		// Parses without running, and so names the syntax error.
		r, err := c.query(explain, "TabSeparatedRaw", req.params)
		if err != nil {
			return err
		}
		r.close()
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
	if why := suspiciousTokens(text); why != "" {
		return denied(req, why)
	}
	r, err := c.query(explain, "TabSeparatedRaw", req.params)
	if err != nil {
		return err
	}
	defer r.close()
	if why := suspiciousTree(string(r.bytes())); why != "" {
		return denied(req, why)
	}
	return nil
}

func denied(req *request, why string) error {
	return &Error{Code: codeAccessDenied, Text: fmt.Sprintf("%s: Not enough privileges: %s. (ACCESS_DENIED)", req.account.user, why)}
}

// Reasons of refusal, with the remedy where there is one.
const (
	noFiles  = "the function file is closed; write a column of that name with its table (rejects.file)"
	noApply  = "APPLY is closed"
	noShow   = "SHOW takes no expressions here"
	noTricks = "plain ASCII names only, without escapes or Identifier parameters"
)

// takesColumn lists functions that never take another function as argument, so
// that a column named file may stand in them as it is.
func takesColumn(function string) bool {
	return slices.Contains([]string{
		"count", "countif", "countdistinct", "uniq", "uniqexact", "any", "anylast", "min", "max", "argmin", "argmax", "grouparray", "groupuniqarray",
		"equals", "notequals", "less", "greater", "lessorequals", "greaterorequals", "in", "notin", "like", "ilike", "notlike", "notilike",
		"isnull", "isnotnull", "empty", "notempty", "length", "concat", "lower", "upper", "startswith", "endswith", "tostring", "and", "or", "not", "if",
	}, strings.ToLower(function))
}

// suspiciousTokens looks at the text itself. It must see at least what the
// engine's scanner sees: what only the engine sees is left to the tree.
func suspiciousTokens(text []byte) string {
	if callsFunction(text, "file") {
		return noFiles
	}
	show := nextToken(text, 0).is(text, "SHOW")
	var calls []string // the function of each open bracket, "" where it is none
	var last token
	for pos := 0; ; {
		t := nextToken(text, pos)
		pos = t.to
		switch word := string(text[t.from:t.to]); {
		case t.kind == tokenEnd || t.kind == tokenCut:
			return ""
		case t.kind == tokenWord && strings.ContainsFunc(word, func(r rune) bool { return r >= 0x80 }),
			t.kind == tokenQuoted && strings.Contains(word, `\`),
			t.is(text, "Identifier") && last.punct(text, ':'):
			return noTricks
		case t.punct(text, '('):
			if show {
				return noShow
			}
			calls = append(calls, openedBy(text, last))
		case t.punct(text, ')'):
			calls = calls[:max(0, len(calls)-1)]
		case t.is(text, "SELECT") && len(calls) > 0 && last.punct(text, '('):
			calls[len(calls)-1] = "" // a subquery's columns are its own
		case isNamed(text, t, "file") && !last.punct(text, '.') && at(text, t.to) != '.':
			if show {
				return noShow
			}
			if f := innermost(calls); f != "" && !takesColumn(f) {
				return noFiles
			}
		}
		last = t
	}
}

// openedBy names what stands before a bracket: a function, or "" if nothing.
func openedBy(text []byte, before token) string {
	if before.kind != tokenWord && before.kind != tokenQuoted {
		return "(" // mere grouping: an outer function may still see through it
	}
	return strings.Trim(string(text[before.from:before.to]), "`\"")
}

// innermost is the nearest function around, through mere grouping.
func innermost(calls []string) string {
	for _, f := range slices.Backward(calls) {
		if f != "(" {
			return f
		}
	}
	return ""
}

// suspiciousTree looks at EXPLAIN AST, one node a line, a child one blank
// further in than its parent.
func suspiciousTree(tree string) string {
	var path []string // the nodes above the current line
	for line := range strings.SplitSeq(tree, "\n") {
		node := strings.TrimLeft(line, " ")
		depth := len(line) - len(node)
		path = append(path[:min(depth, len(path))], node)
		switch {
		case strings.HasPrefix(node, "ColumnsApplyTransformer"):
			return noApply
		case node == "Function file" || strings.HasPrefix(node, "Function file "):
			return noFiles
		case node == "Identifier file" || strings.HasPrefix(node, "Identifier file "):
			if depth < 2 || len(path) < 3 {
				continue
			}
			if f, ok := strings.CutPrefix(path[depth-2], "Function "); ok {
				if name, _, _ := strings.Cut(f, " "); !takesColumn(name) {
					return noFiles
				}
			}
		}
	}
	return ""
}
