package main

import (
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"
)

// libraryVersion reads the version of the npm package that carries the
// library. Loading 500 MB only to ask it would take longer than all else.
func libraryVersion(library string) string {
	text, err := os.ReadFile(filepath.Join(filepath.Dir(library), "package.json"))
	if err != nil {
		return "unknown, " + library
	}
	var pack struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	if json.Unmarshal(text, &pack) != nil || pack.Version == "" {
		return "unknown, " + library
	}
	return pack.Name + " " + pack.Version
}
