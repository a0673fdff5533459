package replay

import (
	"bytes"
	"errors"
	"strings"
)

// logParts are the parts of a combined log line, by the names that --map
// takes.
func logParts() []string {
	return []string{"host", "ident", "authuser", "time", "request", "status", "bytes", "referrer", "ua"}
}

// Positions in logParts.
const (
	partHost = iota
	partIdent
	partAuthUser
	partTime
	partRequest
	partStatus
	partBytes
	partReferrer
	partUA
	partCount
)

// logTime is the layout of a log line's time.
const logTime = "02/Jan/2006:15:04:05 -0700"

// splitLogLine cuts an Apache or nginx log line of the combined format, or of
// the common one, which ends after the bytes:
//
//	host ident authuser [time] "request" status bytes "referrer" "user agent"
//
// Quotes inside quoted parts are written \" by Apache. What follows the user
// agent (extensions of the format) is ignored.
func splitLogLine(text []byte) (parts [partCount]string, err error) {
	rest := text
	for _, i := range []int{partHost, partIdent, partAuthUser} {
		word, after, ok := bytes.Cut(rest, []byte{' '})
		if !ok || len(word) == 0 {
			return parts, errors.New("not a combined log line: it does not start with host, ident and user")
		}
		parts[i], rest = string(word), after
		if i == partIdent && len(rest) > 0 {
			// A user may hold spaces: it ends where the time begins.
			before, after, ok := bytes.Cut(rest, []byte(" ["))
			if !ok {
				return parts, errors.New("not a combined log line: it has no [time]")
			}
			parts[partAuthUser], rest = string(before), after
			break
		}
	}
	stamp, rest, ok := bytes.Cut(rest, []byte("] "))
	if !ok {
		return parts, errors.New("not a combined log line: its [time] is not closed")
	}
	parts[partTime] = string(stamp)
	if parts[partRequest], rest, err = quoted(rest, "request"); err != nil {
		return parts, err
	}
	status, rest, _ := bytes.Cut(bytes.TrimPrefix(rest, []byte{' '}), []byte{' '})
	size, rest, more := bytes.Cut(rest, []byte{' '})
	if len(status) != 3 || !digits(status) || (string(size) != "-" && !digits(size)) {
		return parts, errors.New("not a combined log line: status and bytes do not follow the request")
	}
	parts[partStatus], parts[partBytes] = string(status), string(size)
	if !more {
		return parts, nil // common format
	}
	if parts[partReferrer], rest, err = quoted(rest, "referrer"); err != nil {
		return parts, err
	}
	parts[partUA], _, err = quoted(bytes.TrimPrefix(rest, []byte{' '}), "user agent")
	return parts, err
}

// quoted takes one quoted part off the line.
func quoted(text []byte, what string) (value string, rest []byte, err error) {
	if len(text) == 0 || text[0] != '"' {
		return "", nil, errors.New("not a combined log line: the " + what + " is not quoted")
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			value = string(text[1:i])
			if strings.Contains(value, `\"`) {
				value = strings.ReplaceAll(value, `\"`, `"`)
			}
			return value, text[i+1:], nil
		}
	}
	return "", nil, errors.New("not a combined log line: the closing quote of the " + what + " is missing")
}

func digits(text []byte) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) > 0
}

// combined maps log lines: user = authuser, else host; content and url are
// what was asked for.
type combined struct {
	*mapper

	columns []boundColumn
}

func (c *combined) row(l *line) Row {
	if l.cut() {
		return c.unmappable(l, "")
	}
	parts, err := splitLogLine(l.text)
	if err != nil {
		return c.unmappable(l, err.Error())
	}
	timeMs, err := parseTime(logTime, parts[partTime])
	if err != nil {
		return c.unmappable(l, err.Error())
	}
	c.begin()
	c.fill(&parts)
	c.event.TimeMs = timeMs
	for _, column := range c.columns {
		kind := column.Kind
		if column.index == partTime && kind == KindRFC3339 {
			kind = logTime
		}
		if err := c.assign(column.Field, dash(parts[column.index]), kind); err != nil {
			return c.unmappable(l, err.Error())
		}
	}
	return c.finish(l, true)
}

// fill gives the event what a log line says without any mapping.
func (c *combined) fill(parts *[partCount]string) {
	e := &c.event
	user := dash(parts[partAuthUser])
	if user == "" {
		user = parts[partHost]
	}
	e.User = []byte(user)
	method, target, ok := strings.Cut(parts[partRequest], " ")
	if ok {
		target, _, _ = strings.Cut(target, " ")
		path, _, _ := strings.Cut(target, "?")
		e.Action, e.URL, e.ContentID = notEmpty(method), notEmpty(target), notEmpty(path)
	}
	e.UserAgent = notEmpty(dash(parts[partUA]))
	c.props = append(c.props, prop{"status", parts[partStatus]})
	if size := dash(parts[partBytes]); size != "" {
		c.props = append(c.props, prop{"bytes", size})
	}
	if referrer := dash(parts[partReferrer]); referrer != "" {
		c.props = append(c.props, prop{"referrer", referrer})
	}
}

// dash is how logs write that a part is absent.
func dash(text string) string {
	if text == "-" {
		return ""
	}
	return text
}

func notEmpty(text string) []byte {
	if text == "" {
		return nil
	}
	return []byte(text)
}
