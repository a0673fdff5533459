package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"text/tabwriter"

	"daybook/schemas/zones"
)

type versionCmd struct{}

// Help is shown under the command's usage.
func (versionCmd) Help() string {
	return `Names the versions that decide results: the binary, Go, the clients, the embedded broker and
engine, and the time zone data.

Example:
  daybook version`
}

// Run prints one line a part.
func (versionCmd) Run(a *app) error {
	w := tabwriter.NewWriter(a.std.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "daybook\t%s\n", buildVersion())
	fmt.Fprintf(w, "go\t%s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, part := range [][2]string{
		{"kafka-go", "github.com/segmentio/kafka-go"},
		{"clickhouse-go", "github.com/ClickHouse/clickhouse-go/v2"},
		{"ch-go", "github.com/ClickHouse/ch-go"},
		{"kfake", "github.com/twmb/franz-go/pkg/kfake"},
	} {
		fmt.Fprintf(w, "%s\t%s\n", part[0], moduleVersion(part[1]))
	}
	fmt.Fprintf(w, "engine\t%s\n", engineVersion(a))
	fmt.Fprintf(w, "tzdata\t%s\n", zones.Version)
	return w.Flush()
}

// buildVersion is the commit that the binary was built from.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version, revision, dirty := info.Main.Version, "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+changes"
		}
	}
	if revision == "" {
		return version
	}
	return version + " (" + revision + dirty + ")"
}

func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, dep := range info.Deps {
		if dep.Path == path {
			if dep.Replace != nil {
				return dep.Replace.Version
			}
			return dep.Version
		}
	}
	return "not linked"
}
