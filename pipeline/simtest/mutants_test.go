package simtest

// mutant takes back a rule of the world: a run under it must fail sooner or
// later, or the simulator proves nothing.
type mutant string

const (
	none       mutant = ""
	staleReads mutant = "reads do not see the newest inserts"
	readsAhead mutant = "reads see events at and above the position"
	noFence    mutant = "commits of old generations are accepted"
)
