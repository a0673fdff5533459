package e2e

import (
	"slices"

	"daybook/clickhouse"
	"daybook/pipeline"
	"daybook/pipeline/source"
)

// stepNames lists every step at which a worker can be armed.
func stepNames() []string {
	return slices.Concat(pipeline.Points(), clickhouse.Points(), source.Points())
}
