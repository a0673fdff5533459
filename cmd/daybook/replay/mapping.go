package replay

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Column says which column of the input a field is taken from, and how its
// time is written.
type Column struct {
	Field string // of INTERFACES.md section 6, or props.NAME
	Name  string // column of a CSV, part of a log line, dotted path in JSON
	Kind  Kind   // of a time; "" otherwise
}

// Kind is how a time is written: unix, unixms, rfc3339 or a Go layout.
type Kind string

// The kinds that have a name.
const (
	KindUnix    Kind = "unix"    // seconds since 1970, a fraction allowed
	KindUnixMs  Kind = "unixms"  // milliseconds since 1970
	KindRFC3339 Kind = "rfc3339" // the default
)

// fieldNames lists the fields that a column or a constant can give.
func fieldNames() []string {
	return []string{
		"id", "source", "network", "user", "time", "received", "type", "category", "action", "label",
		"device.id", "device.class", "content.id", "content.name", "content.slug",
		"context.zone", "context.ua", "context.url",
	}
}

func isTimeField(name string) bool { return name == "time" || name == "received" }

func checkField(name string) error {
	if rest, ok := strings.CutPrefix(name, "props."); ok && rest != "" {
		return nil
	}
	if slices.Contains(fieldNames(), name) {
		return nil
	}
	return fmt.Errorf("no field %q; the fields are %s and props.NAME", name, strings.Join(fieldNames(), ", "))
}

// ParseMap reads F=COLUMN[:KIND],… as the flag --map gives it. A comma without
// a = after it belongs to the Go layout before it ("Jan 2, 2006").
func ParseMap(flags []string) ([]Column, error) {
	var columns []Column
	for _, pair := range splitPairs(flags) {
		field, rest, ok := strings.Cut(pair, "=")
		if !ok || field == "" || rest == "" {
			return nil, fmt.Errorf("read map %q: write FIELD=COLUMN, for example user=personId", pair)
		}
		if err := checkField(field); err != nil {
			return nil, fmt.Errorf("read map %q: %w", pair, err)
		}
		name, kind, hasKind := strings.Cut(rest, ":")
		if hasKind && !isTimeField(field) {
			name, kind = rest, "" // a colon in a column's name
		}
		if isTimeField(field) && kind == "" {
			kind = string(KindRFC3339)
		}
		if err := checkKind(Kind(kind)); err != nil {
			return nil, fmt.Errorf("read map %q: %w", pair, err)
		}
		columns = append(columns, Column{Field: field, Name: name, Kind: Kind(kind)})
	}
	return columns, nil
}

// checkKind refuses a layout that names no part of a time: a misspelt kind
// ("unixtime") would otherwise reject every line.
func checkKind(k Kind) error {
	switch k {
	case "", KindUnix, KindUnixMs, KindRFC3339:
		return nil
	}
	a := time.Date(2001, 1, 2, 3, 4, 5, 0, time.UTC).Format(string(k))
	b := time.Date(2012, 11, 28, 16, 47, 58, 0, time.UTC).Format(string(k))
	if a == b {
		return fmt.Errorf("no kind %q; write unix, unixms, rfc3339 or a Go layout such as %q", k, time.DateTime)
	}
	return nil
}

// ParseSet reads F=VALUE,… as the flag --set gives it.
func ParseSet(flags []string) (map[string]string, error) {
	set := make(map[string]string)
	for _, pair := range splitPairs(flags) {
		field, value, ok := strings.Cut(pair, "=")
		if !ok || field == "" {
			return nil, fmt.Errorf("read set %q: write FIELD=VALUE, for example device.class=mobile", pair)
		}
		if err := checkField(field); err != nil {
			return nil, fmt.Errorf("read set %q: %w", pair, err)
		}
		set[field] = value
	}
	return set, nil
}

// splitPairs splits at the commas that a field's name and = follow.
func splitPairs(flags []string) []string {
	var pairs []string
	for _, flag := range flags {
		first := true
		for part := range strings.SplitSeq(flag, ",") {
			name, _, ok := strings.Cut(part, "=")
			if !first && (!ok || strings.ContainsAny(name, " :")) {
				pairs[len(pairs)-1] += "," + part
				continue
			}
			pairs, first = append(pairs, part), false
		}
	}
	return pairs
}

// Bounds of what the wire can write: the years 0000 to 9999.
const (
	minTimeMs = -62_167_219_200_000
	maxTimeMs = 253_402_300_800_000 // exclusive
)

// parseTime reads a time as milliseconds since 1970, truncated.
func parseTime(k Kind, text string) (int64, error) {
	ms, err := parseAnyTime(k, text)
	if err == nil && (ms < minTimeMs || ms >= maxTimeMs) {
		return 0, fmt.Errorf("read time %q: it is outside the years 0 to 9999", text)
	}
	return ms, err
}

func parseAnyTime(k Kind, text string) (int64, error) {
	switch k {
	case KindUnix:
		return parseUnix(text)
	case KindUnixMs:
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read time %q: it is not a whole number of milliseconds", text)
		}
		return ms, nil
	case KindRFC3339, "":
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return 0, fmt.Errorf("read time %q: it is not RFC 3339", text)
		}
		return t.UnixMilli(), nil
	}
	t, err := time.Parse(string(k), text)
	if err != nil {
		return 0, fmt.Errorf("read time %q: it does not match the layout %q", text, k)
	}
	return t.UnixMilli(), nil
}

// parseUnix reads seconds with up to any number of decimals without a float,
// whose rounding would move an event by a millisecond.
func parseUnix(text string) (int64, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || seconds > 1<<43 || seconds < -(1<<43) {
		return 0, fmt.Errorf("read time %q: it is not a number of seconds", text)
	}
	var ms int64
	if fraction != "" {
		digits := (fraction + "000")[:3]
		ms, err = strconv.ParseInt(digits, 10, 64)
		if err != nil || strings.Trim(fraction, "0123456789") != "" || digits[0] == '-' {
			return 0, fmt.Errorf("read time %q: it is not a number of seconds", text)
		}
		if whole[0] == '-' {
			ms = -ms
		}
	}
	return seconds*1000 + ms, nil
}
