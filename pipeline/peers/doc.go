// Package peers measures Daybook beside what people would use in its place:
// Flink, Kafka Streams and ClickHouse alone make the same sessions from the same
// topic of Apache Kafka, are compared session by session with a naive reference,
// and are timed by the same clock. `make peers` runs it. Nothing of the program
// needs it; DESIGN.md says what is counted and why.
package peers
