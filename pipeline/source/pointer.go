package source

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Pointer names a checkpoint. It travels as metadata of the commit whose
// offset is Next.
type Pointer struct {
	ID          string // unique; letters, digits and '-'
	TopicOffset int64  // of the checkpoint's first record in the checkpoints topic
	Chunks      int
	Bytes       int64  // of the snapshot
	Sum         string // XXH3 with 128 bits, hexadecimal
	Next        int64  // the position of the events log that the snapshot reflects, exclusive
}

// pointerPrefix is followed by the fields, separated by spaces. A later form
// gets another number.
const pointerPrefix = "daybook1"

var errNoPointer = errors.New("not a pointer to a checkpoint")

// String gives the form for commit metadata: ASCII, below 300 characters.
func (p Pointer) String() string {
	return fmt.Sprintf("%s %s %d %d %d %s %d", pointerPrefix, p.ID, p.TopicOffset, p.Chunks, p.Bytes, p.Sum, p.Next)
}

// ParsePointer reads what String wrote. An error means that somebody else
// committed: refuse to go on (TRUST.md section 2).
func ParsePointer(s string) (Pointer, error) {
	fields := strings.Fields(s)
	if len(fields) != 7 || fields[0] != pointerPrefix {
		return Pointer{}, fmt.Errorf("parse commit metadata %.40q: %w", s, errNoPointer)
	}
	var (
		p     = Pointer{ID: fields[1], Sum: fields[5]}
		wrong error
	)
	number := func(text string) int64 {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			wrong = fmt.Errorf("parse commit metadata %.40q: %w: %q is no number", s, errNoPointer, text)
		}
		return n
	}
	p.TopicOffset, p.Bytes, p.Next = number(fields[2]), number(fields[4]), number(fields[6])
	p.Chunks = int(number(fields[3]))
	return p, wrong
}
