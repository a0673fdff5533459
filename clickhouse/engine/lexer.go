package engine

import "bytes"

// tokenKind is what the door needs to know of a piece of SQL text.
type tokenKind int

const (
	tokenEnd tokenKind = iota // nothing but blanks and comments was left
	tokenCut                  // the text ends inside a token; more may follow
	tokenWord
	tokenQuoted // "name" or `name`
	tokenString // '...' or $tag$...$tag$
	tokenPunct  // one byte
)

// token is a half-open range of the scanned text.
type token struct {
	kind     tokenKind
	from, to int
}

// is tells a bare word, letter case aside (ASCII only, like SQL's own words).
func (t token) is(text []byte, word string) bool {
	return t.kind == tokenWord && len(word) == t.to-t.from && bytes.EqualFold(text[t.from:t.to], []byte(word))
}

// punct tells a given byte of punctuation.
func (t token) punct(text []byte, b byte) bool { return t.kind == tokenPunct && text[t.from] == b }

// nextToken gives the token at or after pos, comments skipped. It never looks
// behind pos and never fails: text that is not SQL gives tokens all the same.
func nextToken(text []byte, pos int) token {
	for pos < len(text) {
		b := text[pos]
		switch {
		case b <= ' ':
			pos++
		case b == '-' && at(text, pos+1) == '-', b == '#' && (at(text, pos+1) == ' ' || at(text, pos+1) == '!'):
			end := bytes.IndexByte(text[pos:], '\n')
			if end < 0 {
				return token{tokenCut, pos, len(text)}
			}
			pos += end + 1
		case b == '/' && at(text, pos+1) == '*':
			end := bytes.Index(text[pos+2:], []byte("*/"))
			if end < 0 {
				return token{tokenCut, pos, len(text)}
			}
			pos += end + 4
		default:
			return solidToken(text, pos)
		}
	}
	return token{tokenEnd, len(text), len(text)}
}

// solidToken scans a token that starts exactly at pos.
func solidToken(text []byte, pos int) token {
	switch b := text[pos]; {
	case b == '\'':
		return quotedToken(text, pos, tokenString)
	case b == '"' || b == '`':
		return quotedToken(text, pos, tokenQuoted)
	case b == '$':
		return heredocToken(text, pos)
	case isWordByte(b) || b >= 0x80:
		return wordToken(text, pos)
	default:
		return token{tokenPunct, pos, pos + 1}
	}
}

// quotedToken scans to the closing quote; a backslash or a doubled quote
// continues.
func quotedToken(text []byte, pos int, kind tokenKind) token {
	quote := text[pos]
	for i := pos + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case quote:
			if at(text, i+1) != quote {
				return token{kind, pos, i + 1}
			}
			i++
		}
	}
	return token{tokenCut, pos, len(text)}
}

// heredocToken scans $tag$...$tag$, whatever bytes the tag has, as the engine
// does; without a second tag the dollar begins a word or stands alone.
func heredocToken(text []byte, pos int) token {
	size := bytes.IndexByte(text[pos+1:], '$') + 2
	if size >= 2 {
		tag := text[pos : pos+size]
		if closing := bytes.Index(text[pos+size:], tag); closing >= 0 {
			return token{tokenString, pos, pos + size + closing + size}
		}
	}
	if !isWordByte(at(text, pos+1)) {
		return token{tokenPunct, pos, pos + 1}
	}
	return wordToken(text, pos)
}

// wordToken scans a word; a dollar inside belongs to it, as for the engine.
func wordToken(text []byte, pos int) token {
	end := pos + 1
	for end < len(text) && (isWordByte(text[end]) || text[end] == '$' || text[end] >= 0x80) {
		end++
	}
	return token{tokenWord, pos, end}
}

// at is text[i], or 0 beyond its end.
func at(text []byte, i int) byte {
	if i < len(text) {
		return text[i]
	}
	return 0
}
