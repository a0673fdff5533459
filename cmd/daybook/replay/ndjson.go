package replay

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"daybook/schemas"
)

// ndjson passes events that are already on the wire form. Most lines go
// through the worker's decoder once and are kept byte for byte; a line is
// written anew only if the options change it or it lacks an id, a source or
// its network.
type ndjson struct {
	*mapper
}

func (n *ndjson) row(l *line) Row {
	if l.cut() {
		return n.unmappable(l, "")
	}
	if len(n.opts.Map) > 0 || len(n.opts.Set) > 0 {
		return n.rewrite(l, l.text)
	}
	n.begin()
	if reject := n.decode(l.text, &n.event); reject.Reason != schemas.Accepted {
		return n.rewrite(l, l.text)
	}
	return n.passed(l, l.text)
}

// passed is an event that the decoder takes, n.event. Its text goes on as it is
// if it needs no change.
func (n *ndjson) passed(l *line, text []byte) Row {
	e, changed := &n.event, false
	if len(n.network) > 0 && !bytes.Equal(e.Network, n.network) {
		e.Network, changed = n.network, true
	}
	if string(e.Source) == schemas.DefaultSource {
		e.Source, changed = n.source, true
	}
	if changed {
		text = n.encode(e)
	}
	return Row{TimeMs: e.TimeMs, Key: n.key(e), Value: text, File: n.member.Path, Line: l.number}
}

// rewrite fills what the line lacks and applies the options. What is still no
// event then goes on as it was: the worker's decoder names the reason.
func (n *ndjson) rewrite(l *line, text []byte) Row {
	var object map[string]jsontext.Value
	if err := json.Unmarshal(text, &object); err != nil || object == nil {
		return n.asItIs(l)
	}
	if _, isCloudEvent := object["specversion"]; isCloudEvent && len(n.opts.Map) == 0 {
		return n.cloudEvent(l, text)
	}
	if err := n.change(object, l); err != nil {
		return n.unmappable(l, err.Error())
	}
	value, err := json.Marshal(object, json.Deterministic(true))
	if err != nil {
		return n.asItIs(l)
	}
	n.begin()
	if reject := n.decode(value, &n.event); reject.Reason != schemas.Accepted {
		row := n.asItIs(l)
		if key := keyOf(object); key != "" {
			row.Key = []byte(key)
		}
		return row
	}
	return n.passed(l, value)
}

// cloudEvent applies --set to an event that came in CloudEvents' form.
func (n *ndjson) cloudEvent(l *line, text []byte) Row {
	n.begin()
	if reject := n.decode(text, &n.event); reject.Reason != schemas.Accepted {
		return n.asItIs(l)
	}
	if string(n.event.Source) == schemas.DefaultSource {
		n.event.Source = nil
	}
	return n.finish(l, true)
}

func (n *ndjson) change(object map[string]jsontext.Value, l *line) error {
	for _, column := range n.opts.Map {
		found, ok := lookUp(object, column.Name)
		if !ok {
			continue // absent in this line: the decoder says what is missing
		}
		text := scalar(found)
		if isTimeField(column.Field) {
			ms, err := parseTime(column.Kind, text)
			if err != nil {
				return err
			}
			text = string(schemas.AppendTime(nil, ms))
		}
		if err := put(object, column.Field, text); err != nil {
			return err
		}
	}
	for field, value := range n.opts.Set {
		if err := put(object, field, value); err != nil {
			return err
		}
	}
	if n.opts.Network != "" {
		object["network"] = quote(n.opts.Network)
	}
	if _, ok := object["id"]; !ok {
		object["id"] = quote(string(n.rowID(l.number)))
	}
	if _, ok := object["source"]; !ok {
		object["source"] = quote(string(n.source))
	}
	return nil
}

// lookUp follows a dotted path; a name that holds a dot itself wins.
func lookUp(object map[string]jsontext.Value, path string) (jsontext.Value, bool) {
	if v, ok := object[path]; ok {
		return v, v.Kind() != 'n'
	}
	head, rest, ok := strings.Cut(path, ".")
	if !ok {
		return nil, false
	}
	var inner map[string]jsontext.Value
	if json.Unmarshal(object[head], &inner) != nil {
		return nil, false
	}
	return lookUp(inner, rest)
}

// put sets a field of the wire form, inside its object if it has one.
func put(object map[string]jsontext.Value, field, text string) error {
	head, rest, ok := strings.Cut(field, ".")
	if !ok {
		object[field] = quote(text)
		return nil
	}
	inner := make(map[string]jsontext.Value)
	if v, exists := object[head]; exists && v.Kind() != 'n' {
		if err := json.Unmarshal(v, &inner); err != nil {
			return fmt.Errorf("set %s: %s is not an object", field, head)
		}
	}
	inner[rest] = quote(text)
	encoded, err := json.Marshal(inner, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("set %s: %w", field, err)
	}
	object[head] = encoded
	return nil
}

// scalar gives a string's content, and a number or boolean as it is written:
// a 64-bit id never passes through a float.
func scalar(v jsontext.Value) string {
	v = bytes.TrimSpace(v)
	if v.Kind() != '"' {
		return string(v)
	}
	var text string
	if json.Unmarshal(v, &text) != nil {
		return string(v)
	}
	return text
}

func quote(text string) jsontext.Value { return schemas.AppendString(nil, []byte(text)) }

// keyOf gives network/user of a line that is not an event otherwise.
func keyOf(object map[string]jsontext.Value) string {
	network, user := object["network"], object["user"]
	if network.Kind() != '"' || user.Kind() != '"' {
		return ""
	}
	return scalar(network) + "/" + scalar(user)
}
