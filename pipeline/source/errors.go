package source

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"
)

// The errors of this package. Compare with errors.Is.
var (
	// ErrTransient says that the outside did not recover within Config.RetryFor.
	ErrTransient = errors.New("kafka did not recover in time")
	// ErrFenced says that the group has moved on: another member may own the
	// partition. Drop its state.
	ErrFenced = errors.New("fenced by a newer generation")
	// ErrGenerationEnded is the cause of a generation's context.
	ErrGenerationEnded = errors.New("generation ended")
	// ErrClosed says that the group was closed.
	ErrClosed = errors.New("group is closed")
	// ErrOffsetOutOfRange is what every *OffsetOutOfRangeError is.
	ErrOffsetOutOfRange = errors.New("offset out of range")
	// ErrCheckpointDamaged says that a checkpoint is incomplete or its checksum
	// does not match: use the one before it.
	ErrCheckpointDamaged = errors.New("checkpoint is damaged")
	// ErrBadMetadata says that commit metadata is not ASCII or longer than
	// MaxMetadataBytes. Nothing was committed.
	ErrBadMetadata = errors.New("commit metadata is not 0 to 4096 ASCII characters")
	// ErrPartitionCount says that a topic exists with another number of
	// partitions than was asked for.
	ErrPartitionCount = errors.New("topic has another number of partitions")
	// ErrRecordTooLarge says that a record is larger than the broker takes (1 MB).
	ErrRecordTooLarge = errors.New("record is larger than 1 MB")
	// ErrUnknownPartition says that a record names a partition that the topic
	// does not have.
	ErrUnknownPartition = errors.New("partition does not exist")
	// ErrUnknownTopic says that the cluster has no such topic.
	ErrUnknownTopic = errors.New("topic does not exist")
)

// OffsetOutOfRangeError says that the log does not hold the offset any more, or
// not yet. Nobody jumps: the partition has to halt until a person decides.
type OffsetOutOfRangeError struct {
	Topic     string
	Partition int32
	Offset    int64
	Start     int64 // first offset of the log, inclusive
	End       int64 // last stable offset, exclusive
}

// Error implements error.
func (e *OffsetOutOfRangeError) Error() string {
	return fmt.Sprintf("fetch %s/%d at offset %d: offset out of range: the log holds [%d, %d)", e.Topic, e.Partition, e.Offset, e.Start, e.End)
}

// Is makes errors.Is(err, ErrOffsetOutOfRange) true.
func (e *OffsetOutOfRangeError) Is(target error) bool { return target == ErrOffsetOutOfRange }

// BatchError says that the batch of [From, To) cannot be read: its checksum is
// wrong, its records are malformed, or it is larger than Config.BatchBytes when
// decompressed. Reading it again gives the same.
type BatchError struct {
	Topic     string
	Partition int32
	From      int64 // first offset that cannot be read, inclusive
	To        int64 // exclusive; a guess if the checksum is wrong; From if not even the header can be believed
	Err       error
}

// Error implements error.
func (e *BatchError) Error() string {
	return fmt.Sprintf("read batch %s/%d [%d, %d): %v", e.Topic, e.Partition, e.From, e.To, e.Err)
}

// Unwrap gives the cause.
func (e *BatchError) Unwrap() error { return e.Err }

// fencing tells whether a broker's answer means that this member is out.
func fencing(err error) bool {
	return errors.Is(err, kafka.IllegalGeneration) || errors.Is(err, kafka.UnknownMemberId) || errors.Is(err, kafka.FencedInstanceID)
}

// permanent tells whether repeating the request can never help. All else is
// taken for transient: a broker that moves answers with many codes, and a
// network with errors of no code at all (KAFKA.md section 6).
func permanent(err error) bool {
	if certificate := (*tls.CertificateVerificationError)(nil); errors.As(err, &certificate) {
		return true
	}
	if kerr := kafka.Error(0); errors.As(err, &kerr) {
		switch kerr { //nolint:exhaustive // a list of what cannot recover; all others may.
		case kafka.OffsetOutOfRange, kafka.MessageSizeTooLarge, kafka.InvalidTopic, kafka.TopicAuthorizationFailed,
			kafka.GroupAuthorizationFailed, kafka.ClusterAuthorizationFailed, kafka.UnsupportedSASLMechanism,
			kafka.IllegalSASLState, kafka.SASLAuthenticationFailed, kafka.UnsupportedVersion, kafka.TopicAlreadyExists,
			kafka.InvalidPartitionNumber, kafka.InvalidReplicationFactor, kafka.InvalidConfiguration, kafka.PolicyViolation,
			kafka.OffsetMetadataTooLarge, kafka.IllegalGeneration, kafka.UnknownMemberId, kafka.FencedInstanceID,
			kafka.InvalidRecord:
			return true
		}
		return false
	}
	for _, own := range []error{ErrCheckpointDamaged, ErrBadMetadata, ErrPartitionCount, ErrUnknownTopic, ErrOffsetOutOfRange, ErrRecordTooLarge} {
		if errors.Is(err, own) {
			return true
		}
	}
	batch := (*BatchError)(nil)
	return errors.As(err, &batch)
}
