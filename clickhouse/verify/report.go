package verify

// Report is what a run found.
type Report struct {
	Places []Place  `json:"places"`
	Checks []Check  `json:"checks"`
	Notes  []string `json:"notes"` // what could not be looked at, and why
}

// Place is one partition of one epoch of the topic, with the positions that the
// run judges by.
type Place struct {
	Topic     string `json:"topic"`
	Epoch     uint16 `json:"epoch"`
	Partition int32  `json:"partition"`
	Current   bool   `json:"current"`          // Kafka has this epoch now
	Stored    int64  `json:"stored_offset"`    // the ledger's end: rows of records below it are judged
	Published int64  `json:"published_offset"` // sessions of users without an event from here on are judged
	Committed int64  `json:"committed_offset"` // -1: none
	LogStart  int64  `json:"log_start"`
	LogEnd    int64  `json:"log_end"`

	OutOfOrderMs int64 `json:"out_of_orderness_ms"` // as the workers reported it; -1 if none did

	block   int64 // offsets in a ledger block
	pointer int64 // the offset that the committed checkpoint is of; -1 if there is none
}

// Blind says that the log holds records of which the tables know nothing at all:
// no worker has run yet, or the tables were emptied. Nothing can then be told.
func (r *Report) Blind() bool {
	records, stored := int64(0), int64(0)
	for i := range r.Places {
		if p := &r.Places[i]; p.Current {
			records, stored = records+p.LogEnd-p.LogStart, stored+p.Stored
		}
	}
	return records > 0 && stored == 0
}

// Check is what one check found.
type Check struct {
	Promise string       `json:"promise"` // of TRUST.md section 1
	Name    string       `json:"name"`
	Looked  uint64       `json:"looked"` // rows or other items
	Cells   uint64       `json:"cells,omitempty"`
	Flying  uint64       `json:"in_flight"` // of them, not judged: workers were about to write them
	Wrong   uint64       `json:"wrong"`
	Details []Difference `json:"details"` // the first ones, by identity
}

// Difference is one thing that is wrong.
type Difference struct {
	Identity string `json:"identity"`
	Wrong    string `json:"wrong"`
}

// Wrong counts what is wrong in all checks.
func (r *Report) Wrong() uint64 {
	n := uint64(0)
	for i := range r.Checks {
		n += r.Checks[i].Wrong
	}
	return n
}

// Find gives a check by its name; nil if it was not run.
func (r *Report) Find(name string) *Check {
	for i := range r.Checks {
		if r.Checks[i].Name == name {
			return &r.Checks[i]
		}
	}
	return nil
}

// Check gives the check of a name, making it if needed.
func (r *Report) Check(promise, name string) *Check {
	if c := r.Find(name); c != nil {
		return c
	}
	r.Checks = append(r.Checks, Check{Promise: promise, Name: name, Details: []Difference{}})
	return &r.Checks[len(r.Checks)-1]
}

// Add notes one thing that is wrong; details beyond the limit are only counted.
func (c *Check) Add(limit int, identity, wrong string) {
	c.Wrong++
	if len(c.Details) < limit {
		c.Details = append(c.Details, Difference{identity, wrong})
	}
}
