package main

import (
	"context"

	"daybook/clickhouse/engine"
)

// engineCmd is the embedded engine's process, started by dev with its
// configuration on stdin. People do not call it.
type engineCmd struct{}

// Run serves until the parent lets go of stdin.
func (engineCmd) Run(ctx context.Context, a *app) error {
	return engine.RunChild(ctx, a.std.in, a.std.out, a.std.err)
}

// engineVersion is what a running engine says, else which library there is.
func engineVersion(a *app) string {
	library, err := engine.FindLibrary(a.cfg.EngineLibrary)
	if err != nil {
		return err.Error()
	}
	return libraryVersion(library)
}
