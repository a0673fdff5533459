package pipeline

// The steps of the protocol, in their order, at which a test may kill, pause
// or fail a worker (Config.Failpoint; DAYBOOK_FAILPOINT in the binary). Those
// inside an insert are the store's, that between two chunks of a checkpoint is
// the source's.
const (
	PointAssigned          = "assigned"           // a generation gave the partition; nothing was read
	PointRestored          = "restored"           // the state is there, the log has it
	PointFetched           = "fetched"            // a chunk has come
	PointApplied           = "applied"            // the state is ahead of the tables
	PointWriting           = "writing"            // the flush is taken, nothing of it is sent
	PointWritten           = "written"            // the rows are acknowledged
	PointSettled           = "settled"            // chains have left the state
	PointCheckpointPacked  = "checkpoint.packed"  // the snapshot is bytes
	PointCheckpointWritten = "checkpoint.written" // and durable, nothing points to it
	PointCommitted         = "committed"          // the pointer is committed
	PointDropped           = "dropped"            // older checkpoints are gone
	PointReleased          = "released"           // the partition is let go in order
)

// The steps of setting a record aside (poison.go). Few runs come to them, so
// Points does not list them.
const (
	PointPanicCounted = "panic.counted" // the panic is counted, durably
	PointAsideMarked  = "aside.marked"  // the catalogue says that the record is set aside
	PointAsideLogged  = "aside.logged"  // the log says so, too
)

// AsidePoints lists them.
func AsidePoints() []string { return []string{PointPanicCounted, PointAsideMarked, PointAsideLogged} }

// The steps of handling a record at which Config.Probe is called.
const (
	ProbeDecode = "decode"
	ProbeApply  = "apply"
)

// Points lists the steps that the worker itself takes.
func Points() []string {
	return []string{
		PointAssigned, PointRestored, PointFetched, PointApplied, PointWriting, PointWritten, PointSettled,
		PointCheckpointPacked, PointCheckpointWritten, PointCommitted, PointDropped, PointReleased,
	}
}
