package schemas

import "unicode/utf8"

// AppendEvent appends ev as flat JSON of version 1 (INTERFACES.md section 6).
// Decode gives ev back, but for FactZone and FactName, which travel in Props.
// Absent fields, the default type and the default source are left out.
//
// Unknown members come back within props, one level deeper and behind a name
// more: of an event at the very limit of depth, names or size Decode may say
// TooDeep or TooLarge then.
//
// Text that cannot travel (invalid UTF-8, as old logs hold it, and NUL) becomes
// U+FFFD. Props must be one valid JSON object or nil: it is copied as it is.
func AppendEvent(dst []byte, ev *Event) []byte {
	dst = append(dst, `{"id":`...)
	dst = AppendString(dst, ev.ID)
	if len(ev.Source) > 0 && string(ev.Source) != DefaultSource {
		dst = appendMember(dst, `,"source":`, ev.Source)
	}
	dst = appendMember(dst, `,"network":`, ev.Network)
	dst = appendMember(dst, `,"user":`, ev.User)
	dst = append(dst, `,"time":"`...)
	dst = append(AppendTime(dst, ev.TimeMs), '"')
	if ev.ReceivedMs != 0 {
		dst = append(dst, `,"received":"`...)
		dst = append(AppendTime(dst, ev.ReceivedMs), '"')
	}
	if len(ev.Type) > 0 && string(ev.Type) != TypeActivity {
		dst = appendMember(dst, `,"type":`, ev.Type)
	}
	dst = appendMember(dst, `,"category":`, ev.Category)
	dst = appendMember(dst, `,"action":`, ev.Action)
	dst = appendMember(dst, `,"label":`, ev.Label)
	dst = appendDevice(dst, ev)
	dst = appendGroup(dst, `,"content":{`, [3]string{`"id":`, `"name":`, `"slug":`}, [3][]byte{ev.ContentID, ev.ContentName, ev.ContentSlug})
	dst = appendGroup(dst, `,"context":{`, [3]string{`"zone":`, `"ua":`, `"url":`}, [3][]byte{ev.Zone, ev.UserAgent, ev.URL})
	if ev.Props != nil {
		dst = append(dst, `,"props":`...)
		dst = append(dst, ev.Props...)
	}
	return append(dst, '}')
}

func appendMember(dst []byte, name string, value []byte) []byte {
	if value == nil {
		return dst
	}
	return AppendString(append(dst, name...), value)
}

func appendDevice(dst []byte, ev *Event) []byte {
	var class []byte
	if ev.DeviceClass != ClassUnknown {
		class = []byte(ev.DeviceClass.String())
	}
	return appendGroup(dst, `,"device":{`, [3]string{`"id":`, `"class":`}, [3][]byte{ev.DeviceID, class})
}

// appendGroup appends an object of the values that are present, or nothing.
func appendGroup(dst []byte, open string, names [3]string, values [3][]byte) []byte {
	first := true
	for i, value := range values {
		if value == nil {
			continue
		}
		if first {
			dst = append(dst, open...)
			first = false
		} else {
			dst = append(dst, ',')
		}
		dst = AppendString(append(dst, names[i]...), value)
	}
	if first {
		return dst
	}
	return append(dst, '}')
}

// AppendString appends s as a JSON string that the strict decoder takes:
// invalid UTF-8 and NUL become U+FFFD.
func AppendString(dst, s []byte) []byte {
	const hexDigits = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		size := 1
		if c >= utf8.RuneSelf {
			var r rune
			if r, size = utf8.DecodeRune(s[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		dst = append(dst, s[from:i]...)
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == 0 || c >= utf8.RuneSelf:
			dst = append(dst, "\uFFFD"...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i += size
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}
