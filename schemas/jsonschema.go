package schemas

import _ "embed"

// eventSchema is the file event.v1.schema.json.
//
//go:embed event.v1.schema.json
var eventSchema string

// EventSchema gives the JSON Schema (draft 2020-12) of an event, version 1, for
// producers and editors. What only the decoder can check is in its description.
func EventSchema() []byte { return []byte(eventSchema) }
