package readapi

import (
	"fmt"
	"time"
)

// ZoneNote says that a session's times are not the viewer's: the subject's
// offset from UTC at its start or end differs from the viewer's at the same
// instant (SEMANTICS.md section 6.3, SPK-24). Another name with the same
// offset needs no note.
type ZoneNote struct {
	SubjectZone   string `json:"subject_zone" doc:"IANA name of the zone that the times are shown in."`
	ViewerZone    string `json:"viewer_zone" doc:"IANA name of viewer_tz."`
	DifferenceMin int    `json:"difference_min" doc:"Minutes that the subject is ahead of the viewer; negative is behind."`
	Text          string `json:"text" doc:"The note for a person."`
}

// zoneNote gives the note for a session of [start, end], or nil.
func zoneNote(start, end time.Time, subject *time.Location, subjectName string, viewer *time.Location) *ZoneNote {
	if viewer == nil {
		return nil
	}
	difference := offset(start, subject) - offset(start, viewer)
	if difference == 0 {
		difference = offset(end, subject) - offset(end, viewer)
	}
	if difference == 0 {
		return nil
	}
	minutes := difference / 60
	return &ZoneNote{
		SubjectZone: subjectName, ViewerZone: viewer.String(), DifferenceMin: minutes,
		Text: fmt.Sprintf("Times in %s, %s", subjectName, apart(minutes)),
	}
}

// apart gives "1 h ahead of you", "5 h 30 min behind you".
func apart(minutes int) string {
	where := "ahead of you"
	if minutes < 0 {
		where, minutes = "behind you", -minutes
	}
	switch h, m := minutes/60, minutes%60; {
	case h == 0:
		return fmt.Sprintf("%d min %s", m, where)
	case m == 0:
		return fmt.Sprintf("%d h %s", h, where)
	default:
		return fmt.Sprintf("%d h %d min %s", h, m, where)
	}
}

// offset gives seconds east of UTC.
func offset(at time.Time, zone *time.Location) int {
	_, seconds := at.In(zone).Zone()
	return seconds
}
