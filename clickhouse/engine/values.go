package engine

import (
	"net/url"
	"slices"
	"strings"
)

// setting is a session setting for the length of one request.
type setting struct{ name, value string }

// values are the parameters of a request, sorted by what they mean.
type values struct {
	control  map[string]string // names that the HTTP interface itself knows
	params   []param           // param_x
	settings []setting         // every other name
}

// parseValues reads a raw query string. net/url drops pairs that hold a
// semicolon (?query=SELECT 1;) and its form parsing eats POST bodies, so
// neither is used.
func parseValues(raw string) (*values, error) {
	v := &values{control: map[string]string{}}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		n, err := url.QueryUnescape(name)
		if err != nil {
			return nil, badArgument("Cannot parse the name of a URL parameter")
		}
		val, err := url.QueryUnescape(value)
		if err != nil {
			return nil, badArgument("Cannot parse the value of URL parameter " + n)
		}
		if err := v.add(n, val); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// add files one parameter. A later value of a name replaces an earlier one.
func (v *values) add(name, value string) error {
	switch {
	case isControl(name):
		v.control[name] = value
	case strings.HasPrefix(name, "param_") && len(name) > len("param_"):
		v.params = append(v.params, param{name[len("param_"):], value})
	case name == "log_comment":
		// The door's own mark for cancelling; a client's would hide the query.
	case isSettingName(name):
		v.settings = slices.DeleteFunc(v.settings, func(s setting) bool { return s.name == name })
		v.settings = append(v.settings, setting{name, value})
	default:
		return &Error{Code: codeUnknownSetting, Text: "Unknown setting '" + name + "'. (UNKNOWN_SETTING)"}
	}
	return nil
}

func isControl(name string) bool {
	switch name {
	case "query", "user", "password", "database", "default_format", "query_id", "quota_key", "compress", "decompress",
		"wait_end_of_query", "buffer_size", "session_id", "session_timeout", "session_check", "close_session",
		"client_protocol_version", "stacktrace", "role", "readonly":
		return true
	default:
		return false
	}
}

// takeExternal removes and gives the three parameters that describe an external
// table. Only a request that uploads the table has them: elsewhere such names
// are settings (date_time_output_format).
func (v *values) takeExternal(table string) (structure, types, format string) {
	v.settings = slices.DeleteFunc(v.settings, func(s setting) bool {
		switch s.name {
		case table + "_structure":
			structure = s.value
		case table + "_types":
			types = s.value
		case table + "_format":
			format = s.value
		default:
			return false
		}
		return true
	})
	return structure, types, format
}

// isSettingName guards the one place where a name becomes SQL text.
func isSettingName(name string) bool {
	if name == "" || strings.EqualFold(name, "role") || strings.EqualFold(name, "default") {
		return false
	}
	for i := range len(name) {
		if !isWordByte(name[i]) && name[i] != '.' {
			return false
		}
	}
	return name[0] > '9'
}

func badArgument(text string) error {
	return &Error{Code: codeBadArguments, Text: text + ". (BAD_ARGUMENTS)"}
}

// truth reads a boolean of the HTTP interface.
func truth(s string) bool { return s == "1" || strings.EqualFold(s, "true") }
