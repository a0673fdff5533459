package export

import (
	"unicode"
	"unicode/utf8"
)

// runsAsFormula says whether a spreadsheet may take the cell for a formula: it
// begins, after spaces and invisible signs that an import may trim, with
// = + - @ or a full-width form of them, or it begins with TAB, CR, LF or NUL.
func runsAsFormula(s []byte) bool {
	if len(s) == 0 {
		return false
	}
	switch s[0] {
	case '\t', '\r', '\n', 0:
		return true
	}
	for len(s) > 0 {
		r, size := utf8.DecodeRune(s)
		switch r {
		case '=', '+', '-', '@', '＝', '＋', '－', '＠', '﹢', '﹣', '﹦', '﹫', '−':
			return true
		}
		if !unicode.IsSpace(r) && !unicode.Is(unicode.Cf, r) && !unicode.IsControl(r) {
			return false
		}
		s = s[size:]
	}
	return false
}
