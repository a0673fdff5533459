package schemas

import "bytes"

// property finds a member of props by name and gives its text: that of a string
// without escapes, that of a number or boolean as written. It is nil if the
// member is absent, null, an object or an array, and where props is not a valid
// object as far as the member. It allocates only for escapes.
func property(props []byte, name string) []byte {
	if len(props) < len(`{"":0`)+len(name) || !bytes.Contains(props, []byte(name)) && bytes.IndexByte(props, '\\') < 0 {
		return nil
	}
	s := scanner{raw: props}
	for i := 1; ; i++ {
		key, _, val := s.name(s.space(i))
		if val < 0 {
			return nil
		}
		end := skipValue(props, val)
		if string(key) == name {
			return s.scalar(val, end)
		}
		if i = s.space(end); s.at(i) != ',' {
			return nil
		}
	}
}

// scalar gives the text of the value in raw[i:end].
func (s *scanner) scalar(i, end int) []byte {
	switch s.at(i) {
	case '"':
		end, escaped := s.str(i + 1)
		switch {
		case end < 0:
			return nil
		case escaped:
			return s.unescape(s.raw[i+1 : end-1])
		}
		return s.raw[i+1 : end-1]
	case '{', '[', 'n', 0:
		return nil
	}
	return s.raw[i:end]
}

// skipValue gives the end of the value at i without looking into it.
func skipValue(raw []byte, i int) int {
	depth := 0
	for ; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			for i++; i < len(raw) && raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return min(i+1, len(raw))
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // the end of the object around a number
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return len(raw)
}
