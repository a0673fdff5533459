package main

import (
	"context"

	"daybook/clickhouse/engine"
)

// engineCmd is the embedded engine's process, started by dev with its
// configuration on stdin. People do not call it.
type engineCmd struct{}

// Run serves until the parent lets go of stdin. A terminal sends Ctrl-C to the
// whole group of processes: ending at once would take the engine away from
// under the worker's last flush.
func (engineCmd) Run(ctx context.Context, a *app) error {
	return engine.RunChild(context.WithoutCancel(ctx), a.std.in, a.std.out, a.std.err)
}

// engineVersion is what a running engine says, else which library there is.
func engineVersion(a *app) string {
	library, err := engine.FindLibrary(a.cfg.EngineLibrary)
	if err != nil {
		return err.Error()
	}
	return libraryVersion(library)
}
