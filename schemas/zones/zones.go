// Package zones is the time zone database that every local day of Daybook is
// computed with (SEMANTICS.md section 6.2). It is part of the program: two
// workers, or a worker and the read side, agree whatever zone files their hosts
// carry, and a row stays a function of the log. time.LoadLocation would take
// the host's files first.
//
// zoneinfo.zip is the file of the Go distribution (lib/time), made from the
// IANA time zone database, which is in the public domain.
package zones

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"sync"
	"time"
)

// Version is the release of the database in zoneinfo.zip. Rows name it as
// tzdata_version; a newer release may move local days of the future.
const Version = "2025c"

//go:embed zoneinfo.zip
var archive []byte

// index finds a zone's file in the archive. It is read once: opening the
// archive costs half a millisecond.
var index = sync.OnceValue(func() map[string]*zip.File { //nolint:gochecknoglobals // a constant that is computed
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		panic("invariant: the embedded zone archive cannot be read: " + err.Error())
	}
	files := make(map[string]*zip.File, len(r.File))
	for _, f := range r.File {
		files[f.Name] = f
	}
	return files
})

// Load gives the zone of an IANA name ("Europe/Amsterdam", "UTC"), reading it
// anew each time: callers keep what they use. The empty name and "Local", which
// time.LoadLocation takes for zones of its own, are unknown like any other.
func Load(name string) (*time.Location, error) {
	if name == "UTC" {
		return time.UTC, nil
	}
	f := index()[name]
	if f == nil || f.FileInfo().IsDir() {
		return nil, fmt.Errorf("load zone %q: the time zone database %s has no such name", name, Version)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("load zone %q: %w", name, err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("load zone %q: %w", name, err)
	}
	loc, err := time.LoadLocationFromTZData(name, data)
	if err != nil {
		return nil, fmt.Errorf("load zone %q: %w", name, err)
	}
	return loc, nil
}
