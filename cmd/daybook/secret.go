package main

import "log/slog"

// secret is a value that must not be seen: it prints as *** through every
// door (fmt, slog, JSON), so that a configuration can be logged whole. Reveal
// is the only way to its bytes.
type secret string

// masked is what every printer of a secret shows.
const masked = "***"

// Reveal gives the value itself, for the door that needs it.
func (s secret) Reveal() string { return string(s) }

// String masks the value; an empty secret shows that it is empty.
func (s secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// GoString masks the value under %#v.
func (s secret) GoString() string { return s.String() }

// AppendText masks the value in JSON and text encodings.
func (s secret) AppendText(b []byte) ([]byte, error) { return append(b, s.String()...), nil }

// MarshalText masks the value for encoders that know no AppendText.
func (s secret) MarshalText() ([]byte, error) { return s.AppendText(nil) }

// LogValue masks the value in logs.
func (s secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
