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

// Points lists the steps that the worker itself takes.
func Points() []string {
	return []string{
		PointAssigned, PointRestored, PointFetched, PointApplied, PointWriting, PointWritten, PointSettled,
		PointCheckpointPacked, PointCheckpointWritten, PointCommitted, PointDropped, PointReleased,
	}
}
