package web

import "time"

// Frame is what every page has around its content.
type Frame struct {
	Title      string // of the document and its heading
	Crumbs     []Link // way back, outermost first
	Fresh      *Fresh // nil where nothing is counted
	ViewerZone string // IANA name in force, for the form; "" if unknown
	TellZone   bool   // the script may tell the server the browser's zone
	SignedOut  bool
}

// Link is an address within the page.
type Link struct{ Text, Href string }

// Fresh says how far the figures are complete.
type Fresh struct {
	AsOf    time.Time // in the zone of the page
	Through time.Time // zero while nobody reads
}

// Owned says whether somebody reads the part of the log concerned.
func (f *Fresh) Owned() bool { return !f.Through.IsZero() }

// NetworksView lists the networks.
type NetworksView struct {
	Frame

	Networks []NetworkRow
	More     string // address of the next page, "" on the last
}

// NetworkRow is one network.
type NetworkRow struct {
	ID, Title, Zone, Gap string
	Recording            bool
}

// UsersView lists a network's users.
type UsersView struct {
	Frame

	Network string
	Search  string
	Users   []UserRow
	More    string
}

// UserRow is one user.
type UserRow struct {
	ID, Name, Zone string
	First, Last    string // dates, "" if never active
}

// RecordView is one user's days (SPK-13 to SPK-17).
type RecordView struct {
	Frame

	Network, User, Name, Zone string
	From, To                  string
	Default                   bool // the past two weeks, not chosen
	Days                      []DayRow
	Total                     Total // of the days shown
	CSV                       string
	More                      string
	LastActive                *Link // offered when the range is empty
}

// Total is a sum of seconds with its parts.
type Total struct {
	Sessions                            uint64
	Seconds, Overlap, Mobile, Web, Days int64
}

// DayRow is one active day.
type DayRow struct {
	Date  time.Time // midnight UTC of the local date
	Total Total
	Spans []Span // nil if there are too many to draw
}

// DayView is one day's sessions (SPK-18 to SPK-24).
type DayView struct {
	Frame

	Network, User, Name, Zone string
	Date                      time.Time
	Total                     Total
	Hours                     []Hour
	Spans                     []Span
	Sessions                  []SessionRow
	Rows                      int64 // sum of the sessions' seconds, on this page
	Whole                     bool  // all of the day's sessions are on this page
	OddLength                 string
	CSV, More, Back           string
}

// SessionRow is one session's part of the day.
type SessionRow struct {
	No                  int
	Device              string // Mobile or Web
	Start, End          time.Time
	Seconds             int64
	Open                bool
	FromBefore, Onwards bool
	Offset              bool // print the offset: clocks change on this day
	Note                string
	Robot               bool
}

// Span is a rectangle of the day bar, in percent of the day's length.
type Span struct {
	X, Width string // with the percent sign
	Mobile   bool
}

// Hour is a mark of the day bar.
type Hour struct{ X, Text string }

// SignInView asks for a key.
type SignInView struct {
	Frame

	Wrong bool // the key or link that was given is not right
}

// ProblemView says why there is no page.
type ProblemView struct {
	Frame

	Detail, Remedy string
}
