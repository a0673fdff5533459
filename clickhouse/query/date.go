package query

import (
	"fmt"
	"time"
)

// Date is a local date as days since 1970-01-01, the form of
// schemas.SliceRow.Date. It has no zone: rows say whose date it is.
type Date int32

// Dates that ClickHouse's type Date can hold; bounds of an open range.
const (
	FirstDate Date = 0     // 1970-01-01
	LastDate  Date = 65535 // 2149-06-06
)

// ParseDate reads YYYY-MM-DD.
func ParseDate(text string) (Date, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return 0, fmt.Errorf("parse date %q: want YYYY-MM-DD", text)
	}
	d := t.Unix() / 86400
	if t.Unix() < 0 || d > int64(LastDate) {
		return 0, fmt.Errorf("parse date %q: not between 1970-01-01 and 2149-06-06", text)
	}
	return Date(d), nil
}

// DateOf gives the date that an instant shows in its own location.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// Time gives midnight UTC of the date: for arithmetic and weekdays only.
func (d Date) Time() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// String gives YYYY-MM-DD.
func (d Date) String() string { return d.Time().Format(time.DateOnly) }

// MarshalText gives YYYY-MM-DD, so that JSON shows a date as text.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads YYYY-MM-DD.
func (d *Date) UnmarshalText(text []byte) error {
	parsed, err := ParseDate(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}
